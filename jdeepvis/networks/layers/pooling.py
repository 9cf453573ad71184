"""Pooling: pure functions of maps, exact in value and gradient, and layers.

Maps are `[n, h, w, c]`; padding is explicit, as in `ops`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks.cpu import no_fusion
from jdeepvis.networks.layers.layer_type import (
  CannotRunError,
  LayerType,
  padding,
)
from jdeepvis.networks.layers.products import two_extents
from jdeepvis.networks.ops import Map, Padding, Pair


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def max_pool(x: Map, kernel: Pair, stride: Pair, padding: Padding) -> Map:
  """The largest value of each window; padding never wins.

  Where several values of a window are largest the gradient goes to the first
  in row-major order, as Caffe's does. The derivative is written out since
  XLA's own is slow on CPU; it is linear in the tangent, so vmap, jvp, vjp and
  hessian all work.
  """
  values = _window_values(x, kernel, stride, padding)
  return functools.reduce(jnp.maximum, values)


@max_pool.defjvp
def _max_pool_jvp(kernel, stride, padding, primals, tangents):
  (x,), (dx,) = primals, tangents
  y, place = no_fusion(_max_and_place, x, windows=(kernel, stride, padding))
  dy = no_fusion(_values_at, place, dx, windows=(kernel, stride, padding))
  return y, dy


@functools.partial(jax.jit, static_argnames="windows")
def _max_and_place(x, windows):
  """The largest of each window, and where in it the first such is."""
  y, *others = _window_values(x, *windows)
  # A window has up to 16,384 positions; a byte is read fastest.
  dtype = jnp.uint8 if len(others) < 256 else jnp.uint16
  place = jnp.zeros(y.shape, dtype)
  for number, value in enumerate(others, start=1):
    place = jnp.where(value > y, dtype(number), place)
    y = jnp.maximum(y, value)
  return y, place


@functools.partial(jax.jit, static_argnames="windows")
def _values_at(place, x, windows):
  """The value of each window at its `place`; linear in x."""
  values = enumerate(_window_planes(x, *windows))
  return sum(jnp.where(place == number, value, 0) for number, value in values)


def window_sum(x: Map, kernel: Pair, stride: Pair, padding: Padding) -> Map:
  """The sum of each window, first down the rows, then along the columns.

  The derivative of XLA's `reduce_window` is several times slower on CPU.
  """
  (tall, wide), (down, right), (ends, sides) = kernel, stride, padding
  rows = sum(_window_planes(x, (tall, 1), (down, 1), (ends, (0, 0))))
  return sum(_window_planes(rows, (1, wide), (1, right), ((0, 0), sides)))


def _window_values(x, kernel, stride, padding):
  """What all windows have at each position in them: `[n, h, w, c]`."""
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
  """The same values, with zeros as padding, in a form with a fast transpose.

  The map is first split into `stride` planes an axis, of which the values are
  plain slices: a strided slice's transpose would scatter.
  """
  count = [
    (size + sum(edges) - window) // step + 1
    for size, edges, window, step in zip(
      x.shape[1:3], padding, kernel, stride, strict=True
    )
  ]
  # Whole periods of the stride, enough for the last window's last position.
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


def _extents_inside(size: int, kernel: int, stride: int, pad: int, edges: Pair):
  before, after = edges
  first = np.arange(-before, size + after - kernel + 1, stride)
  within = np.minimum(first + kernel, size) - np.maximum(first, 0)
  return np.maximum(within, 1)


def _windows(layer, x):
  where = padding(layer, x.shape[1:3], ceil=layer.option("ceil", True))
  return layer.kernel, layer.stride, where


def _max_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  kernel, stride, where = _windows(layer, x)
  if kernel == x.shape[1:3] and not any(map(any, where)):
    return _largest(x)
  return max_pool(x, kernel, stride, where)


def _largest(x):
  """The largest of each whole map, as `max_pool`; one window, one lookup.

  As a slice for each of its positions it would take minutes to compile.
  """
  n, height, width, c = x.shape
  values = x.reshape(n, height * width, c)
  first = jnp.argmax(values, axis=1, keepdims=True)
  return jnp.take_along_axis(values, first, axis=1)[:, None]


def _max_pooling_mask(layer, weights, inputs, relu):
  """Where in its map each window's first maximum is, counted by rows."""
  (x,) = inputs
  kernel, stride, ((top, _), (left, _)) = windows = _windows(layer, x)
  best, *others = _window_values(lax.stop_gradient(x), *windows)
  place = jnp.zeros(best.shape, jnp.int32)
  for number, value in enumerate(others, start=1):
    place = jnp.where(value > best, number, place)
    best = jnp.maximum(value, best)
  rows, columns = np.indices((1, *place.shape[1:3], 1), np.int32)[1:3]
  down = rows * stride[0] - top + place // kernel[1]
  right = columns * stride[1] - left + place % kernel[1]
  return (down * x.shape[2] + right).astype(x.dtype)


def _average_pooling(layer, weights, inputs, relu):
  """The mean of each window, over the positions that Caffe counts.

  It clips a window to the *padded* map: `pad` positions beyond an edge count,
  what ceil mode adds beyond those does not. With `inside` none beyond an edge
  do.
  """
  (x,) = inputs
  kernel, stride, where = _windows(layer, x)
  extents = _extents_inside if layer.option("inside") else _clipped_extents
  rows, columns = (
    extents(*axis)
    for axis in zip(x.shape[1:3], kernel, stride, layer.pad, where, strict=True)
  )
  counts = np.float32(rows[:, None, None] * columns[None, :, None])
  total = window_sum(x, kernel, stride, where)
  return total / jnp.asarray(counts[None], x.dtype)


def _stochastic_pooling(layer, weights, inputs, relu):
  """Stochastic pooling at test time: each window's mean weighted by itself.

  `sum(x**2) / sum(x)`, and 0 where nothing in the window is positive
  (Zeiler and Fergus 2013, arXiv:1301.3557, §3.2).
  """
  (x,) = inputs
  total, squares = (
    window_sum(values, *_windows(layer, x)) for values in (x, x * x)
  )
  positive = total > 0
  return jnp.where(positive, squares / jnp.where(positive, total, 1), 0)


def _global_average(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.mean(x, axis=(1, 2), keepdims=True)


def _global_max(layer, weights, inputs, relu):
  return _largest(inputs[0])


def _read_pooling(layer):
  found = layer.message.pooling_param
  name = ("max", "average", "stochastic")[found.pool]
  if found.global_pooling:
    if name == "stochastic":
      raise CannotRunError("global pooling is for maximum and average")
    return {"kind": f"global_{name}"}
  down = found.round_mode == 1
  if found.HasField("ceil_mode"):
    if found.HasField("round_mode") and found.ceil_mode == down:
      raise ValueError(
        "its ceil_mode and its round_mode differ; leave one of them out"
      )
    down = not found.ceil_mode

  def both(field):
    return [getattr(found, field)] if found.HasField(field) else []

  if found.HasField("pad_h") != found.HasField("pad_w"):
    raise ValueError("it says one of pad_h and pad_w; say both")
  window = {
    "kind": f"{name}_pooling",
    "kernel": two_extents(found, "kernel", both("kernel_size"), None),
    "stride": two_extents(found, "stride", both("stride"), 1),
    "pad": two_extents(found, "pad", both("pad"), 0),
  }
  return window | ({"ceil": False} if down else {})


_pooling = functools.partial(LayerType, reach="window", pooling=True)

TYPES = {
  "max_pooling": _pooling(
    _max_pooling, mask="max_pooling_mask", caffe={"Pooling": _read_pooling}
  ),
  "max_pooling_mask": LayerType(_max_pooling_mask),
  "average_pooling": _pooling(_average_pooling, linear=True),
  "stochastic_pooling": _pooling(_stochastic_pooling),
  "global_average": LayerType(_global_average, linear=True),
  "global_max": LayerType(_global_max),
}
