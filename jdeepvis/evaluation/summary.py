"""Tables of pictures: means and deviations over groups of their records."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Records = Sequence[Mapping[str, Any]]
Rows = list[dict[str, Any]]


def table(
  records: Records,
  by: Sequence[str],
  columns: Mapping[str, Callable[[Records], Any]],
) -> Rows:
  """A row for each group of records, in their order.

  >>> records = [{"layer": x, "error": y} for x, y in (("a", 1.0), ("a", 2.0))]
  >>> table(records, ["layer"], {"pictures": len, "error": over("error")})
  [{'layer': 'a', 'pictures': 2, 'error': 1.5}]

  Args:
    records: of pictures.
    by: the facts that those of a group share; a row begins with them.
    columns: what else a row has, functions of a group.
  """
  groups: dict[tuple, list] = {}
  for one in records:
    groups.setdefault(tuple(one[fact] for fact in by), []).append(one)
  return [
    dict(zip(by, shared, strict=True))
    | {name: column(group) for name, column in columns.items()}
    for shared, group in groups.items()
  ]


def over(
  fact: str, statistic: Callable = np.mean, *, ok: bool = False
) -> Callable[[Records], Any]:
  """A column of `table`: a statistic of a fact; None where there is no number.

  Args:
    fact: a number, or None in records that do not count.
    statistic: of the numbers.
    ok: whether only pictures of that status count.
  """

  def column(group: Records) -> Any:
    wanted = [one for one in group if not ok or one["status"] == "ok"]
    values = [one[fact] for one in wanted if one[fact] is not None]
    return np.asarray(statistic(values)).item() if values else None

  return column


def succeeded(group: Records) -> int:
  """A column of `table`: how many pictures are `ok`."""
  return sum(one["status"] == "ok" for one in group)


def failed(group: Records) -> int:
  """A column of `table`: how many are not."""
  return len(group) - succeeded(group)


def per_strength(pictures: Records, metrics: Sequence[str]) -> Rows:
  """Mean and standard deviation of each metric for each strength's value.

  Args:
    pictures: their records, with `strengths`; all else that varies among
      them, units, seeds and other strengths, goes into the deviation.
    metrics: keys of records that hold a number or None.

  Returns:
    Rows of `strength`, `value`, `pictures`, `failures` and for each metric
    `_mean` and `_std` (the sample's; None for fewer than two numbers).
  """
  names = list(dict.fromkeys(x for one in pictures for x in one["strengths"]))
  records = [
    {**one, "strength": name, "value": value}
    for one in pictures
    for name, value in one["strengths"].items()
  ]
  records.sort(key=lambda one: (names.index(one["strength"]), one["value"]))
  return table(records, ["strength", "value"], _columns(metrics))


def per_combination(pictures: Records, metrics: Sequence[str]) -> Rows:
  """The same for each combination: rows begin with `recipe`."""
  return table(pictures, ["recipe"], _columns(metrics))


def _columns(metrics: Sequence[str]) -> dict[str, Callable[[Records], Any]]:
  columns = {"pictures": len, "failures": failed}
  for metric in metrics:
    columns[f"{metric}_mean"] = over(metric)
    columns[f"{metric}_std"] = over(metric, _deviation)
  return columns


def _deviation(values: Sequence[float | int]) -> float | None:
  return np.std(values, ddof=1) if len(values) > 1 else None
