r"""DeepDream: amplifies what a network sees in pictures.

  python -m experiments.dream --photos=third_party/photos \
    --layers=inception_3b/output,inception_4c/output --out=out/dreams
  python -m experiments.dream --photos=sky.jpg --layers=inception_4c/output \
    --guide=flowers.jpg --out=out/guided
  python -m experiments.dream --layers=output --units=flamingo,junco \
    --side=320 --frames=60 --out=out/zoom

At several sizes from small to large it maximises the square of all a layer's
values (Mordvintsev, Olah and Tyka 2015); with --guide their match with those of
another picture, with --units one channel or class. Without --photos it begins
with noise. A large picture is processed in tiles.

--frames makes each picture the first of a zoom: every next frame is the dream
of the last one's middle, and zoom.webp beside them shows all. OUT/index.html
shows the pictures, manifest.json has their scores. A run that was stopped goes
on from the last octave; more layers, units, photographs or frames are added.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.files import write_animation
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record, unit_title
from jdeepvis.networks.names import find_layer, find_units
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.pictures import preprocess, read_picture, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.dreams import resume_dream
from jdeepvis.synthesis import dream, objectives
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.score import Score, bind
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import Image, JdeepvisError, Pixels

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_LAYERS = flags.DEFINE_list(
  "layers",
  "inception_4c/output",
  "Layers by their Caffe names; output: the classes.",
)
_UNITS = flags.DEFINE_string(
  "units", None, "Numbers, ranges, class names; else the whole layer."
)
_GUIDE = flags.DEFINE_string("guide", None, "A picture to dream of.")
_SIDE = flags.DEFINE_integer(
  "side", None, "Longest side, pixels; else the photograph's.", lower_bound=1
)
_OCTAVES = flags.DEFINE_integer(
  "octaves", dream.NOTEBOOK.octaves, "Sizes.", lower_bound=1
)
_RATIO = flags.DEFINE_float(
  "ratio", dream.NOTEBOOK.ratio, "Of one size to the next.", lower_bound=1
)
_STEPS = flags.DEFINE_integer(
  "steps", dream.NOTEBOOK.steps, "Steps at each size.", lower_bound=1
)
_RATE = flags.DEFINE_float(
  "rate", dream.NOTEBOOK.rate, "Mean change in a step, grey levels."
)
_JITTER = flags.DEFINE_integer(
  "jitter", dream.NOTEBOOK.jitter, "Largest roll, pixels.", lower_bound=0
)
_TILE = flags.DEFINE_integer(
  "tile", None, "Longest side seen at once; else the input's.", lower_bound=1
)
_FRAMES = flags.DEFINE_integer("frames", 1, "Frames of a zoom.", lower_bound=1)
_CLOSER = flags.DEFINE_float(
  "closer",
  0.05,
  "Share of the sides that a frame leaves out of the last one.",
  lower_bound=0,
  upper_bound=0.9,
)


class _Job(NamedTuple):
  """One frame of a dream."""

  layer: str
  unit: int | None
  photo: str
  frame: int

  @property
  def recipe(self) -> str:
    of = f" of {Path(_GUIDE.value).stem}" if _GUIDE.value else ""
    return f"{self.photo}{', whole layer' * (self.unit is None)}{of}"

  @property
  def file(self) -> str:
    return picture_file(self.layer, self.unit or 0, self.recipe, self.frame)


def main() -> None:
  """Flags to photographs and layers, those to dreams and zooms."""
  if _GUIDE.value and _UNITS.value:
    raise JdeepvisError("A --guide is for whole layers; leave --units out.")
  network = load_network(_NET.value)
  photos = photographs.read(_PHOTOS.value) if _PHOTOS.value else {"noise": None}
  guide = read_picture(_GUIDE.value) if _GUIDE.value else None
  plan = dream.Plan(
    octaves=_OCTAVES.value,
    ratio=_RATIO.value,
    steps=_STEPS.value,
    rate=_RATE.value,
    jitter=_JITTER.value,
    tile=_TILE.value or min(network.input.shape[:2]),
  )
  jobs = list(_jobs(network, photos))
  asked = {(job.layer, _size(network, photos[job.photo])): job for job in jobs}
  for (_, size), job in asked.items():
    # What is too small is refused before a folder is made.
    shape = network.input.of_size(size).shape
    dream.check(_score(network, job, guide), shape, plan)
  with script.picture_folder(
    network,
    {**plan._asdict(), "side": _SIDE.value, "closer": _CLOSER.value},
    title=f"What {_NET.value} dreams",
    captioned=("photograph", "guide", "frame", "score"),
  ) as folder:
    script.make_missing(
      folder,
      jobs,
      lambda job: _dream(folder, network, plan, guide, job, photos[job.photo]),
    )
  report.print_results(folder)
  if _FRAMES.value > 1:
    for path in _write_zooms(folder, jobs):
      print(f"  {path}")


def _jobs(network: Network, photos: Mapping[str, Any]) -> Iterator[_Job]:
  for name in _LAYERS.value:
    layer = find_layer(network, name)
    units = (None,)
    if _UNITS.value:
      units = find_units(network, layer, _UNITS.value)
    for unit in units:
      for photo in photos:
        for frame in range(_FRAMES.value):
          yield _Job(layer, unit, photo, frame)


def _dream(
  folder: PictureFolder,
  network: Network,
  plan: dream.Plan,
  guide: Pixels | None,
  job: _Job,
  photo: Pixels | None,
) -> None:
  began = time.perf_counter()
  spec = network.input.of_size(_size(network, photo))
  made = resume_dream(
    folder.unfinished,
    job.file,
    _score(network, job, guide),
    _first(folder, job, photo, spec),
    spec,
    plan=plan,
    key=jax.random.key(job.frame),
  )
  image, history = jax.tree.map(np.asarray, (made.image, made.history))
  label = None
  if network.labels and job.unit is not None and job.layer == network.output:
    label = network.labels[job.unit]
  facts = {
    "photograph": job.photo,
    "guide": Path(_GUIDE.value).stem if _GUIDE.value else None,
    "layer": job.layer,
    "unit": job.unit,
    "label": label,
    "frame": job.frame,
    "score_start": float(history["score"][0]),
    "score": float(history["score"][-1]),
    "seconds": round(time.perf_counter() - began, 3),
  }
  title = unit_title(job.layer, job.unit, label)
  record = Record(job.file, title, status_of(history), facts)
  folder.add([record], [to_pixels(image, spec)], [image], [history])


def _size(network: Network, photo: Pixels | None) -> tuple[int, int]:
  height, width = network.input.shape[:2] if photo is None else photo.shape[:2]
  if not _SIDE.value:
    return height, width
  factor = _SIDE.value / max(height, width)
  return max(1, round(height * factor)), max(1, round(width * factor))


def _first(
  folder: PictureFolder, job: _Job, photo: Pixels | None, spec: InputSpec
) -> Image:
  if job.frame:
    last = folder.path / job._replace(frame=job.frame - 1).file
    image = preprocess(read_picture(last), spec)
    return dream.closer(image, _CLOSER.value)
  if photo is None:
    return initial_image(jax.random.key(0), spec)
  return preprocess(photo, spec)


def _score(network: Network, job: _Job, guide: Pixels | None) -> Score:
  if job.unit is not None:
    return bind(network, objectives.channel(job.layer, job.unit))
  if guide is None:
    return bind(network, objectives.layer_mean_square(job.layer))
  image = preprocess(guide, network.input.of_size(_size(network, guide)))
  return bind(network, dream.match_guide(network, job.layer, image))


def _write_zooms(folder: PictureFolder, jobs: list[_Job]) -> Iterator[Path]:
  for first in range(0, len(jobs), _FRAMES.value):
    files = [
      folder.path / job.file for job in jobs[first : first + _FRAMES.value]
    ]
    path = files[0].with_name("zoom.webp")
    write_animation(path, map(read_picture, files))
    yield path


if __name__ == "__main__":
  script.run(main)
