"""A batch of pictures split over the local devices."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec


def mesh_for(batch: int) -> jax.sharding.Mesh:
  """All local devices in a row, each with an equal part of the batch.

  Raises:
    ValueError: `batch` is no multiple of the number of devices.
  """
  count = jax.local_device_count()
  if batch % count:
    raise ValueError(f"A batch of {batch} is no multiple of {count} devices.")
  return jax.make_mesh(
    (count,), ("pictures",), (AxisType.Auto,), devices=jax.local_devices()
  )


def everywhere(tree: Any) -> Any:
  """A pytree of arrays on all local devices; CPUs share one copy of it."""
  devices = jax.local_devices()
  if devices[0].platform == "cpu":
    # What JAX has allocated, other CPUs take as it lies.
    tree = jax.tree.map(np.asarray, jax.device_put(tree, devices[0]))
  mesh = mesh_for(len(devices))
  return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def sharded(
  function: Callable, mesh: jax.sharding.Mesh, *, whole: int
) -> Callable:
  """`function` on each device's part of the batch.

  Args:
    function: of positional arguments with a leading batch axis.
    mesh: see `mesh_for`.
    whole: how many of its first arguments every device gets entire.
  """
  split = PartitionSpec("pictures")

  def call(*args):
    return jax.shard_map(
      function,
      mesh=mesh,
      in_specs=(PartitionSpec(),) * whole + (split,) * (len(args) - whole),
      out_specs=split,
      check_vma=False,
    )(*args)

  return call
