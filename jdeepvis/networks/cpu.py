"""What makes layers fast on a CPU, and changes nothing but their speed.

XLA compiles the layers' own formulas for a CPU as well, some of them badly.
`FASTER` has other implementations of such types, which `GraphApply` runs unless
it is `plain`; `prepared` lays a graph's weights out for them. Values and
gradients are the same but for rounding.
"""

import collections
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from jdeepvis.networks import fast_products
from jdeepvis.networks.fast_products import by_group, transposed
from jdeepvis.networks.layers import products
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import AnyArray, Params

_TILE, _WORTH_SHARING = 64, 2**22
"""Columns in a part of a split product; entries of a kernel worth splitting."""


def implementation(kind: str, plain: Callable) -> Callable:
  """What runs on a CPU in place of a layer type's own `apply`."""
  known, faster = FASTER.get(kind, (None, None))
  return faster if known is plain else plain


def prepared(
  layers: tuple[LayerInfo, ...], params: Params, axis: str, batch: int
) -> tuple[tuple[LayerInfo, ...], Params]:
  """A graph and its weights for many steps on this batch; a pass over both.

  On CPUs `with_shared_products`, unless each device has only one picture, and
  `with_cpu_layout`; elsewhere nothing changes.

  Args:
    layers: a layer graph.
    params: its weights.
    axis: the mesh axis of the devices.
    batch: images in all.

  Returns:
    The layers, and the weights in their layout. Of those with an option
    `across` the matrices' columns are to be split over that axis.
  """
  devices = jax.local_devices()
  if devices[0].platform != "cpu":
    return layers, params
  if batch >= 2 * len(devices) > 2:
    layers = with_shared_products(layers, params, axis, len(devices))
  return layers, with_cpu_layout(layers, params)


def on_one_buffer(tree: Any) -> Any:
  """A pytree of numbers whose copies on several CPU devices will be one."""
  first = jax.local_devices()[0]
  if first.platform != "cpu":
    return tree
  # Other CPU devices share a buffer that JAX has allocated.
  return jax.tree.map(np.asarray, jax.device_put(tree, first))


def with_cpu_layout(layers: tuple[LayerInfo, ...], params: Params) -> Params:
  """Weights in a layout with fast gradients on a CPU; values are unchanged.

  Kernels of convolutions are split by group, `by_group`, and with
  them and those of inner products a leaf `transpose` is stored: within loops
  XLA does neither ahead of time, and large kernels are read twice as fast so.
  Weights shared with layers of another type or other groups stay as they are.
  """
  readers = collections.defaultdict(set)
  for layer in layers:
    groups = layer.option("groups", 1)
    readers[layer.weights_key].add((layer.kind, groups))
  kernels = {}
  for key, ((kind, groups), *others) in readers.items():
    if kind in FASTER and not others:
      kernels[key] = by_group(params[key]["kernel"], groups)
  # On the host: compiling the transposes takes longer than computing them.
  transposes = jax.tree.map(
    lambda kernel: np.ascontiguousarray(transposed(np.asarray(kernel))), kernels
  )
  return {
    key: {**params[key], "kernel": kernels[key], "transpose": transposes[key]}
    if key in kernels
    else params[key]
    for key in params
  }


def with_shared_products(
  layers: tuple[LayerInfo, ...], params: Params, axis: str, parts: int
) -> tuple[LayerInfo, ...]:
  """Layers whose large inner products are column-parallel over devices.

  Only those whose parts round as the whole product does, with XLA on a CPU and
  two rows or more: parts of 64 columns or a multiple, forward and backward.
  Their option `across` says so, see `fast_products`.

  Args:
    layers: a layer graph.
    params: its weights.
    axis: the mesh axis of the devices.
    parts: how many devices.
  """
  whole = {
    layer.weights_key
    for layer in layers
    if layer.kind != "inner_product" or layer.option("axis", 1) != 1
  }

  def is_shared(layer):
    if layer.kind != "inner_product" or layer.weights_key in whole:
      return False
    kernel = params[layer.weights_key]["kernel"]
    parted = all(side % (_TILE * parts) == 0 for side in kernel.shape)
    return parted and kernel.size >= _WORTH_SHARING

  return tuple(
    layer.with_option("across", axis) if is_shared(layer) else layer
    for layer in layers
  )


def no_fusion(
  function: Callable, *arrays: AnyArray | float, **static: Any
) -> Any:
  """`function(*arrays, **static)`, which XLA on a CPU does not fuse.

  Fused into its readers it would be recomputed for each of them: for a
  pooling's derivative ten times over. Unfused, its rounding does not depend on
  them either.

  Args:
    function: jitted, the names of `static` among its static ones.
    *arrays: its arguments.
    **static: what is static of them.
  """
  function = functools.partial(function, **static)

  def alone(*arrays):
    with set_xla_metadata(inlineable="false"):
      return function(*arrays)

  return lax.platform_dependent(*arrays, cpu=alone, default=function)


FASTER = {
  "convolution": (
    products.convolution,
    functools.partial(products.convolution, convolve=fast_products.convolve),
  ),
  "inner_product": (
    products.inner_product,
    functools.partial(products.inner_product, multiply=fast_products.multiply),
  ),
}
"""Layer types' own `apply`, and what runs in its place."""
