"""Interleaved timing: a machine's varying load cancels in the ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax


def interleave(
  works: Mapping[str, Callable[[], Any]], *, rounds: int
) -> dict[str, float]:
  """Median seconds of each work, taken in turn after one round unmeasured.

  Args:
    works: functions by name; JAX's results are waited for.
    rounds: how often each is timed.
  """
  seconds: dict[str, list[float]] = {name: [] for name in works}
  for number in range(rounds + 1):
    for name, work in works.items():
      began = time.perf_counter()
      jax.block_until_ready(work())
      if number:
        seconds[name].append(time.perf_counter() - began)
  return {name: statistics.median(taken) for name, taken in seconds.items()}
