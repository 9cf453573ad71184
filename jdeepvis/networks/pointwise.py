"""Pointwise layers, as `LayerType.apply` functions."""

import functools
import math

import jax
import jax.numpy as jnp

from jdeepvis.networks import caffe_axes

# ruff: noqa: D103  (each is the one-line formula of the layer it is named for)


def identity(layer, weights, inputs, relu):
  return inputs * len(layer.outputs)


def rectify(layer, weights, inputs, relu):
  (x,) = inputs
  slope = layer.option("slope", 0.0)
  # A backward rule, deconvnet's for instance, replaces the slope as well.
  if slope and relu is jax.nn.relu:
    return jnp.where(x > 0, x, slope * x)
  return relu(x)


def prelu(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.where(x > 0, x, _weight(weights, "slope", x) * x)


def prelu_weights(layer, shapes):
  return {"slope": (1 if layer.option("shared", False) else shapes[0][-1],)}


def elu(layer, weights, inputs, relu):
  (x,) = inputs
  below = layer.option("alpha", 1.0) * jnp.expm1(jnp.minimum(x, 0))
  return jnp.where(x > 0, x, below)


def sigmoid(layer, weights, inputs, relu):
  return jax.nn.sigmoid(inputs[0])


def tanh(layer, weights, inputs, relu):
  return jnp.tanh(inputs[0])


def absolute(layer, weights, inputs, relu):
  return jnp.abs(inputs[0])


def bnll(layer, weights, inputs, relu):
  return jax.nn.softplus(inputs[0])


def power(layer, weights, inputs, relu):
  exponent = layer.option("power", 1.0)
  # A whole exponent has derivatives at 0 and below, where floats have none.
  whole = float(exponent).is_integer() and abs(exponent) < 64
  return _affine(layer, inputs[0]) ** (int(exponent) if whole else exponent)


def exponential(layer, weights, inputs, relu):
  base = layer.option("base", -1.0)
  return jnp.exp(_affine(layer, inputs[0]) * _log_base(base))


def logarithm(layer, weights, inputs, relu):
  base = layer.option("base", -1.0)
  return jnp.log(_affine(layer, inputs[0])) / _log_base(base)


def batch_norm(layer, weights, inputs, relu):
  (x,) = inputs
  variance = _weight(weights, "variance", x)
  deviation = jnp.sqrt(variance + layer.option("eps", 1e-5))
  return (x - _weight(weights, "mean", x)) / deviation


def batch_norm_weights(layer, shapes):
  return {"mean": shapes[0][-1:], "variance": shapes[0][-1:]}


def scale(layer, weights, inputs, relu):
  if len(inputs) == 2:
    x, factor = _aligned(inputs, layer.option("axis", 1))
    scaled = caffe_axes.from_caffe(x * factor)
  else:
    (x,) = inputs
    scaled = x * _weight(weights, "scale", x)
  if "bias" not in weights:
    return scaled
  return scaled + _weight(weights, "bias", scaled)


def scale_weights(layer, shapes):
  leaves = {} if len(shapes) == 2 else {"scale": _spanned(layer, shapes)}
  if layer.option("bias", False):
    leaves["bias"] = _spanned(layer, shapes)
  return leaves


def bias(layer, weights, inputs, relu):
  if len(inputs) == 2:
    x, term = _aligned(inputs, layer.option("axis", 1))
    return caffe_axes.from_caffe(x + term)
  (x,) = inputs
  return x + _weight(weights, "bias", x)


def bias_weights(layer, shapes):
  return {} if len(shapes) == 2 else {"bias": _spanned(layer, shapes)}


def eltwise(layer, weights, inputs, relu):
  operation = layer.option("operation", "sum")
  if operation == "product":
    return functools.reduce(jnp.multiply, inputs)
  if operation == "maximum":
    first, second, *rest = inputs
    largest = jnp.where(first > second, first, second)
    for x in rest:
      largest = jnp.where(x > largest, x, largest)
    return largest
  factors = layer.option("coefficients") or (1.0,) * len(inputs)
  return sum(
    x if factor == 1 else factor * x
    for factor, x in zip(factors, inputs, strict=True)
  )


def pixels(layer, weights, inputs, relu):
  """Images as the net was trained on: its channel order, its scale."""
  (x,) = inputs
  x = x[..., ::-1] if layer.option("reverse", False) else x
  return x * layer.option("scale", 1.0)


def _weight(weights, name, x):
  return caffe_axes.with_axes_in_front(weights[name], x.ndim)


def _affine(layer, x):
  scale, shift = layer.option("scale", 1.0), layer.option("shift", 0.0)
  x = x if scale == 1 else scale * x
  return x if shift == 0 else x + shift


def _log_base(base: float) -> float:
  return 1.0 if base == -1 else math.log(base)


def _aligned(inputs, axis: int):
  """Both in Caffe's order; the second with the axes it lacks added behind."""
  x, other = map(caffe_axes.to_caffe, inputs)
  before = axis + x.ndim if axis < 0 else axis
  after = x.ndim - before - other.ndim
  return x, other.reshape((1,) * before + other.shape + (1,) * after)


def _spanned(layer, shapes):
  """Shape of a weight over Caffe's axes `axis` and following, in our order.

  Axes in front that it is not spanned over are left out, those behind are 1.
  """
  shape = caffe_axes.caffe_shape(shapes[0])
  span = caffe_axes.spanned_axes(
    layer.option("axis", 1), layer.option("axes", 1), len(shape) + 1
  )
  spanned = [
    size if span.start <= place < span.stop else 1
    for place, size in enumerate(shape)
  ]
  own = list(caffe_axes.own_shape(spanned))
  while len(own) > 1 and own[0] == 1:
    del own[0]
  return tuple(own)
