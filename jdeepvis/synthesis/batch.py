"""Many ascents as one compiled program, sharded over the local devices.

A picture depends on its own objective, recipe, key and initial image and on the
batch shape of one device. The other pictures, its place among them and the
number of devices change no bit of it.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.sharding import (
  WHOLE,
  mesh_for,
  place,
  sharded,
  specs_of,
)
from jdeepvis.synthesis import ascend as loop
from jdeepvis.synthesis import assembly, priors
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.objective import Objective
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.score import ask, check
from jdeepvis.types import Image, JdeepvisError, PRNGKey

_CHUNK = 16
"""Most steps between two reports; few enough for a lively progress bar."""

_CHUNK_SMALL, _SMALL = 64, 128 * 128
"""The same for small images, whose steps take less time than a report."""


class Ascent(NamedTuple):
  """What one picture is made of.

  Attributes:
    objective: what is maximised.
    recipe: how.
    key: of all its randomness.
    image: the initial image, centred `[h, w, c]`, which is clipped to the box;
      None draws noise.
    watched: another objective, whose value is reported beside the score.
  """

  objective: Objective
  recipe: Recipe
  key: PRNGKey
  image: Image | None = None
  watched: Objective | None = None


class Noise(NamedTuple):
  """Noise drawn for the whole image, of which a crop takes its part.

  Attributes:
    spec: of the whole image.
    kind: see `initial_image`; static.
    offset: row and column in it of the network's first pixel.
  """

  spec: InputSpec
  kind: str = "noise"
  offset: tuple[int, int] = (0, 0)


class Progress(NamedTuple):
  """The progress of a batch; enough to resume it.

  Attributes:
    step: steps taken.
    states: the pictures' states, with a leading batch axis.
    history: what each step recorded, NumPy arrays `[n, step]`.
  """

  step: int
  states: loop.AscentState
  history: dict[str, np.ndarray]


def ascend_batch(
  network: Network,
  ascents: Sequence[Ascent],
  *,
  batch: int,
  noise: Noise | None = None,
  chunk: int | None = None,
  resume: Mapping[str, Any] | None = None,
  placed: Network | None = None,
) -> Iterator[Progress]:
  """Gradient ascent on a batch of pictures, yielding its progress.

  Batches whose objectives and recipes differ in their leaves alone share one
  compiled program.

  Args:
    network: any network.
    ascents: at most `batch`; fewer are padded with the last one.
    batch: how many the program holds, a multiple of the number of devices.
    noise: for ascents without an initial image; the network's own input by
      default.
    chunk: most steps between two reports; by default few enough for a lively
      progress bar.
    resume: the progress of an interrupted run of the same ascents, from
      `pack`.
    placed: the network from `place`, to reuse it over several batches.

  Yields:
    The progress after every few steps; the last has all of them. Only the
    first `len(ascents)` rows count.

  Raises:
    ValueError: there are no ascents or more than `batch`, or `batch` is not a
      multiple of the number of devices.
    JdeepvisError: an objective asks for what the network does not have, or the
      progress to resume is not of these ascents.
  """
  for ascent in ascents:
    check(network, ascent.objective)
  stacked, mesh = stack(ascents, batch), mesh_for(batch)
  placed = place(network, batch) if placed is None else placed
  specs = specs_of(placed)
  noise = noise or Noise(network.input)
  states = _begin(
    mesh, noise.kind, network.input, noise.spec, noise.offset, stacked
  )
  progress = Progress(0, states, {})
  stacked = stacked._replace(image=None)
  if resume is not None:
    progress = _unpack(resume, states)
  total = ascents[0].recipe.steps
  if progress.step >= total:  # Killed between its last step and its files.
    yield progress
  chunk = _chunk(total, network.input.shape, chunk)
  while progress.step < total:
    # A checkpoint with other chunks need not end at one of ours.
    numbers = np.arange(progress.step, min(progress.step + chunk, total))
    states, history = _advance(
      mesh, specs, placed, stacked, progress.states, numbers
    )
    history = {name: np.asarray(rows) for name, rows in history.items()}
    if progress.history:
      history = {
        name: np.concatenate([progress.history[name], rows], axis=1)
        for name, rows in history.items()
      }
    progress = Progress(progress.step + len(numbers), states, history)
    yield progress


def stack(ascents: Sequence[Ascent], batch: int) -> Ascent:
  """Stacks ascents along a new batch axis, padded with the last.

  Raises:
    ValueError: there are none, or more than the batch holds.
  """
  if not 0 < len(ascents) <= batch:
    raise ValueError(f"A batch of {batch} cannot hold {len(ascents)} pictures.")
  padded = [*ascents, *[ascents[-1]] * (batch - len(ascents))]
  return jax.tree.map(_stack, *padded)


def pack(progress: Progress) -> dict[str, Any]:
  """Progress as dicts of arrays, for a file; see `ascend_batch(resume=)`."""
  leaves = enumerate(jax.tree.leaves(_plain(progress.states)))
  return {
    "step": np.array(progress.step),
    "state": {str(i): np.asarray(leaf) for i, leaf in leaves},
    "history": progress.history,
  }


@functools.partial(jax.jit, static_argnums=(0, 1))
def _begin(mesh, kind, spec: InputSpec, whole: InputSpec, offset, ascents):
  def one(spec, whole, offset, ascent):
    image = ascent.image
    if image is None:
      drawn = initial_image(jax.random.fold_in(ascent.key, 0), whole, kind)
      image = jax.lax.dynamic_slice(drawn, (*offset, 0), spec.shape)
    image = priors.box(image, *spec.bounds)
    return loop.init(
      jax.random.fold_in(ascent.key, 1),
      assembly.optimizer(ascent.recipe, spec),
      assembly.encode(ascent.recipe, image, spec),
    )

  batched = jax.vmap(one, in_axes=(None, None, None, 0))
  call = sharded(batched, mesh, WHOLE, WHOLE, WHOLE)
  return call(spec, whole, offset, ascents)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=4)
def _advance(mesh, specs, network: Network, ascents: Ascent, states, steps):
  def one(network, steps, ascent, state):
    score = Partial(ask, network, ascent.objective)
    return loop.advance(
      assembly.augmented(ascent.recipe, score, network.input),
      assembly.optimizer(ascent.recipe, network.input),
      state,
      steps,
    )

  batched = jax.vmap(one, in_axes=(None, None, 0, 0))
  specs = jax.tree.unflatten(jax.tree.structure(network), specs)
  return sharded(batched, mesh, specs, WHOLE)(network, steps, ascents, states)


def _stack(*leaves):
  if any(isinstance(leaf, jax.Array) for leaf in leaves):
    return jnp.stack(leaves)
  stacked = np.stack(leaves)
  return stacked.astype(np.float32) if stacked.dtype == np.float64 else stacked


def _plain(states: loop.AscentState) -> loop.AscentState:
  """With the key as numbers."""
  return states._replace(key=jax.random.key_data(states.key))


def _unpack(kept: Mapping[str, Any], like: loop.AscentState) -> Progress:
  fresh, structure = jax.tree.flatten(_plain(like))
  fresh = {str(i): leaf for i, leaf in enumerate(fresh)}
  if _shapes(kept["state"]) != _shapes(fresh):
    raise JdeepvisError(
      "An earlier version or other settings left a batch that cannot be gone "
      "on with; remove its checkpoint (in a folder .unfinished), and its "
      "pictures are made again."
    )
  leaves = [
    jax.device_put(kept["state"][name], leaf.sharding)
    for name, leaf in fresh.items()
  ]
  states = jax.tree.unflatten(structure, leaves)
  states = states._replace(key=jax.random.wrap_key_data(states.key))
  return Progress(int(kept["step"]), states, dict(kept["history"]))


def _shapes(arrays: Mapping[str, Any]) -> dict[str, Any]:
  return {name: (x.shape, np.dtype(x.dtype)) for name, x in arrays.items()}


def _chunk(total: int, shape: tuple[int, int, int], most: int | None) -> int:
  """The largest suitable divisor of `total`: one program for all chunks."""
  if most is None:
    most = _CHUNK_SMALL if math.prod(shape[:2]) <= _SMALL else _CHUNK
  return max(size for size in range(1, most + 1) if total % size == 0)
