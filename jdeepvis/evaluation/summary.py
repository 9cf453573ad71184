"""The summary of a study: means and deviations over its pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Rows = list[dict[str, Any]]


def per_strength(
  pictures: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> Rows:
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
) -> Rows:
  """The same for each combination: rows begin with `recipe`."""
  return [
    {"recipe": name, **_statistics(group, metrics)}
    for name, group in _groups(pictures, lambda one: one["recipe"])
  ]


def _groups(
  pictures: Sequence[Mapping[str, Any]], key: Callable
) -> list[tuple[Any, list[Mapping[str, Any]]]]:
  """Pictures by their key, those without one left out."""
  groups: dict[Any, list] = {}
  for one in pictures:
    groups.setdefault(key(one), []).append(one)
  groups.pop(None, None)
  return list(groups.items())


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
