"""Units x seeds x strengths: many pictures as one compiled program.

What a picture is depends on its own objective, recipe, key and start, and on
the batch shape of one device, never on its neighbours, its place among them or
the number of devices: those change no bit of it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jdeepvis.networks.graph import (
  GraphApply,
  laid_out,
  with_shared_products,
)
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.sharding import (
  AXIS,
  WHOLE,
  dealt_out,
  everywhere,
  mesh_for,
  sharded,
)
from jdeepvis.synthesis import assembly, priors, render
from jdeepvis.synthesis.objectives import Objective
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.score import BoundScore, bind
from jdeepvis.types import Image, PRNGKey

_CHUNK = 16
"""Most steps between two reports; few enough for a lively progress bar."""

_CHUNK_SMALL, _SMALL = 64, 128 * 128
"""The same for images of so few pixels, whose steps a report would outlast."""


class Picture(NamedTuple):
  """What one picture is made of.

  Attributes:
    objective: what is asked.
    recipe: how.
    key: all its randomness.
    image: the start, centred `[h, w, c]`; it is clipped to the box.
  """

  objective: Objective
  recipe: Recipe
  key: PRNGKey
  image: Image | None


class Progress(NamedTuple):
  """Where a batch stands; enough to go on from.

  Attributes:
    step: steps taken.
    states: the pictures' states, with a leading batch axis.
    history: what each step recorded, NumPy arrays `[n, step]`.
  """

  step: int
  states: render.State
  history: dict[str, np.ndarray]


class Placed(NamedTuple):
  """Weights where `climb` reads them, see `place`.

  Attributes:
    apply: the network's function of them, on each of the devices.
    params: the weights.
  """

  apply: Callable
  params: Any


def climb(
  network: Network,
  pictures: Sequence[Picture],
  *,
  batch: int,
  resume: Mapping[str, np.ndarray] | None = None,
  placed: Placed | None = None,
) -> Iterator[Progress]:
  """Renders pictures side by side, reporting as it goes.

  One program serves all batches whose objectives and recipes differ in their
  leaves alone. It is sharded over the local devices.

  Args:
    network: any network.
    pictures: at most `batch`; fewer are padded with the last one.
    batch: how many the program holds, a multiple of the number of devices.
    resume: where an interrupted `climb` of the same pictures stood, as
      `pack` gave it.
    placed: what `place` made of the network for such a batch, where several
      climbs follow each other.

  Yields:
    The progress after every few steps; the last has all of them. Only the
    first `len(pictures)` rows count.

  Raises:
    ValueError: the pictures are none or more than `batch`, or `batch` is no
      multiple of the number of devices.
    JdeepvisError: an objective asks for what the network does not have.
  """
  if not 0 < len(pictures) <= batch:
    raise ValueError(
      f"A batch of {batch} cannot hold {len(pictures)} pictures."
    )
  pictures = [*pictures, *[pictures[-1]] * (batch - len(pictures))]
  for picture in pictures:
    bind(network, picture.objective)
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pictures)
  mesh, shape = mesh_for(batch), network.input.shape
  apply, params = place(network, batch) if placed is None else placed
  specs = tuple(leaf.sharding.spec for leaf in jax.tree.leaves(params))
  program = _Program(apply, network.output, shape, mesh, specs)
  mean = network.input.mean
  progress = Progress(0, _start(program, mean, stacked), {})
  stacked = stacked._replace(image=None)
  if resume is not None:
    progress = _unpack(resume, progress.states)
  total = pictures[0].recipe.steps
  chunk = _chunk(total, shape)
  while progress.step < total:
    # A checkpoint of another chunk need not end where ours do.
    numbers = jnp.arange(progress.step, min(progress.step + chunk, total))
    states, history = _advance(
      program, params, mean, stacked, progress.states, numbers
    )
    history = {name: np.asarray(rows) for name, rows in history.items()}
    if progress.history:
      history = {
        name: np.concatenate([progress.history[name], rows], axis=1)
        for name, rows in history.items()
      }
    progress = Progress(progress.step + len(numbers), states, history)
    yield progress


def place(network: Network, batch: int) -> Placed:
  """Lays the weights on the local devices, for climbs of `batch` pictures.

  CPUs read kernels by group and transposed, see `graph.laid_out`, and share
  the large ones out, see `graph.with_shared_products`, unless a device has but
  one picture.
  """
  devices, layers = jax.local_devices(), network.layers
  ours = isinstance(network.apply, GraphApply)
  if devices[0].platform != "cpu" or not ours:
    return Placed(network.apply, everywhere(network.params))
  params = everywhere(laid_out(layers, network.params))
  if batch >= 2 * len(devices) > 2:
    layers = with_shared_products(layers, params, AXIS, len(devices))
  shared = {info.weights_key for info in layers if info.option("across")}
  if not shared:
    return Placed(network.apply, params)
  for key in shared:
    params[key] = {
      name: dealt_out(leaf) if leaf.ndim == 2 else leaf
      for name, leaf in params[key].items()
    }
  return Placed(GraphApply(layers), params)


def pack(progress: Progress) -> dict[str, np.ndarray]:
  """Progress as named NumPy arrays, for a file; see `climb(resume=)`."""
  states = progress.states._replace(
    key=jax.random.key_data(progress.states.key)
  )
  leaves = enumerate(jax.tree.leaves(states))
  return {
    "step": np.array(progress.step),
    **{f"state/{i}": np.asarray(leaf) for i, leaf in leaves},
    **{f"history/{name}": rows for name, rows in progress.history.items()},
  }


@dataclasses.dataclass(frozen=True)
class _Program:
  """All that is static; equal ones share a compilation."""

  apply: Callable
  output: str | None
  shape: tuple[int, int, int]
  mesh: jax.sharding.Mesh
  specs: tuple[jax.sharding.PartitionSpec, ...]


@functools.partial(jax.jit, static_argnums=0)
def _start(program, mean, pictures):
  def one(mean, picture):
    spec = InputSpec(program.shape, mean)
    start = priors.box(picture.image, *spec.bounds)
    return render.init(
      assembly.transform(picture.recipe, spec),
      assembly.decoder(picture.recipe, spec).encode(start),
      jax.random.fold_in(picture.key, 1),
    )

  batched = jax.vmap(one, in_axes=(None, 0))
  return sharded(batched, program.mesh, WHOLE)(mean, pictures)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=4)
def _advance(program, params, mean, pictures, states, steps):
  def one(params, mean, steps, picture, state):
    spec = InputSpec(program.shape, mean)
    score = Partial(
      BoundScore(program.apply, program.output), params, picture.objective
    )
    return render.advance(
      assembly.with_views(picture.recipe, score, spec),
      assembly.transform(picture.recipe, spec),
      state,
      steps,
    )

  batched = jax.vmap(one, in_axes=(None, None, None, 0, 0))
  specs = jax.tree.unflatten(jax.tree.structure(params), program.specs)
  return sharded(batched, program.mesh, specs, WHOLE, WHOLE)(
    params, mean, steps, pictures, states
  )


def _unpack(arrays: Mapping[str, np.ndarray], like: render.State) -> Progress:
  bare = like._replace(key=jax.random.key_data(like.key))
  leaves = [
    jax.device_put(arrays[f"state/{i}"], leaf.sharding)
    for i, leaf in enumerate(jax.tree.leaves(bare))
  ]
  states = jax.tree.unflatten(jax.tree.structure(bare), leaves)
  states = states._replace(key=jax.random.wrap_key_data(states.key))
  history = {
    name.removeprefix("history/"): rows
    for name, rows in arrays.items()
    if name.startswith("history/")
  }
  return Progress(int(arrays["step"]), states, history)


def _chunk(total: int, shape: tuple[int, int, int]) -> int:
  """A divisor of `total`, as large as may be: one program fits all."""
  most = _CHUNK_SMALL if math.prod(shape[:2]) <= _SMALL else _CHUNK
  return max(size for size in range(1, most + 1) if total % size == 0)
