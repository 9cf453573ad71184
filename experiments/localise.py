r"""Weakly supervised localisation: a box around each photograph's class.

  python -m experiments.localise --photos=third_party/photos --out=out/boxes
  python -m experiments.localise --photos=photos --units=tabby --out=out/cats

The network was trained without boxes: the most salient pixels give the object's
colours, the least salient ones the background's, and a graph cut separates the
two (Simonyan, Vedaldi and Zisserman 2013). --units=first takes the class that
the network names first.

OUT/index.html shows each photograph as the network sees it with its box, the
saliency map and the object. boxes.json has the boxes in the photographs' own
pixels. The table at the end has the share of the image that they take, and how
many photographs keep their class if all outside is covered, or all inside. A
run that was stopped goes on where it was.
"""

import functools
from collections.abc import Iterator

from experiments import photographs, report, script
from jdeepvis.display.files import write_json
from jdeepvis.display.manifest import picture_file
from jdeepvis.evaluation.summary import over, table
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.jobs import make_missing
from jdeepvis.runs.photo_jobs import boxed

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_UNITS = photographs.define_units()


_COLUMNS = {
  "photographs": len,
  "share_of_image": over("share"),
  "named_inside": over("named_inside"),
  "named_outside": over("named_outside"),
  "seconds_each": over("seconds"),
}


def main() -> None:
  """Flags to photographs and classes, those to boxes and a table."""
  network = load_network(_NET.value)
  jobs = dict(_jobs(network))
  with script.picture_folder(
    network,
    {},
    title=f"Where {_NET.value} sees what it names",
    captioned=(("label", "unit"), "probability", "probability_inside", "share"),
    legend="A photograph with the box, what the class's score depends on, and "
    "the object.",
  ) as folder:
    make_missing(folder, jobs, functools.partial(boxed, network))
  records = folder.manifest["records"]
  names = ("photograph", "unit", "label", "box")
  boxes = [{name: record[name] for name in names} for record in records]
  write_json(folder.path / "boxes.json", boxes)
  report.write_table(folder, "boxes.csv", table(records, (), _COLUMNS))


def _jobs(network: Network) -> Iterator[tuple[str, tuple]]:
  layer = class_scores(network)
  for name, photo in photographs.read(_PHOTOS.value).items():
    for unit in photographs.units_or_first(network, layer, photo, _UNITS.value):
      yield picture_file(layer, unit, name, 0), (name, photo, unit)


if __name__ == "__main__":
  script.run(main)
