"""How long a run will take, from its first few steps."""

import contextlib
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax

from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.network import Network
from jdeepvis.runs.renders import (
  count_image_steps,
  missing,
  settle,
  settled,
)
from jdeepvis.synthesis.requests import Request, by_program
from jdeepvis.synthesis.run import run

# What JAX reports when a program of gradient ascent has been compiled.
_COMPILED = "/jax/core/compile/backend_compile_duration"
_ASCENT = "jit(_advance)"


class Forecast(NamedTuple):
  """What a run will take.

  Attributes:
    image_steps: steps of all pictures still to be made.
    programs: how many must be compiled.
    seconds: about how long both take.
  """

  image_steps: int
  programs: int
  seconds: float


def forecast(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
) -> Forecast:
  """Predicts `render_folder` from its first few steps, which are discarded.

  The program that is compiled for them serves the run as well.

  Args:
    folder: where the pictures go.
    network: any network.
    requests: the pictures wanted.
  """
  wanted = by_program(missing(folder, requests))
  if not wanted:
    return Forecast(0, 0, 0.0)

  def time_a_chunk():
    began = time.perf_counter()
    news = next(run(network, wanted, each=settled(folder)))
    return news, time.perf_counter() - began

  (_, compiled), (news, ascending) = time_a_chunk(), time_a_chunk()
  settle(folder, news)
  size = news.each * jax.local_device_count()
  groups = [
    list(group) for _, group in itertools.groupby(wanted, lambda x: x.program)
  ]
  steps = sum(
    group[0].recipe.steps * math.ceil(len(group) / size) for group in groups
  )
  return Forecast(
    count_image_steps(folder, requests),
    len(groups),
    (compiled - ascending) * (len(groups) - 1)
    + ascending * steps / news.progress.step,
  )


@contextlib.contextmanager
def count_programs() -> Iterator[list[float]]:
  """Lends a list that grows by one for each ascent program compiled."""
  seconds: list[float] = []

  def listen(event: str, duration: float, **facts: Any) -> None:
    if event == _COMPILED and facts.get("fun_name") == _ASCENT:
      seconds.append(duration)

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    yield seconds
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
