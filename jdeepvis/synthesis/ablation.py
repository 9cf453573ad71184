"""Studies of the priors: which recipes to compare, and what came of them.

Within a study every strength is present in every recipe, at 0 where it is off,
so that one program serves all that agree in `steps` and `blur_every`.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from jdeepvis.networks.names import nearest
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import JdeepvisError

STRENGTHS = tuple(
  field.name
  for field in dataclasses.fields(Recipe)
  if not field.metadata.get("static")
)
COUNTS = ("blur_every", "steps")

# These shape a step or another prior; they are nothing to switch off.
_SETTINGS = ("rate", "max_rate", "blur_end")
_OFF = MappingProxyType({"scale": 1.0})  # elsewhere 0

# The rise wanted when no rise is too large: what is left of policy `progress`
# is its largest rate, so constant rates run in the same program.
_ANY_RISE = 1e30

_PERCENTILES = (0, 10, 20, 30, 50, 80, 90)
_SEARCH = MappingProxyType(
  {
    "decay": ((0, 1e-4, 1e-3, 1e-2, 0.1, 0.2, 0.3), (4, 1, 1, 2, 1, 1, 1)),
    "blur": ((0, 0.3, 0.4, 0.5, 1), (10, 2, 1, 1, 1)),
    "blur_every": ((1, 2, 3, 4), (1, 1, 1, 1)),
    "small_norm": (_PERCENTILES, (10, 10, 5, 2, 2, 2, 2)),
    "small_contribution": (_PERCENTILES, (10, 10, 5, 2, 2, 2, 2)),
    "small_benefit": (_PERCENTILES, (20, 10, 5, 2, 2, 2, 2)),
    "steps": ((250, 500, 750, 1000, 1500), (1, 1, 1, 1, 1)),
  }
)
_POLICIES = (("progress", "constant"), (10, 5))
_RATES = MappingProxyType(
  {
    "constant": {"rate": (0.001, 0.01, 0.1, 1, 10, 100)},
    "progress": {
      "max_rate": (1e2, 1e4, 1e6, 1e8),
      "progress": (0.1, 0.2, 0.5, 1, 2, 5),
    },
  }
)


class Combination(NamedTuple):
  """One recipe of a study.

  Attributes:
    name: what it is called in files and records.
    recipe: how to make the pictures.
    strengths: what the study says of it, by name.
    seed: of its one picture of each unit; None leaves it to the study.
  """

  name: str
  recipe: Recipe
  strengths: Mapping[str, float]
  seed: int | None = None


def parse_factors(texts: Iterable[str]) -> dict[str, tuple[float, ...]]:
  """What `decay:0,1e-4,1e-2` and its like say: values by strength.

  Raises:
    JdeepvisError: one is not of this form, comes twice, or names no strength.
  """
  factors: dict[str, tuple[float, ...]] = {}
  for text in texts:
    name, _, values = text.partition(":")
    if name not in (*STRENGTHS, *COUNTS):
      raise JdeepvisError(
        f"There is no strength {name!r} to vary; "
        f"{nearest(name, (*STRENGTHS, *COUNTS))}."
      )
    if name in factors:
      raise JdeepvisError(f"{name!r} is varied twice; list all values at once.")
    factors[name] = _parse_values(text, name, values)
  return factors


def grid(
  base: Recipe, factors: Mapping[str, Sequence[float]]
) -> list[Combination]:
  """Every combination of the factors' values, the last factor fastest.

  Args:
    base: the recipe that says all else.
    factors: values by strength, `steps` or `blur_every`.
  """
  combinations = []
  for values in itertools.product(*factors.values()):
    strengths = dict(zip(factors, values, strict=True))
    name = ",".join(f"{key}={value:g}" for key, value in strengths.items())
    recipe = _with_strengths(base, strengths)
    combinations.append(Combination(name, recipe, strengths))
  return combinations


def leave_one_out(base: Recipe, name: str) -> list[Combination]:
  """The whole recipe, then the recipe without each active prior and view.

  Args:
    base: any recipe.
    name: what it is called.
  """
  priors = [strength for strength in STRENGTHS if strength not in _SETTINGS]
  active = {
    strength: getattr(base, strength)
    for strength in priors
    if getattr(base, strength) not in (None, _OFF.get(strength, 0.0))
  }
  combinations = [Combination(name, base, active)]
  for strength in active:
    off = {strength: _OFF.get(strength, 0.0)}
    combinations.append(
      Combination(f"without {strength}", _with_strengths(base, off), off)
    )
  return combinations


def figure_3(points: int, *, steps: int = 1000) -> list[Combination]:
  """The paper's sweeps of one prior at a time, from none of it to too much.

  Args:
    points: values of each prior, evenly spaced.
    steps: of each picture; the paper's are 1000.
  """
  combinations = []
  for strength, most in (
    ("decay", 0.5),
    ("blur", 1.0),
    ("small_contribution", 95.0),
    ("small_norm", 95.0),
  ):
    constant = strength in ("decay", "blur")
    for fraction in map(float, np.linspace(0, 1, points)):
      often = 4 + int(6 * (1 - fraction)) if strength == "blur" else 4
      value = {strength: most * fraction}
      recipe = Recipe(
        rate=_ANY_RISE if constant else 2.0,
        max_rate=100.0,
        **{"decay": 0.0, "blur": 0.0, "small_norm": 0.0}
        | {"small_contribution": 0.0}
        | value,
        policy="progress",
        blur_every=often,
        steps=steps,
      )
      name = f"{strength}={value[strength]:g}"
      combinations.append(Combination(name, recipe, value))
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


def per_strength(
  pictures: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> list[dict[str, Any]]:
  """Mean and standard deviation of each metric for each strength's value.

  Args:
    pictures: their records, with `strengths`; all else that varies among
      them, units, seeds and other strengths, goes into the deviation.
    metrics: keys of records that hold a number or None.

  Returns:
    Rows of `strength`, `value`, `pictures`, `failures` and for each metric
    `_mean` and `_std` (the sample's; None for fewer than two numbers).
  """
  names = dict.fromkeys(name for one in pictures for name in one["strengths"])
  return [
    {"strength": name, "value": value, **_statistics(group, metrics)}
    for name in names
    for value, group in sorted(
      _groups(pictures, lambda one, name=name: one["strengths"].get(name))
    )
  ]


def per_combination(
  pictures: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> list[dict[str, Any]]:
  """The same for each combination: rows begin with `recipe`."""
  return [
    {"recipe": name, **_statistics(group, metrics)}
    for name, group in _groups(pictures, lambda one: one["recipe"])
  ]


def _parse_values(text, name, values) -> tuple[float, ...]:
  try:
    numbers = tuple(map(float, values.split(",")))
  except ValueError:
    raise JdeepvisError(
      f"--vary={text} is not of the form NAME:VALUE,VALUE,..."
    ) from None
  least = 1 if name in COUNTS else 0
  for number in numbers:
    whole = name not in COUNTS or number.is_integer()
    if not (math.isfinite(number) and number >= least and whole):
      kind = "a whole number" if name in COUNTS else "a number"
      raise JdeepvisError(
        f"{name}={number:g} cannot be; give {kind} of at least {least}."
      )
  return numbers


def _with_strengths(base: Recipe, strengths: Mapping[str, float]) -> Recipe:
  return dataclasses.replace(
    base,
    **{
      name: int(value) if name in COUNTS else float(value)
      for name, value in strengths.items()
    },
  )


def _draw(number: int, seed: int, steps: int | None) -> Combination:
  # A generator for each: what one draws moves none of the others.
  generator = np.random.default_rng((seed, number))

  def choose(values, weights):
    share = np.array(weights) / np.sum(weights)
    return values[generator.choice(len(values), p=share)]

  strengths = {name: choose(*choices) for name, choices in _SEARCH.items()}
  rates = _RATES[choose(*_POLICIES)]
  rates = {
    name: choose(values, [1] * len(values)) for name, values in rates.items()
  }
  if steps:
    del strengths["steps"]
  recipe = _with_strengths(
    Recipe(
      rate=float(rates.get("progress", _ANY_RISE)),
      max_rate=float(rates.get("max_rate", rates.get("rate"))),
      policy="progress",
      steps=steps or 0,
    ),
    strengths,
  )
  name = f"combination_{number:03d}"
  return Combination(name, recipe, strengths | rates, seed=number)


def _groups(pictures, key) -> Iterable[tuple[Any, list]]:
  groups: dict[Any, list] = {}
  for one in pictures:
    groups.setdefault(key(one), []).append(one)
  groups.pop(None, None)
  return groups.items()


def _statistics(group, metrics) -> dict[str, Any]:
  row = {
    "pictures": len(group),
    "failures": sum(one["status"] != "ok" for one in group),
  }
  for metric in metrics:
    values = [one[metric] for one in group if one[metric] is not None]
    row[f"{metric}_mean"] = float(np.mean(values)) if values else None
    row[f"{metric}_std"] = (
      float(np.std(values, ddof=1)) if len(values) > 1 else None
    )
  return row
