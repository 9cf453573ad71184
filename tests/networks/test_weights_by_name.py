"""Published weights become networks, once and for all."""

import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from networks.file_server import serving, source_of

import jdeepvis
from jdeepvis.networks import convert, weights, zoo
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.published import PUBLISHED
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.types import JdeepvisError


def test_every_published_record_is_complete():
  for name, source in PUBLISHED.items():
    assert source.url.startswith("http") and source.size > 4_000_000, name
    length = 2 * hashlib.new(source.algorithm).digest_size
    assert len(source.checksum) == length and int(source.checksum, 16), name
    # torchvision's own word for it: the name has the first eight digits.
    if "download.pytorch.org" in source.url:
      assert f"-{source.checksum[:8]}.pth" in source.url


def test_the_table_of_the_docs_tells_each_of_them():
  page = Path(__file__).parents[2] / "docs" / "weights.md"
  rows = {
    line.split("`")[1]: line
    for line in page.read_text().splitlines()
    if line.startswith("| `")
  }
  assert rows.keys() >= PUBLISHED.keys()
  for name, source in PUBLISHED.items():
    for reported in (
      f"| {source.url} |",
      f"| {source.size / 1e6:.0f} |",
      f"| {source.licence} |",
      f"| {source.algorithm} `{source.checksum}` |",
    ):
      assert reported in rows[name], name
    assert ("bundled" in rows[name]) == (name in zoo.BUNDLED)


@pytest.fixture
def server(monkeypatch):
  monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
  with serving(b"") as running:
    yield running


@pytest.fixture
def small(server, monkeypatch, tmp_path, caffe_files):
  """SqueezeNet 1.0, narrow, as its authors would publish it on loopback."""
  module = functools.partial(SqueezeNet, version="1.0", width=1 / 16)
  known = ARCHITECTURES["squeezenet1.0"]._replace(module=module)
  blobs = {
    layer: [
      np.transpose(leaves["kernel"], (3, 2, 0, 1))[:, ::-1]
      if layer == "conv1"
      else np.transpose(leaves["kernel"], (3, 2, 0, 1)),
      leaves["bias"],
    ]
    for layer, leaves in convert.random_weights(
      module().layers(), known.input.shape
    ).items()
  }
  file = caffe_files.blobs(blobs, "squeezenet_v1.0")
  server.content = file.read_bytes()
  source = source_of(server, url=server.url(file=file.name))
  changed = {**ARCHITECTURES, "squeezenet1.0": known._replace(published=source)}
  for place in (zoo, convert, weights):
    monkeypatch.setattr(place, "ARCHITECTURES", changed)
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", str(tmp_path / "kept"))
  return file


def test_a_network_by_name(small, server, tmp_path, capsys):
  with pytest.raises(JdeepvisError, match="download=True"):
    jdeepvis.load_network("squeezenet1.0")
  assert server.asked == [] and not (tmp_path / "kept").exists()
  network = jdeepvis.load_network("squeezenet1.0", download=True)
  expected = convert.read_architecture("squeezenet1.0", small)
  for layer, leaves in expected.params.items():
    for leaf, values in leaves.items():
      np.testing.assert_array_equal(network.params[layer][leaf], values)
  assert network.labels == zoo.imagenet_labels()
  kept = ["squeezenet1.0.lock", "squeezenet1.0.safetensors"]
  assert _names(tmp_path / "kept") == kept
  assert "Downloading squeezenet1.0" in capsys.readouterr().err
  # From now on it is here, with the flag and without.
  for flag in (False, True):
    jdeepvis.load_network("squeezenet1.0", download=flag)
  assert len(server.asked) == 1


def test_two_at_once_do_not_spoil_each_other(small, server, tmp_path):
  server.breaks_after = len(server.content) // 3
  with ThreadPoolExecutor(4) as pool:
    paths = set(pool.map(zoo.download_network, ["squeezenet1.0"] * 4))
  assert paths == {tmp_path / "kept" / "squeezenet1.0.safetensors"}
  assert server.asked.count(None) == 1
  jdeepvis.load_network("squeezenet1.0")


def test_a_wrong_network_is_not_kept(small, server, tmp_path):
  content = server.content[:-40] + bytes(40)
  server.content = content
  with pytest.raises(JdeepvisError, match="removed"):
    jdeepvis.load_network("squeezenet1.0", download=True)
  assert _names(tmp_path / "kept") == ["squeezenet1.0.lock"]


def test_a_folder_that_cannot_be_written(small, monkeypatch):
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", "/proc/weights")
  with pytest.raises(JdeepvisError, match="JDEEPVIS_WEIGHTS names another"):
    jdeepvis.load_network("squeezenet1.0", download=True)


def test_only_names_are_downloaded():
  for name in ("cafenet", "net.safetensors", "net.prototxt", "a:b"):
    with pytest.raises(JdeepvisError, match="Nothing can be downloaded"):
      jdeepvis.load_network(name, download=True)
  with pytest.raises(JdeepvisError, match=r"download; nearest: caffenet"):
    zoo.download_network("cafenet")
  # What is bundled is not fetched.
  jdeepvis.load_network("squeezenet1.1", download=True)


def _names(folder):
  return sorted(path.name for path in folder.iterdir())
