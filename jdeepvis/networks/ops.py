"""Caffe's convolutions and products as pure functions of arrays.

Maps are `[n, h, w, c]`. Padding is explicit, `((top, bottom), (left, right))`,
so that the same function serves a whole map and a window cut from one;
`windows` computes it the way Caffe does.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from jdeepvis.networks.caffe_axes import with_axes_in_front
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
    size: positions along the axis.
    kernel: positions in a window.
    stride: step from window to window.
    pad: positions added at either end.
    dilation: distance between a window's positions.
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
  """Cross-correlation, as Caffe's Convolution.

  Args:
    x: the maps.
    kernel: HWIO, the inputs those of one group.
    bias: one for each output channel.
    stride: positions from window to window.
    padding: positions added, see `windows`; negative ones are cut off.
    dilation: distance between the kernel's positions.
    groups: channel groups that do not mix.
    precision: of the products, as `jax.lax.Precision` names it.
  """
  x, padding = trimmed(x, padding)
  out = lax.conv_general_dilated(
    x,
    kernel,
    stride,
    padding,
    rhs_dilation=dilation,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
    precision=precision,
  )
  return with_bias(out, bias)


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
    stride: positions of the output from one of `x` to the next.
    pad: positions cut off the output on each side.
    dilation: distance between the kernel's positions.
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
  return with_bias(out, bias)


def inner_product(
  x: Float[AnyArray, "n *dims"],
  kernel: Float[AnyArray, "i o"],
  bias: Float[AnyArray, " o"] | None = None,
  *,
  precision: str = "highest",
) -> Float[AnyArray, "n o"]:
  """Caffe's InnerProduct; a map is read in height, width, channel order.

  Args:
    x: the maps or rows.
    kernel: its columns are the outputs.
    bias: one for each output.
    precision: as `jax.lax.Precision` names it.
  """
  x = x.reshape(x.shape[0], -1)
  return with_bias(jnp.dot(x, kernel, precision=precision), bias)


def trimmed(x: Map, padding: Padding) -> tuple[Map, Padding]:
  """Maps padded beforehand where that cuts some off, and what is left to add.

  On CPU, XLA takes a 1x1 convolution padded by (1, -1) for a matrix product,
  and forgets the padding.
  """
  if min(min(edges) for edges in padding) >= 0:
    return x, padding
  around = [(0, 0, 0), *((*edges, 0) for edges in padding), (0, 0, 0)]
  return lax.pad(x, jnp.zeros((), x.dtype), around), ((0, 0), (0, 0))


def with_bias(x: AnyArray, bias: AnyArray | None) -> AnyArray:
  """A product and its bias, if it has one."""
  return x if bias is None else x + with_axes_in_front(bias, x.ndim)
