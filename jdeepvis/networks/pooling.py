"""Caffe's pooling as pure functions of maps, exact in value and gradient.

Maps are `[n, h, w, c]`; padding is explicit, as in `ops`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from jdeepvis.networks.ops import Map, Padding, Pair, no_fusion


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def max_pool(x: Map, kernel: Pair, stride: Pair, padding: Padding) -> Map:
  """The largest value of each window; padding never wins.

  Where several cells of a window are largest the gradient goes to the first
  in row-major order, as Caffe's does. The derivative is written out since
  XLA's own is slow on CPU; it is linear in the tangent, so vmap, jvp, vjp and
  hessian all work.
  """
  cells = window_cells(x, kernel, stride, padding)
  return functools.reduce(jnp.maximum, cells)


@max_pool.defjvp
def _max_pool_jvp(kernel, stride, padding, primals, tangents):
  (x,), (dx,) = primals, tangents
  y, place = no_fusion(_max_and_place, x, windows=(kernel, stride, padding))
  dy = no_fusion(_values_at, place, dx, windows=(kernel, stride, padding))
  return y, dy


@functools.partial(jax.jit, static_argnames="windows")
def _max_and_place(x, windows):
  """The largest of each window, and which of its cells is the first such."""
  y, *others = window_cells(x, *windows)
  place = jnp.zeros(y.shape, jnp.uint8)
  for number, cell in enumerate(others, start=1):
    place = jnp.where(cell > y, jnp.uint8(number), place)
    y = jnp.maximum(y, cell)
  return y, place


@functools.partial(jax.jit, static_argnames="windows")
def _values_at(place, x, windows):
  """The cell of each window at its `place`; linear in x."""
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
  return _window_sum(x, kernel, stride, padding) / jnp.asarray(
    divisor[None], x.dtype
  )


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
    _window_sum(values, kernel, stride, padding) for values in (x, x * x)
  )
  positive = total > 0
  return jnp.where(positive, squares / jnp.where(positive, total, 1), 0)


def _window_sum(x, kernel, stride, padding):
  """The sum of each window, first down the rows, then along the columns.

  The derivative of XLA's `reduce_window` is several times slower on CPU.
  """
  (tall, wide), (down, right), (ends, sides) = kernel, stride, padding
  rows = sum(_window_planes(x, (tall, 1), (down, 1), (ends, (0, 0))))
  return sum(_window_planes(rows, (1, wide), (1, right), ((0, 0), sides)))


def window_cells(x, kernel, stride, padding):
  """For each cell of a window, that cell of all windows: `[n, h, w, c]`."""
  if any(map(any, padding)):
    fill = jnp.asarray(-jnp.inf, x.dtype)
    x = lax.pad(
      x, fill, [(0, 0, 0), *((*edge, 0) for edge in padding), (0, 0, 0)]
    )
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
  """The same cells, with zeros as padding, in a form with a fast transpose.

  The map is first split into `stride` planes an axis, of which the cells are
  plain slices: a strided slice's transpose would scatter.
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
