r"""Makes pictures that fool a network, and counts the steps that takes.

  python -m experiments.fool_gradient --units=flamingo,junco --out=out/fooled
  python -m experiments.fool_gradient --units=all --initial=noise,mean \
    --out=out/fooled

From noise and from the mean colour it maximises each class's log-probability
until the network is as certain as --confidence says, of the picture as it is
written (Nguyen, Yosinski and Clune 2015). --recipe=simonyan adds decay, as they
do to see more of the class. A run that was stopped goes on where it was; more
units, initial images or recipes are added.

OUT/index.html shows the pictures, OUT/manifest.json has each one's `steps`;
OUT/steps.csv and the table at the end sum them up. A picture that did not get
there within --limit evaluations has the status `unconvinced`.
"""

import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from absl import flags

from experiments import report, script
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.progress import show_progress
from jdeepvis.display.records import unit_title
from jdeepvis.evaluation.summary import over, succeeded, table
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.pictures import Made
from jdeepvis.runs.renders import file_of
from jdeepvis.synthesis import fooling, named_recipes
from jdeepvis.synthesis.batch_size import batch_size
from jdeepvis.synthesis.initial import INITIALS, initial_image
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.requests import Request, requests
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import JdeepvisError

_NET, _UNITS = script.define("net", "units")
script.define("out", "config")
_INITIAL = flags.DEFINE_list(
  "initial",
  "noise,mean",
  f"Initial images: one or several of {', '.join(INITIALS)}.",
)
_RECIPE = flags.DEFINE_list(
  "recipe",
  "none",
  "Step and priors, by name; augmentation and log_prob_weight are ignored.",
)
_CONFIDENCE = flags.DEFINE_float(
  "confidence",
  0.996,
  "The class's probability to reach.",
  lower_bound=0,
  upper_bound=1,
)
_LIMIT = flags.DEFINE_integer(
  "limit", 200, "Most evaluations of a picture.", lower_bound=1
)


# Steps are those of the pictures that fool.
_COLUMNS = {
  "classes": len,
  "fooled": succeeded,
  "median_steps": over("steps", np.median, ok=True),
  "most_steps": over("steps", max, ok=True),
  "mean_confidence": over("confidence"),
  "seconds_each": over("seconds"),
}


def main() -> None:
  """Flags to requests, requests to pictures and a table of their steps."""
  network = load_network(_NET.value)
  recipes = {name: named_recipes.recipe(name) for name in _RECIPE.value}
  wanted = {
    (initial, name): _requests(network, initial, name, recipe)
    for initial in _INITIAL.value
    for name, recipe in recipes.items()
  }
  total = sum(map(len, wanted.values()))
  with script.picture_folder(
    network,
    {"confidence": _CONFIDENCE.value, "limit": _LIMIT.value},
    recipes=recipes,
    title=f"What fools {_NET.value}",
    captioned=("recipe", "initial", "steps", "confidence"),
  ) as folder:
    size = folder.settle(
      "pictures at once",
      lambda: batch_size(network, network.output, total),
    )
    left = []
    for job, requests in wanted.items():
      rest = [one for one in requests if file_of(one) not in folder]
      left += [(*job, rest[i : i + size]) for i in range(0, len(rest), size)]
    for job in show_progress(
      left,
      lambda job: len(job[-1]),
      total=total,
      done=total - sum(len(batch) for *_, batch in left),
      unit="picture",
    ):
      _fool(folder, network, size, *job)
  rows = table(folder.manifest["records"], ["recipe", "initial"], _COLUMNS)
  report.write_table(folder, "steps.csv", rows)


def _requests(
  network: Network, initial: str, name: str, recipe: Recipe
) -> list[Request]:
  if initial not in INITIALS:
    raise JdeepvisError(
      f"There is no initial image {initial!r}; use {', '.join(INITIALS)}."
    )
  target = f"{class_scores(network)}:{_UNITS.value}"
  return requests(network, target, {f"{name} from {initial}": recipe})


def _fool(
  folder: PictureFolder,
  network: Network,
  size: int,
  initial: str,
  recipe: str,
  requests: Sequence[Request],
) -> None:
  began = time.perf_counter()
  # A batch is always whole: one program, and the same bits for a picture.
  padded = [*requests, *[requests[-1]] * (size - len(requests))]
  images = [
    initial_image(jax.random.fold_in(one.key, 0), network.input, initial)
    for one in padded
  ]
  made = fooling.fool_many(
    network,
    requests[0].recipe,
    [one.unit for one in padded],
    np.stack(images),
    confidence=_CONFIDENCE.value,
    limit=_LIMIT.value,
  )
  made = jax.tree.map(np.asarray, made)
  pixels = [to_pixels(image, network.input) for image in made.image]
  plain = np.stack(pixels).astype(np.float32) - network.input.mean
  scores = np.asarray(classify.activations(network, network.output, plain))
  found = np.asarray(classify.probabilities(network, plain))
  seconds = (time.perf_counter() - began) / len(requests)
  pictures = {}
  for i, request in enumerate(requests):
    looks = int(made.steps[i]) + 1
    history = {name: rows[i, :looks] for name, rows in made.history.items()}
    label = label_of(network, request.layer, request.unit)
    facts = {
      "layer": request.layer,
      "unit": request.unit,
      "label": label,
      "seed": request.seed,
      "recipe": recipe,
      "initial": initial,
      "steps": looks - 1,
      "confidence": float(made.confidence[i]),
      "activation": float(scores[i].reshape(-1)[request.unit]),
      "probability": float(found[i, request.unit]),
      "seconds": round(seconds, 3),
    }
    pictures[file_of(request)] = Made(
      unit_title(request.layer, request.unit, label),
      facts,
      pixels[i],
      made.image[i],
      history,
      _status(history),
    )
  folder.add(pictures)


def _status(history: Mapping[str, np.ndarray]) -> str:
  if history["probability"][-1] >= _CONFIDENCE.value:
    return "ok"
  failure = status_of(history, ceiling=0.0)  # Of log p.
  return "unconvinced" if failure == "ok" else failure


if __name__ == "__main__":
  script.run(main, all_cores=True)
