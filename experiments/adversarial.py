r"""Adversarial examples: photographs changed invisibly that change class.

  python -m experiments.adversarial --photos=third_party/photos --out=out/moved
  python -m experiments.adversarial --photos=photos --methods=fgsm,iterated \
    --size=2 --out=out/signs

Three methods: fgsm, one step along the gradient's sign (Goodfellow et al.
2014); iterated, --steps of them (Kurakin et al. 2016); lbfgs, the smallest
change that leads to a class (Szegedy et al. 2013). The first two both away from
the class that the network names first (untargeted) and towards another
(targeted), drawn by --seed for each photograph; lbfgs towards it only.

What counts is the picture as it is written, in whole grey levels.
OUT/index.html shows each photograph, what became of it and the difference,
stretched; attacks.csv and the table at the end show how many changed class and
by how much: the root of the mean squared change and the largest, in grey
levels, of those that did. A run that was stopped goes on where it was.
"""

import functools
from collections.abc import Iterator

import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.manifest import picture_file
from jdeepvis.evaluation import summary
from jdeepvis.evaluation.summary import over
from jdeepvis.networks import classify
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.jobs import make_missing
from jdeepvis.runs.photo_jobs import attacked
from jdeepvis.types import JdeepvisError

_METHODS = ("fgsm", "iterated", "lbfgs")

_NET, _PHOTOS = script.define("net", "photos")
script.define("out", "config")
_CHOSEN = flags.DEFINE_list(
  "methods", ",".join(_METHODS), f"One or several of {', '.join(_METHODS)}."
)
_SIZE = flags.DEFINE_float(
  "size",
  4.0,
  "Largest change of a value by fgsm and iterated, grey levels.",
  lower_bound=0.5,
)
_STEPS = flags.DEFINE_integer(
  "steps", 10, "Steps of iterated, one grey level each.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Draws the classes to reach.")


# Sizes are those of the changes that succeeded.
_COLUMNS = {
  "photographs": len,
  "success": lambda group: summary.succeeded(group) / len(group),
  "mean_rms": over("rms", ok=True),
  "mean_largest": over("largest", ok=True),
  "seconds_each": over("seconds"),
}


def main() -> None:
  """Flags to photographs and methods, those to pictures and a table."""
  if unknown := set(_CHOSEN.value) - set(_METHODS):
    raise JdeepvisError(
      f"There is no method {min(unknown)!r}; use {', '.join(_METHODS)}."
    )
  network = load_network(_NET.value)
  jobs = dict(_jobs(network))
  with script.picture_folder(
    network,
    {flag.name: flag.value for flag in (_SIZE, _STEPS, _SEED)},
    title=f"What changes the mind of {_NET.value}",
    captioned=("method", ("label_now", "class_now"), "largest"),
    legend="A photograph, what it is changed to, and the difference, "
    "stretched in contrast.",
  ) as folder:
    make = functools.partial(
      attacked,
      network,
      size=_SIZE.value,
      steps=_STEPS.value,
      seed=_SEED.value,
    )
    make_missing(folder, jobs, make)
  rows = summary.table(folder.manifest["records"], ["method"], _COLUMNS)
  report.write_table(folder, "attacks.csv", rows)


def _jobs(network: Network) -> Iterator[tuple[str, tuple]]:
  read = photographs.read(_PHOTOS.value)
  for number, (name, photo) in enumerate(read.items()):
    image = preprocess(photo, network.input)
    found = classify.probabilities(network, image[None])[0]
    first = int(found.argmax())
    away = np.random.default_rng((_SEED.value, number))
    target = (first + int(away.integers(1, len(found)))) % len(found)
    for method in _CHOSEN.value:
      for targeted in (True,) if method == "lbfgs" else (False, True):
        unit = target if targeted else first
        attack = f"{method} {'' if targeted else 'un'}targeted"
        called = f"{name}, {attack}"
        file = picture_file(network.output, unit, called, _SEED.value)
        yield file, (name, image, attack, first, unit)


if __name__ == "__main__":
  script.run(main)
