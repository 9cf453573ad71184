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

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from experiments import photographs, report, script
from jdeepvis.display.files import write_json
from jdeepvis.display.filters import blurred_norm
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.heat import beside, fade, outline
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import in_picture, preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import backprop
from jdeepvis.probing.localisation import localise
from jdeepvis.types import Pixels

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_UNITS = photographs.define_units()


class _Job(NamedTuple):
  """One box: a class's, in a photograph."""

  layer: str
  unit: int
  name: str

  @property
  def file(self) -> str:
    return picture_file(self.layer, self.unit, self.name, 0)


def main() -> None:
  """Flags to photographs and classes, those to boxes and a table."""
  network = load_network(_NET.value)
  photos = photographs.read(_PHOTOS.value)
  jobs = list(_jobs(network, photos))
  with script.picture_folder(
    network,
    {},
    title=f"Where {_NET.value} sees what it names",
    captioned=(("label", "unit"), "probability", "probability_inside", "share"),
    legend="A photograph with the box, what the class's score depends on, and "
    "the object.",
  ) as folder:
    script.make_missing(
      folder,
      jobs,
      lambda job: _localise(folder, network, photos[job.name], job),
    )
  records = folder.manifest["records"]
  names = ("photograph", "unit", "label", "box")
  boxes = [{name: record[name] for name in names} for record in records]
  write_json(folder.path / "boxes.json", boxes)
  report.write_table(folder, "boxes.csv", [_summary(records)])


def _jobs(network: Network, photos: Mapping[str, Pixels]) -> Iterator[_Job]:
  layer = class_scores(network)
  for name, photo in photos.items():
    for unit in photographs.units_or_first(network, layer, photo, _UNITS.value):
      yield _Job(layer, unit, name)


def _localise(
  folder: PictureFolder, network: Network, photo: Pixels, job: _Job
) -> None:
  began = time.perf_counter()
  image = preprocess(photo, network.input)
  classes = jnp.array([job.unit])
  saliency = np.asarray(backprop.saliency(network, image[None], classes)[0])
  shown = to_pixels(image, network.input)
  box, mask = localise(shown, saliency)
  inside = np.zeros((*image.shape[:2], 1), bool)
  inside[box.slices] = True
  covered = np.stack([image, image * inside, image * ~inside])
  found = np.asarray(classify.probabilities(network, covered))
  probability, only, without = map(float, found[:, job.unit])
  facts = {
    "photograph": job.name,
    "layer": job.layer,
    "unit": job.unit,
    "label": network.labels[job.unit] if network.labels else None,
    "probability": probability,
    "probability_inside": only,
    "probability_outside": without,
    "named_inside": bool(found[1].argmax() == job.unit),
    "named_outside": bool(found[2].argmax() == job.unit),
    "share": float(inside.mean()),
    "box": in_picture(box, photo.shape[:2], network.input)._asdict(),
    "seconds": round(time.perf_counter() - began, 3),
  }
  grey = np.uint8(255 * blurred_norm(saliency[..., None]))
  folder.add(
    [Record(job.file, job.name, "ok", facts)],
    [beside(outline(shown, box), grey, fade(shown, mask))],
    [image],
    [{"saliency": saliency, "mask": mask}],
  )


def _summary(records) -> dict[str, Any]:
  """How large the boxes are, and how much the class is in them."""

  def mean(name: str) -> float:
    return float(np.mean([record[name] for record in records]))

  return {
    "photographs": len(records),
    "share_of_image": mean("share"),
    "named_inside": mean("named_inside"),
    "named_outside": mean("named_outside"),
    "seconds_each": mean("seconds"),
  }


if __name__ == "__main__":
  script.run(main)
