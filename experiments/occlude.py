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

import functools
from collections.abc import Iterator

from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.manifest import picture_file
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, find_layer, label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import locate
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.jobs import make_missing
from jdeepvis.runs.photo_jobs import covered

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_LAYER = flags.DEFINE_string(
  "layer",
  None,
  "A layer by its Caffe name; else the class probabilities.",
)
_UNITS = photographs.define_units()
_POSITION = flags.DEFINE(
  script.Pair("ROW,COLUMN"),
  "position",
  None,
  "Row,column of the neuron in its map; else all of it.",
)
_SIZE = flags.DEFINE_integer(
  "size", 48, "Side of the square, pixels.", lower_bound=1
)
_STRIDE = flags.DEFINE_integer(
  "stride", 12, "From one place to the next, pixels.", lower_bound=1
)


def main() -> None:
  """Flags to photographs and units, those to maps."""
  network = load_network(_NET.value)
  jobs = dict(_jobs(network))
  with script.picture_folder(
    network,
    {flag.name: flag.value for flag in (_POSITION, _SIZE, _STRIDE)},
    title=f"What {_NET.value} looks at",
    captioned=(("label", "unit"), "value", "largest_loss"),
    legend="A photograph and where covering it takes from the unit's value "
    "(red) or adds to it (blue).",
  ) as folder:
    make = functools.partial(
      covered, network, size=_SIZE.value, stride=_STRIDE.value
    )
    make_missing(folder, jobs, make)
  report.print_results(folder)


def _jobs(network: Network) -> Iterator[tuple[str, tuple]]:
  probabilities = classify.probability_blob(network)
  if _LAYER.value:
    layer = find_layer(network, _LAYER.value)
  else:
    layer = probabilities or class_scores(network)
  # Probabilities go by the names of the class scores.
  named = network.output if layer == probabilities else layer
  position = _POSITION.value
  if position is not None:
    locate(layer, network.shapes[layer], position)
  for name, photo in photographs.read(_PHOTOS.value).items():
    for unit in photographs.units_or_first(network, named, photo, _UNITS.value):
      label = label_of(network, named, unit)
      file = picture_file(layer, unit, name, 0)
      yield file, (name, photo, layer, unit, position, label)


if __name__ == "__main__":
  script.run(main)
