"""Layers that rearrange, cut, join and sum up axes, whatever these stand for.

Axes are our own, counted without the batch: of a map 0 is its height, 1 its
width, 2 its channels. A type whose name ends in `_channels` leaves the
positions of a map where they are.
"""

import functools

import jax.numpy as jnp
from jax import lax

from jdeepvis.networks.layers.layer_type import LayerType, by_options, padding

_REDUCTIONS = {
  "mean": jnp.mean,
  "sum": jnp.sum,
  "max": jnp.max,
  "min": jnp.min,
  "prod": jnp.prod,
  "l1": lambda x, axis, keepdims: jnp.sum(jnp.abs(x), axis, keepdims=keepdims),
  "l2": lambda x, axis, keepdims: _root(
    jnp.sum(x * x, axis, keepdims=keepdims)
  ),
  "sum_square": lambda x, axis, keepdims: jnp.sum(
    x * x, axis, keepdims=keepdims
  ),
  "log_sum": lambda x, axis, keepdims: jnp.log(
    jnp.sum(x, axis, keepdims=keepdims)
  ),
  "log_sum_exp": lambda x, axis, keepdims: _log_sum_exp(x, axis, keepdims),
}


def _root(square):
  # The square root has no derivative at 0, where the answer is 0 anyway.
  return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _log_sum_exp(x, axis, keepdims):
  largest = lax.stop_gradient(jnp.max(x, axis, keepdims=True))
  largest = jnp.where(jnp.isfinite(largest), largest, 0)
  total = jnp.sum(jnp.exp(x - largest), axis, keepdims=True)
  found = jnp.log(total) + largest
  return found if keepdims else jnp.squeeze(found, axis)


def _rearrange(x, *, atoms, order, dims):
  """Cut into `atoms`, these in another `order`, joined to `dims`."""
  x = x.reshape(len(x), *atoms)
  x = x.transpose(0, *(1 + place for place in order))
  return x.reshape(len(x), *dims)


def _rearrange_channels(x, *, atoms, order):
  before = x.shape[:-1]
  x = x.reshape(*before, *atoms)
  front = tuple(range(len(before)))
  x = x.transpose(*front, *(len(before) + place for place in order))
  return x.reshape(*before, -1)


def _select(x, *, axis, start, stop, step=1):
  """From `start` up to `stop`, out, every `step`-th; backwards below 0."""
  if step < 0:
    count = -((stop - start) // -step)
    x = lax.rev(x, (axis + 1,))
    start, step = x.shape[axis + 1] - 1 - start, -step
    stop = start + (count - 1) * step + 1
  return lax.slice_in_dim(x, start, stop, step, axis + 1)


def _take(x, *, indices, axis):
  return jnp.take(x, jnp.asarray(indices, jnp.int32), axis + 1)


def _cut_window(layer, weights, inputs, relu):
  """Every `stride`-th position of a map, which `padding` may crop."""
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  x = lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))
  return x[:, :: layer.stride[0], :: layer.stride[1]]


def _reduce(x, *, operation, along, keep=True):
  axes = tuple(axis + 1 for axis in along)
  x = _REDUCTIONS[operation](x, axis=axes, keepdims=keep)
  # A number an image is a vector of one here.
  return x[:, None] if x.ndim == 1 else x


def _place(x, *, operation, axis, last=False):
  """Where along an axis the largest or the smallest is, as floats."""
  find = jnp.argmax if operation == "max" else jnp.argmin
  where = axis + 1
  found = find(lax.rev(x, (where,)) if last else x, where, keepdims=True)
  found = x.shape[where] - 1 - found if last else found
  return found.astype(x.dtype)


def _top(x, *, axis, count, operation="max"):
  """The `count` largest or smallest along an axis, and where they are."""
  x = jnp.moveaxis(x, axis + 1, -1)
  values, places = lax.top_k(x if operation == "max" else -x, count)
  values = values if operation == "max" else -values
  return tuple(
    jnp.moveaxis(found.astype(x.dtype), -1, axis + 1)
    for found in (values, places)
  )


def _cumulate(x, *, axis, exclusive=False, backwards=False):
  axis += 1
  total = lax.cumsum(x, axis, reverse=backwards)
  return total - x if exclusive else total


def _pad_axes(x, *, before, after, mode="constant", number=0.0):
  """Any axes, by a number or by what is in them; below 0 it crops."""
  edges = list(zip((0, *before), (0, *after), strict=True))
  x = lax.pad(
    x,
    jnp.zeros((), x.dtype),
    [(min(low, 0), min(high, 0), 0) for low, high in edges],
  )
  edges = [(max(low, 0), max(high, 0)) for low, high in edges]
  if mode == "constant":
    return jnp.pad(x, edges, constant_values=number)
  return jnp.pad(x, edges, mode=mode)


def _expand(x, *, dims):
  return jnp.broadcast_to(x, (len(x), *dims))


def _repeat(x, *, counts):
  return jnp.tile(x, (1, *counts))


def _constant(layer, weights, inputs, relu):
  """The weight `value`, once for each image."""
  value = weights["value"]
  return jnp.broadcast_to(value, (len(inputs[0]), *value.shape))


def _resample(layer, weights, inputs, relu):
  """Rows and columns of a map, each a weighted sum of those before."""
  (x,) = inputs
  x = jnp.einsum("oh,nhwc->nowc", weights["rows"], x, precision="highest")
  return jnp.einsum("ow,nhwc->nhoc", weights["columns"], x, precision="highest")


def _resample_weights(layer, shapes):
  to = layer.option("to")
  return {"rows": (to[0], shapes[0][0]), "columns": (to[1], shapes[0][1])}


_linear = functools.partial(LayerType, linear=True)

TYPES = {
  "rearrange": _linear(by_options(_rearrange), same_values=True),
  "rearrange_channels": _linear(
    by_options(_rearrange_channels), reach="position", same_values=True
  ),
  "select": _linear(by_options(_select)),
  "select_channels": _linear(by_options(_select), reach="position"),
  "cut_window": _linear(_cut_window, reach="window", resizes=True),
  "take": _linear(by_options(_take)),
  "take_channels": _linear(by_options(_take), reach="position"),
  "reduce": LayerType(by_options(_reduce)),
  "reduce_channels": LayerType(by_options(_reduce), reach="position"),
  "place": LayerType(by_options(_place)),
  "place_channels": LayerType(by_options(_place), reach="position"),
  "top": LayerType(by_options(_top), several_outputs=True),
  "cumulate": _linear(by_options(_cumulate)),
  "pad_axes": _linear(by_options(_pad_axes), resizes=True),
  "expand": _linear(by_options(_expand)),
  "repeat": _linear(by_options(_repeat)),
  "constant": LayerType(
    _constant, lambda layer, shapes: {"value": tuple(layer.option("dims"))}
  ),
  "resample": _linear(_resample, _resample_weights, resizes=True),
}
