import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jdeepvis.display import files
from jdeepvis.types import JdeepvisError


def test_atomic_replaces_the_old_file(tmp_path):
  path = tmp_path / "new" / "folder" / "note.txt"
  for text in ("old", "new"):
    with files.atomic(path) as temporary:
      assert temporary.parent == path.parent
      assert temporary.name.startswith(".") and temporary.suffix == ".txt"
      temporary.write_text(text)
  assert path.read_text() == "new"
  assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
  path = tmp_path / "note.txt"
  path.write_text("old")
  with pytest.raises(RuntimeError), files.atomic(path) as temporary:
    temporary.write_text("half")
    raise RuntimeError
  assert path.read_text() == "old"
  assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_file_alone(tmp_path):
  path = tmp_path / "note.txt"
  path.write_text("old")
  program = f"""
import os, signal
from jdeepvis.display import files
with files.atomic({str(path)!r}) as temporary:
  temporary.write_text("half")
  os.kill(os.getpid(), signal.SIGKILL)
"""
  result = subprocess.run([sys.executable, "-c", program], check=False)
  assert result.returncode == -signal.SIGKILL
  assert path.read_text() == "old"


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_other_channels_stand_side_by_side(tmp_path, channels):
  """Two are no grey with alpha, four are no colours with alpha."""
  pixels = np.random.default_rng(0).integers(
    0, 256, (5, 7, channels), dtype=np.uint8
  )
  path = tmp_path / "planes.png"
  files.write_image(path, pixels)
  with Image.open(path) as image:
    assert image.mode == "L"
    planes = np.split(np.asarray(image), channels, axis=1)
  np.testing.assert_array_equal(np.stack(planes, axis=-1), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path, channels):
  pixels = np.random.default_rng(0).integers(
    0, 256, (5, 7, channels), dtype=np.uint8
  )
  path = tmp_path / "picture.png"
  files.write_image(path, pixels)
  with Image.open(path) as image:
    assert image.mode == {1: "L", 3: "RGB"}[channels]
    found = np.asarray(image).reshape(pixels.shape)
  np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
  ("name", "format_"),
  [("a.PNG", "PNG"), ("a.jpg", "JPEG"), ("a.jpeg", "JPEG"), ("a.webp", "WEBP")],
)
def test_the_suffix_picks_the_format(tmp_path, name, format_):
  pixels = np.full((16, 16, 3), (200, 100, 50), np.uint8)
  files.write_image(tmp_path / name, pixels)
  with Image.open(tmp_path / name) as image:
    assert image.format == format_
    np.testing.assert_allclose(np.asarray(image), pixels, atol=4)


def test_an_unknown_suffix_is_refused(tmp_path):
  with pytest.raises(JdeepvisError, match=r"a\.bmp.*\.png"):
    files.write_image(tmp_path / "a.bmp", np.zeros((2, 2, 3), np.uint8))
  assert not list(tmp_path.iterdir())


def test_json_is_strict_and_takes_arrays(tmp_path):
  path = tmp_path / "facts.json"
  files.write_json(
    path,
    {
      "score": np.float32(0.5),
      "nothing": [float("nan"), np.inf, np.array([1.0, -np.inf])],
      "steps": (np.int64(3), True, None),
      7: "naïve",
    },
  )

  def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")

  assert json.loads(path.read_text(), parse_constant=refuse) == {
    "score": 0.5,
    "nothing": [None, None, [1.0, None]],
    "steps": [3, True, None],
    "7": "naïve",
  }


def test_a_tree_json_cannot_hold_leaves_no_file(tmp_path):
  with pytest.raises(TypeError):
    files.write_json(tmp_path / "facts.json", {"no": object()})
  assert not list(tmp_path.iterdir())


def test_rows_become_comma_separated_values(tmp_path):
  rows = [{"name": "a, b", "value": 0.1}, {"name": "ü", "value": None}]
  files.write_csv(tmp_path / "table.csv", rows)
  text = (tmp_path / "table.csv").read_text(encoding="utf-8")
  assert text == 'name,value\n"a, b",0.1\nü,\n'
  assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_an_animation_holds_its_frames_in_order(tmp_path):
  path = tmp_path / "film.webp"
  greys = (20, 120, 220)
  frames = (np.full((8, 12, 3), grey, np.uint8) for grey in greys)
  files.write_animation(path, frames)
  with Image.open(path) as film:
    assert (film.n_frames, film.size, film.info["loop"]) == (3, (12, 8), 0)
    for number, grey in enumerate(greys):
      film.seek(number)
      assert abs(float(np.mean(film.convert("RGB"))) - grey) < 3
      assert film.info["duration"] == 100
  assert list(tmp_path.iterdir()) == [path]
