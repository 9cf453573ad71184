"""Layers of Caffe's forks and its less common own, as `LayerType.apply`s."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks import caffe_axes, pooling
from jdeepvis.networks.ops import windows

# ruff: noqa: D103  (each is the one-line formula of the layer it is named for)

_MAX_SIDE = 2**14


def factor(layer, weights, inputs, relu):
  return inputs[0] * layer.option("factor", 1.0)


def clip_relu(layer, weights, inputs, relu):
  return jnp.minimum(relu(inputs[0]), layer.option("most", 6.0))


def clip(layer, weights, inputs, relu):
  return jnp.clip(inputs[0], layer.option("least"), layer.option("most"))


def swish(layer, weights, inputs, relu):
  (x,) = inputs
  return x * jax.nn.sigmoid(layer.option("beta", 1.0) * x)


def mish(layer, weights, inputs, relu):
  (x,) = inputs
  return x * jnp.tanh(jax.nn.softplus(x))


def threshold(layer, weights, inputs, relu):
  (x,) = inputs
  return (x > layer.option("threshold", 0.0)).astype(x.dtype)


def axpy(layer, weights, inputs, relu):
  a, x, y = inputs
  return a.reshape(a.shape[0], *(1,) * (x.ndim - 2), a.shape[-1]) * x + y


def bn_weights(layer, shapes):
  return {"scale": shapes[0][-1:], "bias": shapes[0][-1:]}


def shuffle_channels(layer, weights, inputs, relu):
  (x,) = inputs
  groups = layer.option("count", 1)
  parts = x.reshape(*x.shape[:-1], groups, -1)
  return jnp.swapaxes(parts, -1, -2).reshape(x.shape)


def permute(layer, weights, inputs, relu):
  x = caffe_axes.to_caffe(inputs[0])
  order = layer.option("order")
  if any(axis >= x.ndim for axis in order[: x.ndim]) or len(order) < x.ndim:
    raise ValueError(f"it has {x.ndim} axes, which are not those of {order}")
  return caffe_axes.from_caffe(x.transpose(order[: x.ndim]))


def normalize(layer, weights, inputs, relu):
  """Over the root of the sum of squares, of channels or of the whole map."""
  (x,) = inputs
  axes = tuple(range(1, x.ndim)) if layer.kind == "normalize_map" else -1
  square = jnp.sum(x * x, axes, keepdims=True) + layer.option("eps", 1e-10)
  scale = caffe_axes.with_axes_in_front(weights["scale"], x.ndim)
  return x / jnp.sqrt(square) * scale


def normalize_weights(layer, shapes):
  shared = layer.option("shared", True)
  return {"scale": (1,) if shared else (shapes[0][-1],)}


def interp(layer, weights, inputs, relu):
  """Bilinear, the corners of both maps at the same places."""
  (x,) = inputs
  before, after = layer.option("cut", (0, 0))
  zoom, shrink = layer.option("zoom", 1), layer.option("shrink", 1)
  for axis, to in zip((1, 2), layer.option("to", (0, 0)), strict=True):
    x = lax.slice_in_dim(x, before, x.shape[axis] - after, axis=axis)
    have = x.shape[axis]
    middle = (have - 1) // shrink + 1
    x = _stretched(x, axis, to or middle + (middle - 1) * (zoom - 1))
  return x


def upsample_nearest(layer, weights, inputs, relu):
  (x,) = inputs
  return _repeated(x, layer.option("scale"))


def unpool(layer, weights, inputs, relu):
  """Each value at the place that its mask names; zeros around it."""
  x, mask = inputs
  height, width = _unpooled_size(layer, x.shape[1:3])
  place = np.arange(height * width).reshape(1, height, width, 1)
  x, mask = (
    _cut_or_filled(_repeated(part, layer.option("scale")), (height, width))
    for part in (x, mask)
  )
  return jnp.where(mask == place.astype(mask.dtype), x, 0)


def max_pooling_mask(layer, weights, inputs, relu):
  """Where in its map each window's first maximum is, counted by rows."""
  (x,) = inputs
  height, width = x.shape[1:3]
  padding = tuple(
    windows(*axis, ceil=layer.option("ceil", True))[1:]
    for axis in zip(
      (height, width),
      layer.kernel,
      layer.stride,
      layer.pad,
      layer.dilation,
      strict=True,
    )
  )
  best, *others = pooling.window_cells(
    lax.stop_gradient(x), layer.kernel, layer.stride, padding
  )
  place = jnp.zeros(best.shape, jnp.int32)
  for number, cell in enumerate(others, start=1):
    place = jnp.where(cell > best, number, place)
    best = jnp.maximum(cell, best)
  rows, columns = np.indices((1, *place.shape[1:3], 1), np.int32)[1:3]
  down = rows * layer.stride[0] - padding[0][0] + place // layer.kernel[1]
  right = columns * layer.stride[1] - padding[1][0] + place % layer.kernel[1]
  return (down * width + right).astype(x.dtype)


def tile(layer, weights, inputs, relu):
  x = caffe_axes.to_caffe(inputs[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), x.ndim)
  counts = [1] * x.ndim
  counts[axis] = layer.option("count", 1)
  return caffe_axes.from_caffe(jnp.tile(x, counts))


def reduction(layer, weights, inputs, relu):
  x = caffe_axes.to_caffe(inputs[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), x.ndim)
  operation = layer.option("operation", "sum")
  if operation == "sum_abs":
    x = jnp.abs(x)
  elif operation == "sum_squares":
    x = x * x
  axes = tuple(range(axis, x.ndim))
  reduced = x.mean(axes) if operation == "mean" else x.sum(axes)
  reduced = caffe_axes.from_caffe(reduced * layer.option("factor", 1.0))
  # A number an image is a vector of one here.
  return reduced[:, None] if reduced.ndim == 1 else reduced


def _stretched(x, axis: int, size: int):
  have = x.shape[axis]
  if not 1 <= size <= _MAX_SIDE:
    raise ValueError(f"its side of {size} is not within 1 to {_MAX_SIDE}")
  if size == have:
    return x
  step = np.float32((have - 1) / (size - 1)) if size > 1 else np.float32(0)
  place = step * np.arange(size, dtype=np.float32)
  first = np.minimum(place.astype(np.int32), have - 1)
  second = np.minimum(first + 1, have - 1)
  shape = [1] * x.ndim
  shape[axis] = size
  share = jnp.asarray((place - first).reshape(shape), x.dtype)
  return (1 - share) * jnp.take(x, first, axis) + share * jnp.take(
    x, second, axis
  )


def _repeated(x, scale):
  if max(scale) * max(x.shape[1:3]) > _MAX_SIDE or min(scale) < 1:
    raise ValueError(f"its scale {list(scale)} is not one for this map")
  return jnp.repeat(jnp.repeat(x, scale[0], axis=1), scale[1], axis=2)


def _cut_or_filled(x, size):
  edges = [
    (0, side - have, 0) for side, have in zip(size, x.shape[1:3], strict=True)
  ]
  fill = jnp.full((), -1, x.dtype)  # No mask names it.
  return lax.pad(x, fill, [(0, 0, 0), *edges, (0, 0, 0)])


def _unpooled_size(layer, size):
  scale, trim = layer.option("scale"), layer.option("trim", (0, 0))
  sides = layer.option("to") or tuple(
    have * by - less for have, by, less in zip(size, scale, trim, strict=True)
  )
  if not all(1 <= side <= _MAX_SIDE for side in sides):
    raise ValueError(f"its size {list(sides)} is not one of a map")
  return sides
