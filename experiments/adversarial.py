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
from jdeepvis.display.heat import beside
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.presentation import headroom, stretch
from jdeepvis.evaluation import summary
from jdeepvis.evaluation.summary import over
from jdeepvis.networks import classify
from jdeepvis.networks.names import label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs import pictures
from jdeepvis.synthesis import adversarial
from jdeepvis.types import Image, JdeepvisError

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
    pictures.make_missing(folder, jobs, functools.partial(_attack, network))
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


def _changed(network: Network, image: Image, attack: str, unit: int) -> Image:
  method, way = attack.split()
  if method == "lbfgs":
    return adversarial.smallest_change(network, image, unit)[0]
  many = method == "iterated"
  return adversarial.gradient_sign(
    network,
    image,
    unit,
    size=_SIZE.value,
    steps=_STEPS.value if many else 1,
    step=1.0 if many else _SIZE.value,
    targeted=way == "targeted",
  )


def _attack(
  network: Network, name: str, image: Image, attack: str, first: int, unit: int
) -> pictures.Made:
  changed = np.asarray(_changed(network, image, attack, unit))
  shown = [to_pixels(one, network.input) for one in (image, changed)]
  plain = np.stack(shown).astype(np.float32) - network.input.mean
  found = np.asarray(classify.probabilities(network, plain))
  now = int(found[1].argmax())
  succeeded = now != first if attack.endswith("untargeted") else now == unit
  change = plain[1] - plain[0]
  label = functools.partial(label_of, network, network.output)
  facts = {
    "photograph": name,
    "method": attack,
    "layer": network.output,
    "unit": unit,
    "label": label(unit),
    "class_before": first,
    "label_before": label(first),
    "class_now": now,
    "label_now": label(now),
    "probability_before": float(found[0, unit]),
    "probability": float(found[1, unit]),
    "rms": float(np.sqrt(np.mean(change**2))),
    "largest": float(np.abs(change).max()),
    "seed": _SEED.value,
  }
  return pictures.Made(
    name,
    facts,
    beside(*shown, stretch(change, headroom(change))),
    changed,
    {"change": change},
    "ok" if succeeded else "unchanged",
  )


if __name__ == "__main__":
  script.run(main)
