"""A batch split over the local devices, and the weights that they read."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jdeepvis.networks import cpu
from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.network import Network
from jdeepvis.types import AnyArray

AXIS = "images"
"""The one axis of a mesh, over which a batch is split."""

WHOLE, SPLIT = PartitionSpec(), PartitionSpec(AXIS)
"""Replicated on every device; split along the leading axis."""


def mesh_for(batch: int) -> Mesh:
  """All local devices in a row, each with an equal part of the batch.

  Raises:
    ValueError: `batch` is no multiple of the number of devices.
  """
  count = len(jax.local_devices())
  if batch % count:
    raise ValueError(f"A batch of {batch} is no multiple of {count} devices.")
  return jax.make_mesh(
    (count,), (AXIS,), (AxisType.Auto,), devices=jax.local_devices()
  )


def replicate(tree: Any) -> Any:
  """A pytree of numbers on all local devices; CPUs share one copy of it."""
  mesh = mesh_for(len(jax.local_devices()))
  return jax.device_put(cpu.on_one_buffer(tree), NamedSharding(mesh, WHOLE))


def shard_columns(weights: dict[str, AnyArray]) -> dict[str, jax.Array]:
  """Weights whose matrices' columns are split evenly over the local devices.

  All else is replicated.
  """
  mesh = mesh_for(len(jax.local_devices()))
  columns = NamedSharding(mesh, PartitionSpec(None, AXIS))
  return {
    name: jax.device_put(np.asarray(leaf), columns)
    if leaf.ndim == 2
    else replicate(leaf)
    for name, leaf in weights.items()
  }


def place(network: Network, batch: int) -> Network:
  """The network with its weights on the local devices, for this batch size.

  A layer graph is `cpu.prepared`, unless it is `plain`.
  """
  apply, params = network.apply, network.params
  if not isinstance(apply, GraphApply) or apply.plain:
    return network.replace(params=replicate(params))
  layers, params = cpu.prepared(apply.layers, params, AXIS, batch)
  split = {info.weights_key for info in layers if info.option("across")}
  params = {
    key: (shard_columns if key in split else replicate)(leaves)
    for key, leaves in params.items()
  }
  return network.replace(apply=GraphApply(layers), params=params)


def specs_of(network: Network) -> tuple[PartitionSpec, ...]:
  """How each leaf is sharded; the input's mean is on no device yet."""
  return tuple(
    getattr(getattr(leaf, "sharding", None), "spec", WHOLE)
    for leaf in jax.tree.leaves(network)
  )


def sharded(function: Callable, mesh: Mesh, *specs: Any) -> Callable:
  """`function` on each device's part of the batch.

  Args:
    function: of positional arguments.
    mesh: see `mesh_for`.
    *specs: partitioning of its first arguments, of each or of each of its
      leaves; `WHOLE` is replicated. All other arguments are `SPLIT`, as is what
      it returns.
  """

  def call(*args):
    return jax.shard_map(
      function,
      mesh=mesh,
      in_specs=(*specs, *[SPLIT] * (len(args) - len(specs))),
      out_specs=SPLIT,
      check_vma=False,
    )(*args)

  return call
