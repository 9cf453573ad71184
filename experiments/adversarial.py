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

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.heat import beside
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.presentation import headroom, stretch
from jdeepvis.display.records import Record
from jdeepvis.networks import classify
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.synthesis import adversarial
from jdeepvis.types import JdeepvisError, Pixels

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


class _Job(NamedTuple):
  """One photograph by one method, from a class or towards another."""

  layer: str
  photo: str
  method: str
  targeted: bool
  image: np.ndarray
  first: int
  target: int

  @property
  def name(self) -> str:
    return f"{self.method} {'' if self.targeted else 'un'}targeted"

  @property
  def unit(self) -> int:
    return self.target if self.targeted else self.first

  @property
  def recipe(self) -> str:
    return f"{self.photo}, {self.name}"

  @property
  def file(self) -> str:
    return picture_file(self.layer, self.unit, self.recipe, _SEED.value)


def main() -> None:
  """Flags to photographs and methods, those to pictures and a table."""
  if unknown := set(_CHOSEN.value) - set(_METHODS):
    raise JdeepvisError(
      f"There is no method {min(unknown)!r}; use {', '.join(_METHODS)}."
    )
  network = load_network(_NET.value)
  jobs = list(_jobs(network, photographs.read(_PHOTOS.value)))
  with script.picture_folder(
    network,
    {"size": _SIZE.value, "steps": _STEPS.value, "seed": _SEED.value},
    title=f"What changes the mind of {_NET.value}",
    captioned=("method", ("label_now", "class_now"), "largest"),
    legend="A photograph, what it is changed to, and the difference, "
    "stretched in contrast.",
  ) as folder:
    script.make_missing(folder, jobs, lambda job: _attack(folder, network, job))
  report.write_table(folder, "attacks.csv", _table(folder.manifest["records"]))


def _jobs(network: Network, photos: Mapping[str, Pixels]) -> Iterator[_Job]:
  for number, (name, photo) in enumerate(photos.items()):
    image = preprocess(photo, network.input)
    found = classify.probabilities(network, image[None])[0]
    first = int(found.argmax())
    away = np.random.default_rng((_SEED.value, number))
    target = (first + int(away.integers(1, len(found)))) % len(found)
    for method in _CHOSEN.value:
      for targeted in (True,) if method == "lbfgs" else (False, True):
        yield _Job(network.output, name, method, targeted, image, first, target)


def _changed(network: Network, job: _Job) -> np.ndarray:
  if job.method == "lbfgs":
    return adversarial.smallest_change(network, job.image, job.unit)[0]
  steps = _STEPS.value if job.method == "iterated" else 1
  return adversarial.gradient_sign(
    network,
    job.image,
    job.unit,
    size=_SIZE.value,
    steps=steps,
    step=1.0 if job.method == "iterated" else _SIZE.value,
    targeted=job.targeted,
  )


def _attack(folder: PictureFolder, network: Network, job: _Job) -> None:
  began = time.perf_counter()
  changed = np.asarray(_changed(network, job))
  shown = [to_pixels(one, network.input) for one in (job.image, changed)]
  plain = np.stack(shown).astype(np.float32) - network.input.mean
  found = np.asarray(classify.probabilities(network, plain))
  now = int(found[1].argmax())
  succeeded = now == job.target if job.targeted else now != job.first
  change = plain[1] - plain[0]
  labels = network.labels or dict.fromkeys((job.first, job.unit, now))
  facts = {
    "photograph": job.photo,
    "method": job.name,
    "layer": job.layer,
    "unit": job.unit,
    "label": labels[job.unit],
    "class_before": job.first,
    "label_before": labels[job.first],
    "class_now": now,
    "label_now": labels[now],
    "probability_before": float(found[0, job.unit]),
    "probability": float(found[1, job.unit]),
    "rms": float(np.sqrt(np.mean(change**2))),
    "largest": float(np.abs(change).max()),
    "seed": _SEED.value,
    "seconds": round(time.perf_counter() - began, 3),
  }
  status = "ok" if succeeded else "unchanged"
  record = Record(job.file, job.photo, status, facts)
  difference = stretch(change, headroom(change))
  history = {"change": change}
  folder.add([record], [beside(*shown, difference)], [changed], [history])


def _table(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
  """A row for each method; sizes are those of the changes that succeeded."""
  rows = []
  for name in dict.fromkeys(record["method"] for record in records):
    group = [record for record in records if record["method"] == name]
    good = [record for record in group if record["status"] == "ok"]
    rows.append(
      {
        "method": name,
        "photographs": len(group),
        "success": len(good) / len(group),
        "mean_rms": _mean(good, "rms"),
        "mean_largest": _mean(good, "largest"),
        "seconds_each": _mean(group, "seconds"),
      }
    )
  return rows


def _mean(records: Sequence[Mapping[str, Any]], name: str) -> float | None:
  values = [record[name] for record in records]
  return float(np.mean(values)) if values else None


if __name__ == "__main__":
  script.run(main)
