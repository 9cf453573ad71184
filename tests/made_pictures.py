"""Pictures that nobody rendered, and folders of them."""

import numpy as np

from jdeepvis.display.manifest import picture_file
from jdeepvis.runs.jobs import Made

SETTINGS = {"net": "tiny", "steps": None, "position": (1, 2)}


def made(
  unit, seed=0, layer="fc8", recipe="default", contrast=60, status="ok", **facts
):
  """A picture's file, and what `add` wants of it."""
  generator = np.random.default_rng([unit, seed])
  facts = {
    "layer": layer,
    "unit": unit,
    "seed": seed,
    "recipe": recipe,
    "probability": 0.9,
    "seconds": 1.5,
    **facts,
  }
  image = generator.normal(0, contrast, (6, 5, 3)).astype(np.float32)
  pixels = generator.integers(0, 256, (6, 5, 3), np.uint8)
  history = {
    "score": generator.normal(size=4).astype(np.float32),
    "is_largest": generator.integers(0, 2, 4).astype(bool),
  }
  file = picture_file(layer, unit, recipe, seed)
  title = f"{layer} {unit}"
  return file, Made(title, facts, pixels, image, history, status)


def add(pictures, *items):
  pictures.add(dict(items))


def contents(path):
  return {
    str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns)
    for file in sorted(path.rglob("*"))
    if file.is_file()
  }
