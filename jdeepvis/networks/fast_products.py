"""Convolution and inner product in a form that is fast on a CPU.

What `layers.products` computes; the gradients are written out, since XLA's own
order of axes is slow there. `cpu` puts them in their place.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jdeepvis.networks.layers.products import precision
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.ops import Map, Padding
from jdeepvis.types import AnyArray

_FEW = 2
"""Images in a block, where XLA writes their windows out (im2col)."""


def transposed(kernel: AnyArray) -> AnyArray:
  """A kernel as the gradient of its product reads it.

  Args:
    kernel: of a convolution, HWIO, or of an inner product, `[i, o]`.

  Returns:
    Inputs and outputs exchanged; a convolution's is flipped as well.
  """
  if kernel.ndim == 2:
    return kernel.T
  return kernel[::-1, ::-1].swapaxes(2, 3)


def by_group(kernel: AnyArray, groups: int) -> AnyArray | tuple[AnyArray, ...]:
  """A convolution's kernel split into a part for each group.

  XLA's grouped convolution is slow on CPU: one convolution a group is about
  2.5 times faster there, while groups are few. Many groups are not split, and
  an inner product has none.
  """
  if kernel.ndim == 2:
    return kernel
  return tuple(jnp.split(kernel, groups, 3)) if 1 < groups <= 8 else (kernel,)


def convolve(
  layer: LayerInfo, x: Map, weights: Mapping[str, Any], padding: Padding
) -> Map:
  """A convolution, group by group and with a gradient of its own.

  Args:
    layer: its settings.
    x: the maps.
    weights: `kernel`, HWIO or what `by_group` made of it; where that has been
      made beforehand also `transpose`, each group's kernel `transposed`, which
      to derivatives is a constant.
    padding: positions added.
  """
  kernel, groups = weights["kernel"], layer.option("groups", 1)
  kernels = kernel if isinstance(kernel, tuple) else by_group(kernel, groups)
  parts = len(kernels)
  settings = (layer.stride, padding, layer.dilation, groups // parts)
  outputs = [
    _convolve(*part, *settings, precision(layer))
    for part in zip(
      jnp.split(x, parts, -1) if parts > 1 else [x],
      kernels,
      weights.get("transpose") or [None] * parts,
      strict=True,
    )
  ]
  return jnp.concatenate(outputs, axis=-1) if parts > 1 else outputs[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5, 6, 7))
def _convolve(x, kernel, transpose, *settings):
  def all_at_once(x):
    return _conv(x, kernel, "HWIO", *settings)

  def few_at_once(x):
    return lax.map(lambda one: all_at_once(one[None])[0], x, batch_size=_FEW)

  if not _are_spread(kernel) or x.shape[0] <= _FEW:
    return all_at_once(x)
  return lax.platform_dependent(x, cpu=few_at_once, default=all_at_once)


@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(*args):
  *settings, (x, kernel, transpose), (dx, dkernel, _) = args
  dy = []
  if not isinstance(dx, SymbolicZero):
    # The transpose of this reads its kernel in the one order in which XLA's
    # CPU convolutions are fast; within loops XLA does not see to that itself.
    back = transposed(kernel) if transpose is None else transpose
    swapped = back[::-1, ::-1]
    if _in_blocks(kernel, *settings):
      dy.append(_conv_of_blocks(dx, swapped, *settings))
    else:
      dy.append(_conv(dx, swapped, "HWOI", *settings))
  if not isinstance(dkernel, SymbolicZero):
    dy.append(_conv(x, dkernel, "HWIO", *settings))
  return _convolve(x, kernel, transpose, *settings), sum(dy)


def _conv(x, kernel, order, stride, padding, dilation, groups, precision):
  alone = kernel.shape[:2] == stride == (1, 1) and groups == 1
  if alone and not any(map(any, padding)):
    # Each position by itself: a matrix product, which is faster.
    inputs = order.index("I")
    return lax.dot_general(
      x, kernel[0, 0], (((3,), (inputs - 2,)), ((), ())), precision=precision
    )
  return lax.conv_general_dilated(
    x,
    kernel,
    stride,
    padding,
    rhs_dilation=dilation,
    dimension_numbers=("NHWC", order, "NHWC"),
    feature_group_count=groups,
    precision=precision,
  )


def _are_spread(kernel):
  """Whether XLA on a CPU writes a map's windows out (im2col) and multiplies.

  It does for CaffeNet's 11 x 11 of three colours, not for a 7 x 7. A batch of
  eight takes more memory than malloc keeps from call to call, and half of the
  layer's time went into allocating it again.
  """
  return kernel.shape[2] <= 4 and math.prod(kernel.shape[:3]) > 256


def _in_blocks(kernel, stride, _padding, dilation, groups, _precision):
  """Whether `_conv_of_blocks` can take it, and has the faster transpose."""
  large = all(
    size > 2 * step > 2
    for size, step in zip(kernel.shape[:2], stride, strict=True)
  )
  few = kernel.shape[2] <= 4
  return large and few and dilation == (1, 1) and groups == 1


def _conv_of_blocks(x, kernel, stride, padding, dilation, groups, precision):
  """`_conv` of an HWOI kernel, as one of stride 1 over blocks of pixels.

  Space to depth: a block of `stride` pixels becomes one position, its pixels
  channels. For few channels, as colours are, the transpose is faster so: twice
  as fast for CaffeNet's first layer on a CPU.
  """
  axes = list(zip(x.shape[1:3], kernel.shape, stride, padding, strict=False))
  reach = [-(-window // step) for _, window, step, _ in axes]
  counts = [
    (size + sum(edges) - window) // step + blocks
    for (size, window, step, edges), blocks in zip(axes, reach, strict=True)
  ]
  around = [
    (before, count * step - size - before, 0)
    for (size, _, step, (before, _)), count in zip(axes, counts, strict=True)
  ]
  behind = [
    (0, blocks * step - window, 0)
    for (_, window, step, _), blocks in zip(axes, reach, strict=True)
  ]
  none, zero = (0, 0, 0), jnp.zeros((), x.dtype)
  x = lax.pad(x, zero, [none, *around, none])
  kernel = lax.pad(kernel, zero, [*behind, none, none])
  n, channels = x.shape[0], x.shape[3] * math.prod(stride)
  x = x.reshape(n, counts[0], stride[0], counts[1], stride[1], -1)
  x = jnp.swapaxes(x, 2, 3).reshape(n, *counts, channels)
  kernel = kernel.reshape(
    reach[0], stride[0], reach[1], stride[1], *kernel.shape[2:]
  )
  kernel = jnp.transpose(kernel, (0, 2, 4, 1, 3, 5))
  kernel = kernel.reshape(*reach, -1, channels)
  edges = ((0, 0), (0, 0))
  return _conv(x, kernel, "HWOI", (1, 1), edges, dilation, groups, precision)


def multiply(layer: LayerInfo, x: AnyArray, weights: Mapping[str, Any]):
  """An inner product, with a gradient of its own.

  The layer's option `across` is a mesh axis over whose devices the columns of
  the kernel and of its transpose, which must be there, are split evenly.
  Column-parallel matmul: all-gather of the rows, multiply, all-to-all, so that
  weights are read once instead of once a device. Reverse-mode differentiable.

  Args:
    layer: its settings.
    x: the rows.
    weights: `kernel`; where that has been made beforehand also `transpose`,
      the kernel `transposed`, which to derivatives is a constant.
  """
  product = x, weights["kernel"], weights.get("transpose")
  if across := layer.option("across"):
    return _shared_product(*product, across, precision(layer))
  return _product(*product, precision(layer))


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _product(x, kernel, transpose, precision):
  return jnp.dot(x, kernel, precision=precision)


@functools.partial(_product.defjvp, symbolic_zeros=True)
def _product_jvp(precision, primals, tangents):
  x, kernel, transpose = primals
  dx, dkernel, _ = tangents
  dy = []
  if not isinstance(dx, SymbolicZero):
    # The transpose of this is a product with `back` itself.
    back = transposed(kernel) if transpose is None else transpose
    dy.append(jnp.dot(dx, back.T, precision=precision))
  if not isinstance(dkernel, SymbolicZero):
    dy.append(jnp.dot(x, dkernel, precision=precision))
  return _product(x, kernel, transpose, precision), sum(dy)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _shared_product(x, kernel, transpose, across, precision):
  del transpose
  rows = lax.all_gather(x, across)
  found = jnp.dot(rows, kernel, precision=precision)
  return lax.all_to_all(found, across, 0, 2, tiled=True)[0]


def _shared_product_forward(x, kernel, transpose, across, precision):
  asked, arrays = kernel.perturbed, (x.value, kernel.value, transpose.value)
  y = _shared_product(*arrays, across, precision)
  return y, (arrays[0] if asked else None, *arrays[1:])


def _shared_product_backward(across, precision, kept, dy):
  x, kernel, transpose = kept
  if isinstance(dy, SymbolicZero):
    return None, None, None
  dx = _shared_product(dy, transpose, kernel, across, precision)
  if x is None:
    return dx, None, None
  rows = lax.all_gather(x, across)
  columns = lax.all_to_all(dy[None], across, 2, 0, tiled=True)
  dkernel = jnp.einsum("dni,dno->io", rows, columns, precision=precision)
  return dx, dkernel, None


_shared_product.defvjp(
  _shared_product_forward, _shared_product_backward, symbolic_zeros=True
)
