"""The one loop that saves what a run has reached and passes it on."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jax.experimental import multihost_utils


def save_now_and_then(
  steps: Iterable[Any],
  save: Callable[[Any], Any],
  *,
  done: Callable[[Any], bool],
  seconds: float | int,
  clock: Callable[[], float] = time.monotonic,
) -> Iterator[Any]:
  """Passes a run's steps on, some of them once they are saved.

  Of several processes, which save together, the first one's clock counts.

  >>> ticks = iter(range(9))
  >>> saved, clock = [], lambda: next(ticks)
  >>> steps = save_now_and_then(
  ...   range(5), saved.append, done=lambda x: x == 4, seconds=2, clock=clock
  ... )
  >>> list(steps), saved
  ([0, 1, 2, 3, 4], [1, 3, 4])

  Args:
    steps: how far the run is, again and again.
    save: keeps a step.
    done: which steps are saved whatever the time, such as the last one.
    seconds: between two other saves; 0 saves every step.
    clock: the time in seconds.

  Yields:
    Every step.
  """
  saved = clock()
  for step in steps:
    due = done(step) or clock() - saved >= seconds
    if multihost_utils.broadcast_one_to_all(due):
      save(step)
      saved = clock()
    yield step
