"""A folder of pictures as it grows: what the next one costs, and the end.

The rival is what version 0.1 did: a manifest of all records written anew and
two archives for each picture. Each size is measured in a process of its own,
which never computes anything, so that its memory is the folder's. Seconds are
of its one thread on a core (CPU time), since the clock mostly measures what
else the disk does.

python -m benchmarks.store PICTURES FOLDER     one size, into a new folder
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.files import atomic, write_image, write_json
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record
from jdeepvis.runs.jobs import Made

_COUNTS = (1000, 10_000, 100_000)
_UNITS = 1000  # of a layer
_TIMED = 200  # pictures at the beginning and at the end
_REWRITTEN = 3  # pictures that the rival adds
_SIDE, _STEPS = 11, 64


def rows() -> Iterator[tuple[str, ...]]:
  """Rows of the table, three a size."""
  for count in _COUNTS:
    with tempfile.TemporaryDirectory() as folder:
      ours = _measured("grow", count, folder)
      opened = _measured("reopen", count, folder)
    with tempfile.TemporaryDirectory() as folder:
      theirs = _measured("rewrite", count, folder)
    name = f"folder of {count} tiny pictures"
    first, last = ours["first_ms"], ours["last_ms"]
    yield (
      f"{name}, ms of CPU for one more",
      f"{last:.2f}",
      f"JSON written anew {theirs['ms']:.0f}",
      f"{theirs['ms'] / last:.0f} times as fast",
      "-",
    )
    yield (
      f"{name}, ms of CPU for one more",
      f"{last:.2f}",
      f"the first ones {first:.2f}",
      f"{last / first:.2f} times the time",
      "1",
    )
    yield (
      f"{name}, finish, s of CPU",
      f"{ours['finish_s']:.1f}",
      f"reopened in {opened['seconds']:.2f}",
      f"{max(ours['megabytes'], opened['megabytes']):.0f} MB resident",
      "reopened in 2 s, below 1000 MB",
    )


def grow(count: int, root: Path) -> dict[str, float]:
  """Fills a folder a picture at a time, and finishes it."""
  folder, seconds = PictureFolder.open(root, {}), []
  for number in range(count):
    file, picture = _picture(number)
    began = time.process_time()
    folder.add({file: picture})
    seconds.append(time.process_time() - began)
  began = time.process_time()
  folder.finish("Tiny")
  return {
    "first_ms": 1000 * float(np.median(seconds[:_TIMED])),
    "last_ms": 1000 * float(np.median(seconds[-_TIMED:])),
    "finish_s": time.process_time() - began,
  }


def reopen(count: int, root: Path) -> dict[str, float]:
  """Opens the folder to go on with it, then reads a picture of it."""
  began = time.process_time()
  folder = PictureFolder.open(root, {})
  seconds = time.process_time() - began
  assert _picture(count - 1)[0] in folder
  atlas = open_atlas(root)
  assert atlas.image(atlas.records[-1]).shape == (_SIDE, _SIDE, 3)
  return {"seconds": seconds}


def rewrite(count: int, root: Path) -> dict[str, float]:
  """Adds pictures to so many records as version 0.1 did."""
  records = []
  for number in range(count):
    file, made = _picture(number)
    record = Record(file, made.title, made.status, made.facts)
    records.append(record.to_plain())
  seconds = []
  for _ in range(_REWRITTEN):
    began = time.process_time()
    write_image(root / file, made.pixels)
    for name, arrays in (("images", {"0": made.image}), ("h", made.history)):
      with atomic(root / f"{name}.npz") as path:
        np.savez(path, **arrays)
    write_json(root / "manifest.json", {"settings": {}, "records": records})
    seconds.append(time.process_time() - began)
  return {"ms": 1000 * float(np.median(seconds))}


def _measured(what: str, count: int, folder: str) -> dict[str, float]:
  command = (sys.executable, "-m", __spec__.name, what, str(count), folder)
  done = subprocess.run(command, check=True, capture_output=True, text=True)
  return json.loads(done.stdout)


def _picture(number: int) -> tuple[str, Made]:
  """A picture as `render_units` makes them of a unit that sees few pixels."""
  layer, unit = f"layer_{number // _UNITS}", number % _UNITS
  generator = np.random.default_rng(number)
  image = generator.normal(0, 60, (_SIDE, _SIDE, 3)).astype(np.float32)
  scores = generator.normal(size=(3, _STEPS)).astype(np.float32)
  facts = {
    "layer": layer, "unit": unit, "label": None, "seed": 0,
    "recipe": "default", "initial": "noise", "objective": "channel",
    "position": [unit % 7, unit % 5], "direction": 1, "strengths": {},
    "score": float(scores[0, -1]), "score_start": float(scores[0, 0]),
    "score_best": float(scores[0].max()), "step_best": _STEPS - 1,
    "activation": float(scores[1, 0]), "probability": None,
    "steps": _STEPS, "seconds": 0.123, "status_of_history": "ok",
  }  # fmt: skip
  history = {
    "score": scores[0], "gradient_norm": scores[1], "image_norm": scores[2],
    "is_largest": scores[0] > 0,
  }  # fmt: skip
  pixels = np.uint8(np.clip(image + 128, 0, 255))
  made = Made(f"{layer} {unit}", facts, pixels, image, history)
  return picture_file(layer, unit, "default", 0), made


if __name__ == "__main__":
  works = {"grow": grow, "reopen": reopen, "rewrite": rewrite}
  found = works[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
  kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  print(json.dumps(found | {"megabytes": kilobytes / 1024}))
