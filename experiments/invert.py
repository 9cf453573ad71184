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

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.evaluation import statistics
from jdeepvis.evaluation.summary import over, table
from jdeepvis.networks.names import find_layer, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.jobs import Made, make_missing
from jdeepvis.runs.photo_jobs import inverted
from jdeepvis.synthesis import inversion
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


_COLUMNS = {
  "pictures": len,
  "error": over("error"),
  "error_by_distance": over("error_by_distance"),
  "seconds_each": over("seconds"),
}


def main() -> None:
  """Flags to codes, codes to images and a table of errors."""
  network = load_network(_NET.value)
  photos = photographs.read(_PHOTOS.value)
  reference = photographs.read(_REFERENCE.value) if _REFERENCE.value else photos
  jobs = dict(_jobs(network, photos))
  with script.picture_folder(
    network,
    {"units": _UNITS.value, "side": _SIDE.value, "steps": _STEPS.value},
    title=f"What layers of {_NET.value} know",
    captioned=("photograph", "seed", "error"),
  ) as folder:
    make = functools.partial(_invert, network, folder, reference)
    make_missing(folder, jobs, make)
  # Shallow to deep.
  records = sorted(folder.manifest["records"], key=lambda one: one["depth"])
  report.write_table(folder, "errors.csv", table(records, ["layer"], _COLUMNS))


def _jobs(
  network: Network, photos: Mapping[str, Pixels]
) -> Iterator[tuple[str, tuple]]:
  layers = {find_layer(network, name) for name in _LAYERS.value}
  for layer in sorted(layers, key=network.order.index):
    units = find_units(network, layer, _UNITS.value)
    shape = network.shapes[layer]
    mask = inversion.code_mask(shape, units=units, side=_SIDE.value)
    depth = network.order.index(layer)
    for name, photo in photos.items():
      for seed in range(_SEEDS.value):
        file = picture_file(layer, depth, name, seed)
        yield file, (layer, mask, name, photo, seed)


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
  network: Network,
  folder: PictureFolder,
  reference: Mapping[str, Pixels],
  layer: str,
  *job: Any,
) -> Made:
  distance = folder.settle(
    f"mean distance, {layer}", lambda: _distance(network, layer, reference)
  )
  return inverted(network, layer, *job, steps=_STEPS.value, distance=distance)


if __name__ == "__main__":
  script.run(main)
