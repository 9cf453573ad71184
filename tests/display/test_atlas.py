"""Folders read, whoever wrote them, and whatever interrupted it."""

import json
import shutil

import numpy as np
import pytest
from made_pictures import SETTINGS, add, contents, made
from PIL import Image

import jdeepvis
from jdeepvis.display import folder, shards
from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.folder import PictureFolder
from jdeepvis.types import JdeepvisError


def fill(path, *units, **more):
  pictures = PictureFolder.open(path, SETTINGS)
  for unit in units:
    add(pictures, made(unit, **more))
  return pictures


def assert_holds(path, *wanted):
  """The folder has these pictures, in their order, and nothing else."""
  atlas = open_atlas(path)
  assert [record["file"] for record in atlas.records] == [x[0] for x in wanted]
  for record, (file, one) in zip(atlas.records, wanted, strict=True):
    own = {"file": file, "title": one.title, "status": one.status}
    assert record == {**one.facts, **own}
    np.testing.assert_array_equal(atlas.picture(record), one.pixels)
    np.testing.assert_array_equal(atlas.image(record), one.image)
    history = atlas.history(record)
    assert history.keys() == one.history.keys()
    for name, rows in one.history.items():
      np.testing.assert_array_equal(history[name], rows)
      assert history[name].dtype == rows.dtype


def test_what_was_added_is_read(tmp_path):
  fill(tmp_path, 1, 2)
  fill(tmp_path, 3)
  assert_holds(tmp_path, made(1), made(2), made(3))
  atlas = jdeepvis.open_atlas(tmp_path / "manifest.json")
  assert atlas.settings == {"net": "tiny", "steps": None, "position": [1, 2]}


def test_grey_pictures_have_one_channel(tmp_path):
  file, one = made(1)
  grey = one._replace(pixels=one.pixels[..., :1], image=one.image[..., :1])
  add(PictureFolder.open(tmp_path, SETTINGS), (file, grey))
  assert_holds(tmp_path, (file, grey))


def test_a_line_torn_at_any_byte_is_no_record(tmp_path):
  """Nor does it spoil the next run's."""
  whole = tmp_path / "whole"
  fill(whole, 1, 2)
  (file,) = whole.glob("records/*.jsonl")
  lines = file.read_bytes()
  first = lines.index(b"\n") + 1
  for end in range(first, len(lines)):
    path = shutil.copytree(whole, tmp_path / str(end))
    (path / "records" / file.name).write_bytes(lines[:end])
    assert_holds(path, made(1))
    again = PictureFolder.open(path, SETTINGS)
    assert made(1)[0] in again and made(2)[0] not in again
    if end % 50 == 0 or end + 1 == len(lines):
      add(again, made(3), made(2))
      assert_holds(path, made(1), made(3), made(2))
    shutil.rmtree(path)


def test_arrays_torn_at_any_byte_are_not_missed(tmp_path):
  """Their record was not written yet."""
  pictures = fill(tmp_path, 1)
  (shard,) = tmp_path.glob("arrays/*.npy")
  one = shard.read_bytes()
  for end in range(0, len(one), 7):
    shard.write_bytes(one + one[:end])
    assert made(1)[0] in PictureFolder.open(tmp_path, SETTINGS)
    assert_holds(tmp_path, made(1))
  # And who failed to write them goes on behind them.
  add(pictures, made(2))
  assert_holds(tmp_path, made(1), made(2))


def test_a_write_that_failed_halfway_is_overwritten(tmp_path, monkeypatch):
  """By the same run, as on a disk that was full for a while."""
  pictures = fill(tmp_path, 1)
  write = shards.Appender._write_lines

  def fail(self, lines):
    write(self, lines[: len(lines) // 2])
    self._end -= len(lines) // 2
    raise OSError("disk full")

  with monkeypatch.context() as patch:
    patch.setattr(shards.Appender, "_write_lines", fail)
    with pytest.raises(OSError, match="disk full"):
      add(pictures, made(2))
  assert made(2)[0] not in pictures
  assert_holds(tmp_path, made(1))
  add(pictures, made(3))
  assert_holds(tmp_path, made(1), made(3))


def test_runs_at_the_same_time_share_a_folder(tmp_path):
  first = PictureFolder.open(tmp_path, SETTINGS)
  second = PictureFolder.open(tmp_path, SETTINGS)
  for unit in range(3):
    add(first, made(2 * unit))
    add(second, made(2 * unit + 1))
  # Each run's in their order; files of none were touched by the other.
  order = (0, 2, 4, 1, 3, 5)
  assert_holds(tmp_path, *map(made, order))
  assert len(list(tmp_path.glob("records/*.jsonl"))) == 2
  third = PictureFolder.open(tmp_path, SETTINGS)
  assert all(made(unit)[0] in third for unit in order)
  third.finish("Test")
  with np.load(tmp_path / "images.npz") as images:
    assert len(images) == 6


def test_a_folder_is_opened_while_another_run_writes(tmp_path, monkeypatch):
  """Between one of its lines and the next that is read."""
  first = fill(tmp_path, 1)
  parse, units = shards._parse, iter((2, 3))

  def slow(path, lines):
    for unit in units:
      add(first, made(unit))
      break
    return parse(path, lines)

  monkeypatch.setattr(shards, "_parse", slow)
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert all(made(unit)[0] in again for unit in (1, 2, 3))


def test_the_last_of_several_records_holds(tmp_path):
  fill(tmp_path, 1, 2)
  file, one = made(1)
  other = one._replace(image=one.image + 1, pixels=255 - one.pixels)
  add(PictureFolder.open(tmp_path, SETTINGS), (file, other))
  assert_holds(tmp_path, (file, other), made(2))


def test_a_shard_that_is_large_enough_is_followed_by_another(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(shards, "_LARGEST_SHARD", 2000)
  fill(tmp_path, *range(5))
  sizes = [x.stat().st_size for x in tmp_path.glob("arrays/*.npy")]
  assert len(sizes) > 1 and max(sizes) < 4000
  assert_holds(tmp_path, *map(made, range(5)))


def test_a_shard_is_what_numpy_reads(tmp_path):
  """Without this package: arrays saved one behind the other."""
  fill(tmp_path, 1, 2)
  with open(tmp_path / "arrays" / "000000-000000.npy", "rb") as file:
    for unit in (1, 2):
      _, one = made(unit)
      np.testing.assert_array_equal(np.load(file), one.image)
      for rows in one.history.values():
        np.testing.assert_array_equal(np.load(file), rows)


@pytest.fixture
def old(tmp_path):
  """A folder as the version before wrote it, killed before its last merge."""
  records, images, history = [], {}, {}
  for unit in (1, 2, 3):
    file, one = made(unit)
    (tmp_path / file).parent.mkdir(parents=True)
    Image.fromarray(one.pixels).save(tmp_path / file)
    own = {"file": file, "title": one.title, "status": one.status}
    records.append({**one.facts, **own})
    stem = file.removesuffix(".png")
    images[stem] = one.image
    history |= {f"{stem}/{name}": x for name, x in one.history.items()}
  unfinished = tmp_path / ".unfinished"
  unfinished.mkdir()
  for name, arrays in (("images", images), ("history", history)):
    last = {key: x for key, x in arrays.items() if "unit_0003" in key}
    rest = {key: x for key, x in arrays.items() if key not in last}
    np.savez(tmp_path / f"{name}.npz", **rest)
    np.savez(unfinished / f"{name}-000000.npz", **last)
  manifest = {"settings": SETTINGS, "kept": {"x": 1}, "records": records}
  (tmp_path / "manifest.json").write_text(json.dumps(manifest))
  return tmp_path


def test_a_folder_of_the_version_before_is_read_and_left_alone(old):
  before = contents(old)
  assert_holds(old, made(1), made(2), made(3))
  assert contents(old) == before


def test_a_folder_of_the_version_before_is_extended(old):
  fill(old, 4).finish("Test")
  assert_holds(old, made(1), made(2), made(3), made(4))
  manifest = json.loads((old / "manifest.json").read_text())
  assert manifest["records"] == shards.PLACE and manifest["kept"] == {"x": 1}
  with np.load(old / "images.npz") as images:
    assert len(images) == 4


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_move_that_was_killed_is_done_again(old, monkeypatch, moved):
  append = shards.Appender.append
  calls = []

  def fail(self, entries):
    if len(calls) == moved:
      raise KeyboardInterrupt
    calls.append(entries)
    append(self, entries)

  with monkeypatch.context() as patch:
    patch.setattr(shards.Appender, "append", fail)
    with pytest.raises(KeyboardInterrupt):
      PictureFolder.open(old, SETTINGS)
  assert_holds(old, made(1), made(2), made(3))
  assert made(3)[0] in PictureFolder.open(old, SETTINGS)
  assert_holds(old, made(1), made(2), made(3))


def test_large_folders_have_neither_montages_nor_copies(tmp_path, monkeypatch):
  monkeypatch.setattr(folder, "SMALL", 2)
  many = {"montage.png", "images.npz", "history.npz"}
  fill(tmp_path, 1, 2).finish("Test")
  assert many < {entry.name for entry in tmp_path.iterdir()}
  montage = tmp_path / "fc8/unit_0001/montage.png"
  assert montage.exists()
  pictures = fill(tmp_path, 3)
  pictures.finish("Test")
  assert not many & {entry.name for entry in tmp_path.iterdir()}
  assert not montage.exists()
  assert (tmp_path / "index.html").exists()
  assert_holds(tmp_path, made(1), made(2), made(3))
  assert made(2)[0] in PictureFolder.open(tmp_path, SETTINGS)


def test_what_is_no_folder_of_pictures_is_refused(tmp_path):
  with pytest.raises(JdeepvisError, match=r"manifest\.json.*no manifest"):
    open_atlas(tmp_path)
  fill(tmp_path, 1)
  record = open_atlas(tmp_path).records[0]
  (tmp_path / record["file"]).unlink()
  with pytest.raises(JdeepvisError, match="is damaged"):
    open_atlas(tmp_path).picture(record)
  stranger = {**record, "file": "a.png"}
  for read in (open_atlas(tmp_path).image, open_atlas(tmp_path).history):
    with pytest.raises(JdeepvisError, match=r"no arrays of 'a.* in .*\.$"):
      read(stranger)


@pytest.mark.parametrize(
  "line",
  ["{}", "[]", "3", '{"file": "a.png"}', "{} {}", '{"file"', "\udcff", "1, 2"],
)
def test_a_damaged_line_is_one_sentence(tmp_path, line):
  fill(tmp_path, 1)
  (file,) = tmp_path.glob("records/*.jsonl")
  whole = file.read_bytes()
  line = line.encode(errors="surrogateescape") + b"\n"
  for content in (line + whole, whole + line):
    file.write_bytes(content)
    with pytest.raises(JdeepvisError, match=r"000000\.jsonl' is damaged"):
      open_atlas(tmp_path)


def test_a_damaged_array_is_one_sentence(tmp_path):
  fill(tmp_path, 1)
  (shard,) = tmp_path.glob("arrays/*.npy")
  whole = shard.read_bytes()
  for place in (0, 20, 60):
    shard.write_bytes(whole[:place] + b"\xff" * 8 + whole[place + 8 :])
    atlas = open_atlas(tmp_path)
    with pytest.raises(JdeepvisError, match=r"000000\.npy' is damaged"):
      atlas.image(atlas.records[0])
