"""Pictures one by one: only what is missing is made."""

import json

import jax.numpy as jnp
import numpy as np
from PIL import Image

from jdeepvis.runs.jobs import Made, make_missing
from jdeepvis.runs.renders import open_folder


def test_what_is_there_is_left_alone(tmp_path):
  asked = []

  def make(level, status):
    asked.append(level)
    pixels = np.full((2, 3, 1), level, np.uint8)
    image = jnp.full((2, 3, 1), level - 100.0)
    return Made(
      "grey", {"level": level}, pixels, image, {"rows": image}, status
    )

  for jobs in (
    {"grey/unit_0001/a/seed_0.png": (7, "ok")},
    {
      "grey/unit_0001/a/seed_0.png": (8, "ok"),
      "grey/unit_0002/a/seed_0.png": (9, "silent"),
    },
  ):
    folder = open_folder(tmp_path, {"net": "none"}, {})
    make_missing(folder, jobs, make)
    folder.finish("Greys", captioned=("level",))
  assert asked == [7, 9]
  records = json.loads((tmp_path / "manifest.json").read_text())["records"]
  assert [one["level"] for one in records] == [7, 9]
  assert [one["status"] for one in records] == ["ok", "silent"]
  assert all(one["seconds"] >= 0 for one in records)
  for one in records:
    with Image.open(tmp_path / one["file"]) as file:
      assert np.all(np.asarray(file) == one["level"])
    stem = one["file"].removesuffix(".png")
    rows = np.load(tmp_path / "history.npz")[f"{stem}/rows"]
    np.testing.assert_array_equal(rows, one["level"] - 100.0)
