"""Shows a network a list of images, on all devices of all processes.

The list is cut into rounds; of each, every process takes its part and every
device its own, always of the same shape. So the result does not depend on the
number of workers, devices or processes, and a stopped run may be resumed with
others.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding
from jaxtyping import UInt8

from jdeepvis.networks.network import Network
from jdeepvis.networks.sharding import (
  SPLIT,
  WHOLE,
  mesh_for,
  replicate,
  sharded,
)
from jdeepvis.probing import top_patches
from jdeepvis.probing.images import ImageList, read_batches
from jdeepvis.probing.top_patches import Survey


class Found(NamedTuple):
  """What a scan has found.

  Attributes:
    seen: how many images of the list, from its start.
    faults: for each of these what is wrong with it, see `images.FAULTS`.
    survey: what the units say of them.
  """

  seen: int
  faults: UInt8[np.ndarray, " seen"]
  survey: Survey


class ScanProgress(NamedTuple):
  """The progress after a round.

  Attributes:
    seen: how many images of the list, from its start.
    images: how many of them in this round.
    collect: gives what was found so far; all processes must call it together.
  """

  seen: int
  images: int
  collect: Callable[[], Found]


def scan(
  network: Network,
  layers: Sequence[str],
  images: ImageList,
  *,
  k: int,
  bottom: int = 0,
  per_device: int,
  workers: int,
  resume: Found | None = None,
) -> Iterator[ScanProgress]:
  """Looks at all images, round by round.

  Args:
    network: any network.
    layers: whose units.
    images: the list, the same for all processes.
    k: images to keep for each unit.
    bottom: how many of those that inhibit it most.
    per_device: images that one device is shown at once.
    workers: threads that decode, in each process.
    resume: what an earlier run had found, to go on from.

  Yields:
    After each round how far it is. Nothing where nothing is left.
  """
  devices = jax.local_devices()
  mine = per_device * len(devices)
  mesh = mesh_for(mine)
  units = top_patches.layer_slices(network, layers)[layers[-1]].stop
  fresh = top_patches.begin(units, k, bottom)
  first = resume.survey if resume and jax.process_index() == 0 else fresh
  # An earlier part counts as seen by the first device: all that it will see
  # comes later in the list.
  surveys = [first] + [fresh] * (len(devices) - 1)
  stacked = jax.tree.map(lambda *parts: np.stack(parts), *surveys)
  survey = jax.device_put(stacked, NamedSharding(mesh, SPLIT))
  placed, layers = replicate(network), tuple(layers)

  seen = resume.seen if resume else 0
  faults = np.zeros(len(images.names), np.uint8)
  faults[:seen] = resume.faults if resume else 0
  numbers = _deal(seen, len(images.names), mine)
  batches = read_batches(
    images, numbers.ravel(), network.input, batch=mine, workers=workers
  )
  for own, batch in zip(numbers, batches, strict=True):
    jax.block_until_ready(survey)  # one batch in flight
    survey = _look(placed, layers, mesh, survey, batch.pixels, batch.numbers)
    real = own >= 0
    faults[own[real]] = batch.faults[real]
    count = min(mine * jax.process_count(), len(images.names) - seen)
    seen += count
    collect = functools.partial(_collect, seen, faults, survey)
    yield ScanProgress(seen, count, collect)


def per_device() -> int:
  """Images for one device at once: what keeps one of this kind busy.

  On a CPU more take memory that malloc does not keep from batch to batch:
  twice as many were a third slower with SqueezeNet.
  """
  return 4 if jax.local_devices()[0].platform == "cpu" else 128


@functools.partial(jax.jit, static_argnames=("layers", "mesh"))
def _look(network, layers, mesh, survey, pixels, numbers):
  """Every device looks at its part, and keeps a survey of its own."""

  def look(network, survey, pixels, numbers):
    survey = jax.tree.map(lambda leaf: leaf[0], survey)
    survey = top_patches.look(network, layers, survey, pixels, numbers)
    return jax.tree.map(lambda leaf: leaf[None], survey)

  return sharded(look, mesh, WHOLE)(network, survey, pixels, numbers)


def _deal(seen: int, total: int, mine: int) -> np.ndarray:
  """This process's numbers of each round, `[rounds, mine]`; -1 is none."""
  everyone = mine * jax.process_count()
  rounds = -(-(total - seen) // everyone)
  numbers = seen + np.arange(rounds * everyone)
  numbers = np.where(numbers < total, numbers, -1)
  parts = numbers.reshape(rounds, jax.process_count(), mine)
  return parts[:, jax.process_index()]


def _collect(seen: int, faults: np.ndarray, survey: Survey) -> Found:
  stacked = jax.device_get(survey)
  count = len(stacked.histogram)
  local = top_patches.merge(
    [jax.tree.map(lambda leaf, i=i: leaf[i], stacked) for i in range(count)]
  )
  if jax.process_count() == 1:
    return Found(seen, faults[:seen].copy(), local)
  surveys, everyones = multihost_utils.process_allgather((local, faults[:seen]))
  merged = top_patches.merge(
    [
      jax.tree.map(lambda leaf, i=i: np.asarray(leaf[i]), surveys)
      for i in range(jax.process_count())
    ]
  )
  return Found(seen, np.max(everyones, axis=0), merged)
