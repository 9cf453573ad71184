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

import jax.numpy as jnp
import numpy as np

from experiments import photographs, report, script
from jdeepvis.display.files import write_json
from jdeepvis.display.filters import blurred_norm
from jdeepvis.display.heat import beside, fade, outline
from jdeepvis.display.manifest import picture_file
from jdeepvis.evaluation.summary import over, table
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import in_picture, preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import backprop
from jdeepvis.probing.localisation import localise
from jdeepvis.runs import pictures
from jdeepvis.types import Pixels

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
    pictures.make_missing(folder, jobs, functools.partial(_localise, network))
  records = folder.manifest["records"]
  names = ("photograph", "unit", "label", "box")
  boxes = [{name: record[name] for name in names} for record in records]
  write_json(folder.path / "boxes.json", boxes)
  report.write_table(folder, "boxes.csv", table(records, (), _COLUMNS))


def _jobs(network: Network) -> Iterator[tuple[str, tuple]]:
  layer = class_scores(network)
  for name, photo in photographs.read(_PHOTOS.value).items():
    for unit in photographs.units_or_first(network, layer, photo, _UNITS.value):
      yield picture_file(layer, unit, name, 0), (unit, name, photo)


def _localise(
  network: Network, unit: int, name: str, photo: Pixels
) -> pictures.Made:
  image = preprocess(photo, network.input)
  classes = jnp.array([unit])
  saliency = np.asarray(backprop.saliency(network, image[None], classes)[0])
  shown = to_pixels(image, network.input)
  box, mask = localise(shown, saliency)
  inside = np.zeros((*image.shape[:2], 1), bool)
  inside[box.slices] = True
  covered = np.stack([image, image * inside, image * ~inside])
  found = np.asarray(classify.probabilities(network, covered))
  probability, only, without = map(float, found[:, unit])
  facts = {
    "photograph": name,
    "layer": network.output,
    "unit": unit,
    "label": label_of(network, network.output, unit),
    "probability": probability,
    "probability_inside": only,
    "probability_outside": without,
    "named_inside": bool(found[1].argmax() == unit),
    "named_outside": bool(found[2].argmax() == unit),
    "share": float(inside.mean()),
    "box": in_picture(box, photo.shape[:2], network.input)._asdict(),
  }
  grey = np.uint8(255 * blurred_norm(saliency[..., None]))
  return pictures.Made(
    name,
    facts,
    beside(outline(shown, box), grey, fade(shown, mask)),
    image,
    {"saliency": saliency, "mask": mask},
  )


if __name__ == "__main__":
  script.run(main)
