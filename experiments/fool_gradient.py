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

import numpy as np
from absl import flags

from experiments import report, script
from jdeepvis.evaluation.summary import over, succeeded, table
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs.fooling import fool_folder
from jdeepvis.synthesis import named_recipes
from jdeepvis.synthesis.initial import INITIALS
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.requests import Request, requests
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
  with script.picture_folder(
    network,
    {"confidence": _CONFIDENCE.value, "limit": _LIMIT.value},
    recipes=recipes,
    title=f"What fools {_NET.value}",
    captioned=("recipe", "initial", "steps", "confidence"),
  ) as folder:
    fool_folder(
      folder,
      network,
      wanted,
      confidence=_CONFIDENCE.value,
      limit=_LIMIT.value,
    )
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


if __name__ == "__main__":
  script.run(main, all_cores=True)
