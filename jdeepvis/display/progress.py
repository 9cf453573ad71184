"""A bar that shows how far something is."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

with warnings.catch_warnings():
  # Without ipywidgets a notebook has the bar of a terminal, which serves.
  warnings.simplefilter("ignore")
  from tqdm.auto import tqdm


def show_progress(
  steps: Iterable[Any],
  count: Callable[[Any], int] = lambda step: 1,
  *,
  total: int,
  unit: str,
  title: str = "",
  done: int = 0,
  facts: Callable[[Any], dict[str, str]] = lambda step: {},
  hidden: bool = False,
) -> Iterator[Any]:
  """Passes steps on, behind a bar in a terminal or a notebook.

  >>> list(show_progress("abc", total=3, unit="letter", hidden=True))
  ['a', 'b', 'c']

  Args:
    steps: whatever is made or done, one by one.
    count: how many units a step stands for.
    total: how many there are in all.
    unit: what is counted.
    title: what is being done.
    done: how many had been done before.
    facts: what to say of a step.
    hidden: whether to show nothing.
  """
  with tqdm(
    total=total,
    initial=done,
    unit=unit,
    desc=title or None,
    disable=hidden,
    dynamic_ncols=True,
  ) as bar:
    for step in steps:
      bar.set_postfix(facts(step), refresh=False)
      bar.update(count(step))
      yield step
