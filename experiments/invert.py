r"""Inversion: reconstructs photographs from a layer's activations.

  python -m experiments.invert --photos=third_party/photos \
    --layers=conv2/3x3,inception_4c/output,output --out=out/inverted
  python -m experiments.invert --photos=photos --layers=inception_4c/output \
    --units=0-127 --side=13 --out=out/part

From noise it looks for an image with the same code, smooth and of usual
brightness (Mahendran and Vedaldi 2014). --units and --side keep only some
channels, or a square in the middle of the map; --seeds gives several
images with the same code.

OUT/montage.png goes from shallow to deep; errors.csv and the table at the end
have the error of each layer: `error` relative to the code's own norm, and
`error_by_distance`, the paper's, relative to the mean distance of the codes of
different photographs, those of --reference or else of --photos. A run that was
stopped goes on where it was; more layers, photographs or seeds are added.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record
from jdeepvis.evaluation import statistics
from jdeepvis.networks.names import find_layer, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.synthesis import inversion
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import Pixels

_NET, _PHOTOS, _SEEDS = script.define("net", "photos", "seeds")
script.define("out", "config")
_REFERENCE = flags.DEFINE_string(
  "reference", None, "A folder of photographs whose distances scale the error."
)
_LAYERS = flags.DEFINE_list(
  "layers", "output", "Layers by their Caffe names; output: the class scores."
)
_UNITS = flags.DEFINE_string(
  "units", "all", "The channels that count: numbers, ranges, all."
)
_SIDE = flags.DEFINE_integer(
  "side", None, "Side of the square that counts, in the middle.", lower_bound=1
)
_STEPS = flags.DEFINE_integer(
  "steps", 400, "Steps; the paper's are 400.", lower_bound=4
)


class _Job(NamedTuple):
  """One picture: a layer's code of a photograph, the part that counts."""

  layer: str
  place: int
  photo: str
  seed: int
  mask: np.ndarray

  @property
  def file(self) -> str:
    return picture_file(self.layer, self.place, self.photo, self.seed)


def main() -> None:
  """Flags to codes, codes to images and a table of errors."""
  network = load_network(_NET.value)
  photos = photographs.read(_PHOTOS.value)
  reference = photographs.read(_REFERENCE.value) if _REFERENCE.value else photos

  def make(job: _Job) -> None:
    distance = folder.settle(
      f"mean distance, {job.layer}",
      lambda: _distance(network, job.layer, reference),
    )
    _invert(folder, network, job, photos[job.photo], distance)

  jobs = _jobs(network, photos)
  with script.picture_folder(
    network,
    {"units": _UNITS.value, "side": _SIDE.value, "steps": _STEPS.value},
    title=f"What layers of {_NET.value} know",
    captioned=("photograph", "seed", "error"),
  ) as folder:
    script.make_missing(folder, jobs, make)
  report.write_table(folder, "errors.csv", _table(folder.manifest["records"]))


def _jobs(network: Network, photos: Mapping[str, Pixels]) -> list[_Job]:
  shapes = network.shapes
  jobs = []
  for name in _LAYERS.value:
    layer = find_layer(network, name)
    units = find_units(network, layer, _UNITS.value)
    mask = inversion.code_mask(shapes[layer], units=units, side=_SIDE.value)
    place = network.order.index(layer)
    jobs += [
      _Job(layer, place, photo, seed, mask)
      for photo in photos
      for seed in range(_SEEDS.value)
    ]
  return sorted(jobs, key=lambda job: job.place)


def _distance(
  network: Network, layer: str, photos: Mapping[str, Pixels]
) -> float | None:
  if len(photos) < 2:
    return None
  codes = [
    inversion.code_of(network, layer, preprocess(photo, network.input))
    for photo in photos.values()
  ]
  return statistics.diversity(np.stack(codes).reshape(len(codes), -1))


def _invert(
  folder: PictureFolder,
  network: Network,
  job: _Job,
  photo: Pixels,
  distance: float | None,
) -> None:
  began = time.perf_counter()
  code = inversion.code_of(network, job.layer, preprocess(photo, network.input))
  state, history = inversion.invert(
    network,
    job.layer,
    code,
    key=jax.random.key(job.seed),
    mask=job.mask,
    steps=_STEPS.value,
  )
  image = np.asarray(state.last.image)
  history = jax.tree.map(np.asarray, history)
  error = float(history["error"][-1])
  size = float(np.linalg.norm(code * job.mask))
  by_distance = None
  if distance and job.mask.all():
    by_distance = error * size / distance
  facts = {
    "photograph": job.photo,
    "layer": job.layer,
    "depth": job.place,
    "seed": job.seed,
    "error": error,
    "error_by_distance": by_distance,
    "seconds": round(time.perf_counter() - began, 3),
  }
  record = Record(job.file, job.layer, status_of(history), facts)
  folder.add([record], [to_pixels(image, network.input)], [image], [history])


def _table(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """A row for each layer, shallow to deep."""
  rows = []
  for depth in sorted({record["depth"] for record in records}):
    group = [record for record in records if record["depth"] == depth]
    ours = [one["error_by_distance"] for one in group]
    rows.append(
      {
        "layer": group[0]["layer"],
        "pictures": len(group),
        "error": float(np.mean([one["error"] for one in group])),
        "error_by_distance": (None if None in ours else float(np.mean(ours))),
        "seconds_each": float(np.mean([one["seconds"] for one in group])),
      }
    )
  return rows


if __name__ == "__main__":
  script.run(main)
