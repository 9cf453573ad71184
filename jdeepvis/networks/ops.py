"""Caffe's layers as pure functions of arrays, exact in value and gradient.

Maps are `[n, h, w, c]`. Padding is explicit, `((top, bottom), (left, right))`,
so that the same function serves a whole map and a window cut from one;
`windows` computes it the way Caffe does.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Float

from jdeepvis.types import AnyArray

Map = Float[AnyArray, "n _ _ _"]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

_PRECISION = lax.Precision.HIGHEST


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
  outputs = [
    _convolve(part, weights, stride, padding, dilation, groups // parts)
    for part, weights in zip(inputs, kernels, strict=True)
  ]
  out = jnp.concatenate(outputs, axis=-1) if parts > 1 else outputs[0]
  return out if bias is None else out + bias


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4, 5))
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


def _conv(x, kernel, order, stride, padding, dilation, groups):
  alone = kernel.shape[:2] == stride == (1, 1) and groups == 1
  if alone and not any(map(any, padding)):
    # Each cell by itself: a matrix product, which is faster.
    inputs = order.index("I")
    return lax.dot_general(
      x, kernel[0, 0], (((3,), (inputs - 2,)), ((), ())), precision=_PRECISION
    )
  return lax.conv_general_dilated(
    x,
    kernel,
    stride,
    padding,
    rhs_dilation=dilation,
    dimension_numbers=("NHWC", order, "NHWC"),
    feature_group_count=groups,
    precision=_PRECISION,
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
    precision=_PRECISION,
  )
  return out if bias is None else out + bias


def inner_product(
  x: Float[AnyArray, "n *dims"],
  kernel: Float[AnyArray, "i o"],
  bias: Float[AnyArray, " o"] | None = None,
) -> Float[AnyArray, "n o"]:
  """Caffe's InnerProduct; a map is read in height, width, channel order."""
  out = jnp.dot(x.reshape(x.shape[0], -1), kernel, precision=_PRECISION)
  return out if bias is None else out + bias


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def max_pool(x: Map, kernel: Pair, stride: Pair, padding: Padding) -> Map:
  """The largest value of each window; padding never wins.

  Where several cells of a window are largest the gradient goes to the first
  in row-major order, as Caffe's does. The derivative is written out since
  XLA's own is slow on CPU; it is linear in the tangent, so vmap, jvp, vjp and
  hessian all work.
  """
  cells = _window_cells(x, kernel, stride, padding)
  return functools.reduce(jnp.maximum, cells)


@max_pool.defjvp
def _max_pool_jvp(kernel, stride, padding, primals, tangents):
  (x,), (dx,) = primals, tangents
  y, place = _apart(_max_and_place, x, windows=(kernel, stride, padding))
  dy = _apart(_values_at, place, dx, windows=(kernel, stride, padding))
  return y, dy


@functools.partial(jax.jit, static_argnames="windows")
def _max_and_place(x, windows):
  """The largest of each window, and which of its cells is the first such."""
  y, *others = _window_cells(x, *windows)
  place = jnp.zeros(y.shape, jnp.uint8)
  for number, cell in enumerate(others, start=1):
    place = jnp.where(cell > y, jnp.uint8(number), place)
    y = jnp.maximum(y, cell)
  return y, place


@functools.partial(jax.jit, static_argnames="windows")
def _values_at(place, x, windows):
  """The cell of each window that stands at its place; linear in x."""
  cells = enumerate(_window_planes(x, *windows))
  return sum(jnp.where(place == number, cell, 0) for number, cell in cells)


def average_pool(
  x: Map,
  kernel: Pair,
  stride: Pair,
  padding: Padding,
  divisor: Float[np.ndarray, "#h #w 1"],
) -> Map:
  """The sum of each window over `divisor` (see `average_divisor`)."""
  total = lax.reduce_window(
    x, 0.0, lax.add, (1, *kernel, 1), (1, *stride, 1), _nhwc(padding)
  )
  return total / divisor


def average_divisor(
  size: Pair, kernel: Pair, stride: Pair, pad: Pair, padding: Padding
) -> Float[np.ndarray, "h w 1"]:
  """Cells in each window, as Caffe counts them.

  Caffe clips a window to the *padded* map: `pad` cells beyond an edge count,
  what ceil mode adds to `padding` beyond those does not.
  """
  rows, columns = (
    _clipped_extents(*axis)
    for axis in zip(size, kernel, stride, pad, padding, strict=True)
  )
  return np.float32(rows[:, None, None] * columns[None, :, None])


def stochastic_pool(
  x: Map, kernel: Pair, stride: Pair, padding: Padding
) -> Map:
  """Stochastic pooling at test time: each window's mean weighted by itself.

  `sum(x**2) / sum(x)`, and 0 where nothing in the window is positive
  (Zeiler and Fergus 2013, arXiv:1301.3557, §3.2).
  """
  total, squares = (
    lax.reduce_window(
      values, 0.0, lax.add, (1, *kernel, 1), (1, *stride, 1), _nhwc(padding)
    )
    for values in (x, x * x)
  )
  positive = total > 0
  return jnp.where(positive, squares / jnp.where(positive, total, 1), 0)


def local_response_normalisation(
  x: Float[AnyArray, "... c"],
  *,
  size: int = 5,
  alpha: float = 1.0,
  beta: float = 0.75,
  k: float = 1.0,
) -> Float[AnyArray, "... c"]:
  """`x / (k + alpha/size * sum of x**2 over `size` channels) ** beta`.

  Channels beyond either end count as zero (Krizhevsky et al. 2012, §3.3, with
  Caffe's alpha divided by the window's size).
  """
  before = (size - 1) // 2
  window = (1,) * (x.ndim - 1) + (size,)
  padding = [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)]
  total = lax.reduce_window(x * x, 0.0, lax.add, window, (1,) * x.ndim, padding)
  return x * (k + alpha / size * total) ** -beta


def lrn_within_channel(
  x: Map, size: int, padding: Padding, *, alpha: float, beta: float
) -> Map:
  """`x / (1 + alpha * mean of x**2 over a size x size window) ** beta`.

  Cells beyond the border count as zeros of the mean. Caffe has no `k` here.
  """
  cells = np.full((1, 1, 1), size * size, np.float32)
  mean = average_pool(x * x, (size, size), (1, 1), padding, cells)
  # In a crop the windows reach over cells that no output stands for.
  half = (size - 1) // 2
  own = [(0, 0, 0), *((a - half, b - half, 0) for a, b in padding), (0, 0, 0)]
  centres = lax.pad(x, jnp.zeros((), x.dtype), own)
  return centres * (1 + alpha * mean) ** -beta


def _apart(function, *arrays, **static):
  """`function(*arrays, **static)`, which a CPU's XLA compiles on its own.

  Fused into its readers it would be worked out anew for each of them: for a
  pooling's derivative ten times the whole of it.
  """
  function = functools.partial(function, **static)

  def alone(*arrays):
    with set_xla_metadata(inlineable="false"):
      return function(*arrays)

  return lax.platform_dependent(*arrays, cpu=alone, default=function)


def _nhwc(padding: Padding) -> list[Pair]:
  return [(0, 0), *padding, (0, 0)]


def _window_cells(x, kernel, stride, padding):
  """For each cell of a window, that cell of all windows: `[n, h, w, c]`."""
  if any(map(any, padding)):
    fill = jnp.asarray(-jnp.inf, x.dtype)
    x = lax.pad(x, fill, [(*edges, 0) for edges in _nhwc(padding)])
  n, *size, c = x.shape
  spans = [
    (extent - window) // step * step + 1
    for extent, window, step in zip(size, kernel, stride, strict=True)
  ]
  for row in range(kernel[0]):
    for column in range(kernel[1]):
      yield lax.slice(
        x,
        (0, row, column, 0),
        (n, row + spans[0], column + spans[1], c),
        (1, *stride, 1),
      )


def _window_planes(x, kernel, stride, padding):
  """The same cells, with zeros as padding, by a way that transposes well.

  The map is first dealt out into `stride` planes an axis, of which the cells
  are plain slices: a strided slice's transpose would scatter.
  """
  count = [
    (size + sum(edges) - window) // step + 1
    for size, edges, window, step in zip(
      x.shape[1:3], padding, kernel, stride, strict=True
    )
  ]
  # Whole periods of the stride, enough for the last window's last cell.
  periods = [
    number + (window - 1) // step
    for number, window, step in zip(count, kernel, stride, strict=True)
  ]
  extra = [
    (before, period * step - size - before, 0)
    for (before, _), period, step, size in zip(
      padding, periods, stride, x.shape[1:3], strict=True
    )
  ]
  n, _, _, c = x.shape
  x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *extra, (0, 0, 0)])
  x = x.reshape(n, periods[0], stride[0], periods[1], stride[1], c)
  planes = [
    [
      lax.squeeze(plane, (2, 4))
      for plane in lax.split(rows, (1,) * stride[1], axis=4)
    ]
    for rows in lax.split(x, (1,) * stride[0], axis=2)
  ]
  for row in range(kernel[0]):
    for column in range(kernel[1]):
      top, left = row // stride[0], column // stride[1]
      yield lax.slice(
        planes[row % stride[0]][column % stride[1]],
        (0, top, left, 0),
        (n, top + count[0], left + count[1], c),
      )


def _clipped_extents(
  size: int, kernel: int, stride: int, pad: int, edges: Pair
):
  before, after = edges
  first = np.arange(-before, size + after - kernel + 1, stride)
  return np.minimum(first + kernel, size + pad) - first
