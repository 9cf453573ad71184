"""Studies of the priors: which recipes to compare.

Within a study all recipes have the same entries: one that a recipe does without
is there at the strength of the identity. So recipes with equal `steps` and
`every` share one compiled program.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from jdeepvis.synthesis import transforms
from jdeepvis.synthesis.entries import STEP, Entry, current_name
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import JdeepvisError

# With so large a target policy `progress` always takes its largest rate, so
# that constant rates run in the same program.
_ANY_RISE = 1e30

_PERCENTILES = (0, 10, 20, 30, 50, 80, 90)
_SEARCH = MappingProxyType(
  {
    "decay": ((0, 1e-4, 1e-3, 1e-2, 0.1, 0.2, 0.3), (4, 1, 1, 2, 1, 1, 1)),
    "blur": ((0, 0.3, 0.4, 0.5, 1), (10, 2, 1, 1, 1)),
    "blur_every": ((1, 2, 3, 4), (1,) * 4),
    "norm_percentile": (_PERCENTILES, (10, 10, 5, 2, 2, 2, 2)),
    "contribution_percentile": (_PERCENTILES, (10, 10, 5, 2, 2, 2, 2)),
    "benefit_percentile": (_PERCENTILES, (20, 10, 5, 2, 2, 2, 2)),
    "steps": ((250, 500, 750, 1000, 1500), (1,) * 5),
  }
)
_POLICIES = (("progress", "constant"), (10, 5))
_RATES = MappingProxyType(
  {
    "constant": {"rate": ((0.001, 0.01, 0.1, 1, 10, 100), (1,) * 6)},
    "progress": {
      "max_rate": ((1e2, 1e4, 1e6, 1e8), (1,) * 4),
      "progress": ((0.1, 0.2, 0.5, 1, 2, 5), (1,) * 6),
    },
  }
)


class Combination(NamedTuple):
  """One recipe of a study.

  Attributes:
    name: what it is called in files and records.
    recipe: how to make the pictures.
    strengths: the strengths that the study varies, by name.
    seed: of its one picture of each unit; None leaves it to the study.
  """

  name: str
  recipe: Recipe
  strengths: Mapping[str, float]
  seed: int | None = None


def parse_factors(
  texts: Iterable[str], base: Recipe
) -> dict[str, tuple[float, ...]]:
  """Parses `decay:0,1e-4,1e-2` and the like: values by strength.

  Args:
    texts: one for each strength, as `Recipe.replace` names them.
    base: the recipe that is to be varied.

  Raises:
    JdeepvisError: one is not of this form, comes twice, or names no strength.
  """
  factors: dict[str, tuple[float, ...]] = {}
  for text in texts:
    name, _, values = text.partition(":")
    name = current_name(name)
    if name in factors:
      raise JdeepvisError(f"{name!r} is varied twice; list all values at once.")
    factors[name] = _parse_values(text, name, values)
    base.replace(**{name: factors[name][0]})
  return factors


def grid(
  base: Recipe, factors: Mapping[str, Sequence[float]]
) -> list[Combination]:
  """Every combination of the factors' values, the last factor fastest.

  Args:
    base: the recipe with all other settings.
    factors: values by strength, as `Recipe.replace` names them.
  """
  combinations = []
  for values in itertools.product(*factors.values()):
    strengths = dict(zip(factors, values, strict=True))
    recipe = base.replace(**strengths)
    combinations.append(Combination(_spell(strengths), recipe, strengths))
  return combinations


def leave_one_out(base: Recipe, name: str) -> list[Combination]:
  """The whole recipe, then the recipe without each of its active entries.

  Args:
    base: any recipe.
    name: what it is called.

  Raises:
    JdeepvisError: nothing is active.
  """
  active = {
    entry.name: entry.strength
    for entry in base.entries[1:]
    if entry.strength != entry.off
  }
  off = {entry.name: entry.off for entry in base.entries}
  for field in ("log_prob_weight", "decay_fraction"):
    if getattr(base, field):
      active[field], off[field] = getattr(base, field), 0.0
  if not active:
    raise JdeepvisError(f"The recipe {name!r} has no prior to leave out.")
  combinations = [Combination(name, base, active)]
  for strength in active:
    without = {strength: off[strength]}
    combinations.append(
      Combination(f"without {strength}", base.replace(**without), without)
    )
  return combinations


def figure_3(points: int, *, steps: int = 1000) -> list[Combination]:
  """The paper's sweeps of one prior at a time, from none of it to too much.

  Args:
    points: values of each prior, evenly spaced.
    steps: of each picture; the paper's are 1000.
  """
  none = _progress(2.0, 100.0).replace(
    decay=0.0,
    blur=0.0,
    blur_every=4,
    norm_percentile=0.0,
    contribution_percentile=0.0,
    steps=steps,
  )
  constant = {"rate": _ANY_RISE}
  combinations = []
  for fraction in map(float, np.linspace(0, 1, points)):
    often = {"blur_every": 4 + int(6 * (1 - fraction))}
    for name, most, more in (
      ("decay", 0.5, constant),
      ("blur", 1.0, constant | often),
      ("contribution_percentile", 95.0, {}),
      ("norm_percentile", 95.0, {}),
    ):
      strength = {name: most * fraction}
      recipe = none.replace(**strength, **more)
      combinations.append(Combination(_spell(strength), recipe, strength))
  return combinations


def random_search(
  count: int, seed: int, *, steps: int | None = None
) -> list[Combination]:
  """The paper's random search over hyperparameters, its values and weights.

  Args:
    count: how many combinations; the paper has 300. The first ones do not
      depend on it.
    seed: of the draws.
    steps: of every picture; by default drawn like the rest.

  Returns:
    Combinations with a seed each, as the original drew them.
  """
  return [_draw(number, seed, steps) for number in range(count)]


def _parse_values(text, name, values) -> tuple[float, ...]:
  try:
    numbers = tuple(map(float, values.split(",")))
  except ValueError:
    raise JdeepvisError(
      f"--vary={text} is not of the form NAME:VALUE,VALUE,..."
    ) from None
  counts = name == "steps" or name.endswith("_every")
  least = 1 if counts else 0
  for number in numbers:
    whole = not counts or number.is_integer()
    if not (math.isfinite(number) and number >= least and whole):
      kind = "a whole number" if counts else "a number"
      raise JdeepvisError(
        f"{name}={number:g} cannot be; give {kind} of at least {least}."
      )
  return numbers


def _spell(strengths: Mapping[str, float]) -> str:
  return ",".join(f"{name}={value:g}" for name, value in strengths.items())


def _progress(rate: float, max_rate: float) -> Recipe:
  step = transforms.scale_by_progress
  return Recipe(step=Entry(STEP, step, rate, options={"max_rate": max_rate}))


def _draw(number: int, seed: int, steps: int | None) -> Combination:
  # A generator for each, so that one's draws do not shift the others'.
  generator = np.random.default_rng((seed, number))

  def choose(values, weights):
    share = np.divide(weights, sum(weights))
    return values[generator.choice(len(values), p=share)]

  choices = {**_SEARCH, **_RATES[choose(*_POLICIES)]}
  strengths = {name: float(choose(*each)) for name, each in choices.items()}
  if steps:
    del strengths["steps"]
  recipe = _progress(
    strengths.get("progress", _ANY_RISE),
    strengths.get("max_rate", strengths.get("rate")),
  )
  drawn = {name: strengths[name] for name in _SEARCH if name in strengths}
  if steps:
    drawn["steps"] = steps
  return Combination(
    f"combination_{number:03d}",
    recipe.replace(**drawn),
    strengths,
    seed=number,
  )
