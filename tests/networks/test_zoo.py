import pytest

from jdeepvis.networks import zoo
from jdeepvis.types import JdeepvisError


def test_the_bundled_labels(squeezenet):
  labels = zoo.imagenet_labels()
  assert [i for i, x in enumerate(labels) if x == "crane"] == [134, 517]
  assert len(labels) == 1000 and len(set(labels)) == 999
  assert labels == squeezenet.labels
  assert labels[0] == "tench, Tinca tinca"
  assert labels[999].startswith("toilet tissue")


def test_a_label_file_with_and_without_wnids(tmp_path):
  path = tmp_path / "labels.txt"
  path.write_text(
    "n02119789 kit fox, Vulpes\n\n  plain name  \nn0211978 short\r\n"
    "n02119789\nnaïve\n",
    encoding="utf-8",
  )
  assert zoo.read_labels(path) == (
    "kit fox, Vulpes",
    "plain name",
    "n0211978 short",
    "n02119789",
    "naïve",
  )


def test_wrong_label_files_are_one_sentence(tmp_path):
  (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
  for path in (tmp_path / "none.txt", tmp_path / "latin.txt", tmp_path):
    with pytest.raises(JdeepvisError) as error:
      zoo.read_labels(path)
    assert str(path) in str(error.value)


def test_an_unknown_network_is_told_what_there_is():
  with pytest.raises(JdeepvisError, match=r"'resnet'.*squeezenet1\.1"):
    zoo.load_network("resnet")


def test_missing_bundled_data_are_one_sentence(tmp_path, monkeypatch):
  monkeypatch.setattr(zoo, "__file__", str(tmp_path / "a" / "b" / "c.py"))
  zoo.third_party.cache_clear()
  try:
    with pytest.raises(JdeepvisError, match="install jdeepvis again"):
      zoo.third_party()
  finally:
    zoo.third_party.cache_clear()
