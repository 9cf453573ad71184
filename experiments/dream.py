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

import functools
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.files import write_animation
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import unit_title
from jdeepvis.networks.names import find_layer, find_units, label_of
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.pictures import preprocess, read_picture, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.dreams import resume_dream
from jdeepvis.runs.jobs import Made, make_missing
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
_PLAN = (
  flags.DEFINE_integer(
    "octaves", dream.NOTEBOOK.octaves, "Sizes.", lower_bound=1
  ),
  flags.DEFINE_float(
    "ratio", dream.NOTEBOOK.ratio, "Of one size to the next.", lower_bound=1
  ),
  flags.DEFINE_integer(
    "steps", dream.NOTEBOOK.steps, "Steps at each size.", lower_bound=1
  ),
  flags.DEFINE_float(
    "rate", dream.NOTEBOOK.rate, "Mean change in a step, grey levels."
  ),
  flags.DEFINE_integer(
    "jitter", dream.NOTEBOOK.jitter, "Largest roll, pixels.", lower_bound=0
  ),
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


def main() -> None:
  """Flags to photographs and layers, those to dreams and zooms."""
  if _GUIDE.value and _UNITS.value:
    raise JdeepvisError("A --guide is for whole layers; leave --units out.")
  network = load_network(_NET.value)
  guide = read_picture(_GUIDE.value) if _GUIDE.value else None
  plan = dream.Plan(
    **{flag.name: flag.value for flag in _PLAN},
    tile=_TILE.value or min(network.input.shape[:2]),
  )
  jobs = dict(_jobs(network))
  asked = {
    (layer, _spec(network, photo).shape): unit
    for layer, unit, _, photo, *_ in jobs.values()
  }
  for (layer, shape), unit in asked.items():
    # What is too small is refused before a folder is made.
    dream.check(_score(network, guide, layer, unit), shape, plan)
  with script.picture_folder(
    network,
    {**plan._asdict(), "side": _SIDE.value, "closer": _CLOSER.value},
    title=f"What {_NET.value} dreams",
    captioned=("photograph", "guide", "frame", "score"),
  ) as folder:
    make = functools.partial(_dream, network, folder, plan, guide)
    make_missing(folder, jobs, make)
  report.print_results(folder)
  if _FRAMES.value > 1:
    for path in _write_zooms(folder.path, list(jobs)):
      print(f"  {path}")


def _jobs(network: Network) -> Iterator[tuple[str, tuple]]:
  photos = photographs.read(_PHOTOS.value) if _PHOTOS.value else {"noise": None}
  whole = f", whole layer{f' of {_guide()}' if _GUIDE.value else ''}"
  for name in _LAYERS.value:
    layer, units = find_layer(network, name), (None,)
    if _UNITS.value:
      units = find_units(network, layer, _UNITS.value)
    for unit, (photo, pixels) in itertools.product(units, photos.items()):
      called, last = photo if unit is not None else f"{photo}{whole}", None
      for frame in range(_FRAMES.value):
        file = picture_file(layer, unit or 0, called, frame)
        yield file, (layer, unit, photo, pixels, frame, file, last)
        last = file


def _guide() -> str | None:
  return Path(_GUIDE.value).stem if _GUIDE.value else None


def _dream(
  network: Network,
  folder: PictureFolder,
  plan: dream.Plan,
  guide: Pixels | None,
  layer: str,
  unit: int | None,
  name: str,
  photo: Pixels | None,
  frame: int,
  file: str,
  last: str | None,
) -> Made:
  spec = _spec(network, photo)
  made = resume_dream(
    folder.unfinished,
    file,
    _score(network, guide, layer, unit),
    _first(photo, last and folder.path / last, spec),
    spec,
    plan=plan,
    key=jax.random.key(frame),
  )
  image, history = jax.device_get((made.image, made.history))
  label = label_of(network, layer, unit)
  facts = {
    "photograph": name,
    "guide": _guide(),
    "layer": layer,
    "unit": unit,
    "label": label,
    "frame": frame,
    "score_start": float(history["score"][0]),
    "score": float(history["score"][-1]),
  }
  return Made(
    unit_title(layer, unit, label),
    facts,
    to_pixels(image, spec),
    image,
    history,
    status_of(history),
  )


def _spec(network: Network, photo: Pixels | None) -> InputSpec:
  """The input, as large as the photograph, or as --side says."""
  shape = network.input.shape if photo is None else photo.shape
  height, width = shape[:2]
  factor = (_SIDE.value or max(height, width)) / max(height, width)
  return network.input.of_size(
    (max(1, round(height * factor)), max(1, round(width * factor)))
  )


def _first(photo: Pixels | None, last: Path | None, spec: InputSpec) -> Image:
  if last:
    return dream.closer(preprocess(read_picture(last), spec), _CLOSER.value)
  if photo is None:
    return initial_image(jax.random.key(0), spec)
  return preprocess(photo, spec)


def _score(
  network: Network, guide: Pixels | None, layer: str, unit: int | None
) -> Score:
  if unit is not None:
    return bind(network, objectives.channel(layer, unit))
  if guide is None:
    return bind(network, objectives.layer_mean_square(layer))
  image = preprocess(guide, _spec(network, guide))
  return bind(network, dream.match_guide(network, layer, image))


def _write_zooms(root: Path, files: Sequence[str]) -> Iterator[Path]:
  for first in range(0, len(files), _FRAMES.value):
    frames = [root / file for file in files[first : first + _FRAMES.value]]
    path = frames[0].with_name("zoom.webp")
    write_animation(path, map(read_picture, frames))
    yield path


if __name__ == "__main__":
  script.run(main)
