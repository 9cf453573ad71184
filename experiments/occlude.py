r"""Occlusion sensitivity: a unit's loss where a photograph is covered.

  python -m experiments.occlude --photos=third_party/photos --out=out/covered
  python -m experiments.occlude --photos=photos --layer=inception_4c/output \
    --units=12 --size=32 --stride=8 --out=out/covered_4c

A grey square slides over each photograph; where the unit's value falls the
picture is red, where it rises blue (Zeiler and Fergus 2014, figure 7). --units
=first takes the class that the network names first. In a hidden layer the sum
over the unit's map counts, as in the paper, or one position by --position.

OUT/index.html shows the photographs beside their maps, history.npz has the maps
(value of the whole photograph minus that of the covered one) and manifest.json
the value of the whole one (`value`), the largest loss and where it is. A
unit that no square changes has the status `silent`. A run that was stopped goes
on where it was.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.heat import beside, overlay
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import occlusion
from jdeepvis.types import Pixels

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_LAYER = flags.DEFINE_string(
  "layer",
  None,
  "A layer by its Caffe name; else the class probabilities.",
)
_UNITS = photographs.define_units()
_POSITION = flags.DEFINE_list(
  "position", None, "Row,column of the neuron in its map; else all of it."
)
_SIZE = flags.DEFINE_integer(
  "size", 48, "Side of the square, pixels.", lower_bound=1
)
_STRIDE = flags.DEFINE_integer(
  "stride", 12, "From one place to the next, pixels.", lower_bound=1
)


class _Job(NamedTuple):
  """One map: a unit's, of a photograph."""

  layer: str
  unit: int
  name: str
  photo: Pixels

  @property
  def file(self) -> str:
    return picture_file(self.layer, self.unit, self.name, 0)


def main() -> None:
  """Flags to photographs and units, those to maps."""
  network = load_network(_NET.value)
  layer = _layer(network)
  position = script.as_position(_POSITION.value)
  jobs = list(_jobs(network, layer))
  for unit in {job.unit for job in jobs}:
    # What the network does not have is refused before a folder is made.
    blank = np.zeros(network.input.shape, np.float32)
    occlusion.value(network, blank, layer, unit, position=position)
  with script.picture_folder(
    network,
    {"position": position, "size": _SIZE.value, "stride": _STRIDE.value},
    title=f"What {_NET.value} looks at",
    captioned=(("label", "unit"), "value", "largest_loss"),
    legend="A photograph and where covering it takes from the unit's value "
    "(red) or adds to it (blue).",
  ) as folder:
    script.make_missing(
      folder, jobs, lambda job: _cover(folder, network, position, job)
    )
  report.print_results(folder)


def _layer(network: Network) -> str:
  if _LAYER.value:
    return find_layer(network, _LAYER.value)
  return classify.probability_blob(network) or class_scores(network)


def _jobs(network: Network, layer: str) -> Iterator[_Job]:
  # Probabilities go by the names of the class scores.
  named = network.output if _of_classes(network, layer) else layer
  for name, photo in photographs.read(_PHOTOS.value).items():
    for unit in photographs.units_or_first(network, named, photo, _UNITS.value):
      yield _Job(layer, unit, name, photo)


def _of_classes(network: Network, layer: str) -> bool:
  return layer in (network.output, classify.probability_blob(network))


def _cover(
  folder: PictureFolder,
  network: Network,
  position: tuple[int, int] | None,
  job: _Job,
) -> None:
  began = time.perf_counter()
  layer, unit = job.layer, job.unit
  image = preprocess(job.photo, network.input)
  asked = {"layer": layer, "unit": unit, "position": position}
  whole = float(occlusion.value(network, image, **asked))
  covered = occlusion.occlude(
    network, image, **asked, size=_SIZE.value, stride=_STRIDE.value
  )
  loss = np.asarray(whole - covered)
  row, column = np.unravel_index(loss.argmax(), loss.shape)
  classes = _of_classes(network, layer)
  facts = {
    "photograph": job.name,
    "layer": layer,
    "unit": unit,
    "label": network.labels[unit] if classes and network.labels else None,
    "value": whole,
    "largest_loss": float(loss.max()),
    "largest_loss_at": [
      int(place) * _STRIDE.value + _STRIDE.value // 2 for place in (row, column)
    ],
    "seconds": round(time.perf_counter() - began, 3),
  }
  status = "ok" if loss.any() else "silent"
  shown = to_pixels(image, network.input)
  folder.add(
    [Record(job.file, job.name, status, facts)],
    [beside(shown, overlay(shown, loss))],
    [image],
    [{"loss": loss}],
  )


if __name__ == "__main__":
  script.run(main)
