"""Caffe's convolutions and products as pure functions of arrays.

Maps are `[n, h, w, c]`. Padding is explicit, `((top, bottom), (left, right))`,
so that the same function serves a whole map and a window cut from one;
`windows` computes it the way Caffe does.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from jdeepvis.types import AnyArray

Map = Float[AnyArray, "n _ _ _"]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


class Windows(NamedTuple):
  """Where the windows of one axis lie: how many, and zeros at either end."""

  count: int
  before: int
  after: int


def windows(
  size: int,
  kernel: int,
  stride: int,
  pad: int,
  dilation: int = 1,
  *,
  ceil: bool = False,
) -> Windows:
  """Places windows along one axis as Caffe does.

  Args:
    size: cells along the axis.
    kernel: cells in a window.
    stride: step from window to window.
    pad: cells added at either end.
    dilation: distance between a window's cells.
    ceil: count a last, partial window too, as pooling does, unless it would
      begin beyond the input and what is added before it.

  Returns:
    The number of windows and the padding to add before and after.
  """
  extent = dilation * (kernel - 1) + 1
  room = size + 2 * pad - extent
  count = (math.ceil if ceil else math.floor)(room / stride) + 1
  if ceil and (count - 1) * stride >= size + pad:
    count -= 1
  after = (count - 1) * stride + extent - size - pad
  return Windows(count, pad, max(after, 0))


def convolution(
  x: Map,
  kernel: Float[AnyArray, "kh kw i o"],
  bias: Float[AnyArray, " o"] | None = None,
  *,
  stride: Pair = (1, 1),
  padding: Padding = ((0, 0), (0, 0)),
  dilation: Pair = (1, 1),
  groups: int = 1,
  precision: str = "highest",
) -> Map:
  """Cross-correlation, as Caffe's Convolution; `kernel` is HWIO."""
  if min(min(edges) for edges in padding) < 0:
    # On CPU, XLA takes a 1x1 convolution padded by (1, -1) for a matrix
    # product, and forgets the padding.
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(x, zero, [(*edges, 0) for edges in _nhwc(padding)])
    padding = ((0, 0), (0, 0))
  # XLA's grouped convolution is slow on CPU: one convolution a group is
  # about 2.5 times faster there, while groups are few.
  parts = groups if groups <= 8 else 1
  inputs = jnp.split(x, parts, axis=-1) if parts > 1 else [x]
  kernels = jnp.split(kernel, parts, axis=-1) if parts > 1 else [kernel]
  settings = (stride, padding, dilation, groups // parts, precision)
  outputs = [
    _convolve(part, weights, *settings)
    for part, weights in zip(inputs, kernels, strict=True)
  ]
  out = jnp.concatenate(outputs, axis=-1) if parts > 1 else outputs[0]
  return out if bias is None else out + bias


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4, 5, 6))
def _convolve(x, kernel, *settings):
  return _conv(x, kernel, "HWIO", *settings)


@functools.partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(*args):
  *settings, (x, kernel), (dx, dkernel) = args
  dy = []
  if not isinstance(dx, SymbolicZero):
    # The transpose of this reads its kernel in the one order in which XLA's
    # CPU convolutions are fast; within loops XLA does not see to that itself.
    swapped = jnp.swapaxes(kernel, 2, 3)
    dy.append(_conv(dx, swapped, "HWOI", *settings))
  if not isinstance(dkernel, SymbolicZero):
    dy.append(_conv(x, dkernel, "HWIO", *settings))
  return _convolve(x, kernel, *settings), sum(dy)


def _conv(x, kernel, order, stride, padding, dilation, groups, precision):
  alone = kernel.shape[:2] == stride == (1, 1) and groups == 1
  if alone and not any(map(any, padding)):
    # Each cell by itself: a matrix product, which is faster.
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


def deconvolution(
  x: Map,
  kernel: Float[AnyArray, "kh kw o i"],
  bias: Float[AnyArray, " f"] | None = None,
  *,
  stride: Pair = (1, 1),
  pad: Pair = (0, 0),
  dilation: Pair = (1, 1),
  groups: int = 1,
  precision: str = "highest",
) -> Map:
  """Caffe's Deconvolution: the transpose of a convolution.

  Args:
    x: the map to spread out.
    kernel: that of the convolution whose transpose this is, so its inputs
      (`o`, one group's outputs here) stand before its outputs (`i`, all
      channels of `x`).
    bias: one for each output channel.
    stride: cells of the output from one cell of `x` to the next.
    pad: cells cut off the output on each side.
    dilation: distance between the kernel's cells.
    groups: channel groups that do not mix.
    precision: of the products, as `jax.lax.Precision` names it.
  """
  flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
  flipped = jnp.concatenate(jnp.split(flipped, groups, axis=2), axis=3)
  edges = [
    dilation[axis] * (kernel.shape[axis] - 1) - pad[axis] for axis in (0, 1)
  ]
  out = lax.conv_general_dilated(
    x,
    flipped,
    (1, 1),
    [(edge, edge) for edge in edges],
    lhs_dilation=stride,
    rhs_dilation=dilation,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
    precision=precision,
  )
  return out if bias is None else out + bias


def inner_product(
  x: Float[AnyArray, "n *dims"],
  kernel: Float[AnyArray, "i o"],
  bias: Float[AnyArray, " o"] | None = None,
  *,
  precision: str = "highest",
) -> Float[AnyArray, "n o"]:
  """Caffe's InnerProduct; a map is read in height, width, channel order."""
  out = jnp.dot(x.reshape(x.shape[0], -1), kernel, precision=precision)
  return out if bias is None else out + bias


def _nhwc(padding: Padding) -> list[Pair]:
  return [(0, 0), *padding, (0, 0)]
