"""Functions of each value by itself, as they follow other layers."""

import functools
import math

import jax
import jax.numpy as jnp

from jdeepvis.networks.caffe_axes import with_axes_in_front
from jdeepvis.networks.layers.layer_type import (
  CannotRunError,
  LayerType,
  no_settings,
  settings,
)


def _relu(layer, weights, inputs, relu):
  (x,) = inputs
  slope = layer.option("slope", 0.0)
  # A backward rule, deconvnet's for instance, replaces the slope as well.
  if slope and relu is jax.nn.relu:
    return jnp.where(x > 0, x, slope * x)
  return relu(x)


def _prelu(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.where(x > 0, x, with_axes_in_front(weights["slope"], x.ndim) * x)


def _prelu_weights(layer, shapes):
  return {"slope": (1 if layer.option("shared", False) else shapes[0][-1],)}


def _elu(layer, weights, inputs, relu):
  (x,) = inputs
  below = layer.option("alpha", 1.0) * jnp.expm1(jnp.minimum(x, 0))
  return jnp.where(x > 0, x, below)


def _clip_relu(layer, weights, inputs, relu):
  return jnp.minimum(relu(inputs[0]), layer.option("most", 6.0))


def _read_relu6(layer):
  if layer.message.relu6_param.negative_slope:
    raise CannotRunError("it has a negative slope")
  return {"most": 6.0}


def _clip(layer, weights, inputs, relu):
  return jnp.clip(inputs[0], layer.option("least"), layer.option("most"))


def _read_clip(layer):
  found = layer.message.clip_param
  if not (found.HasField("min") and found.HasField("max")):
    raise ValueError("it needs min and max")
  return {"least": found.min, "most": found.max}


def _swish(layer, weights, inputs, relu):
  (x,) = inputs
  return x * jax.nn.sigmoid(layer.option("beta", 1.0) * x)


def _mish(x):
  return x * jnp.tanh(jax.nn.softplus(x))


def _gelu(layer, weights, inputs, relu):
  return jax.nn.gelu(inputs[0], approximate=layer.option("tanh", False))


def _hard_sigmoid(layer, weights, inputs, relu):
  slope, shift = layer.option("slope", 0.2), layer.option("shift", 0.5)
  return jnp.clip(slope * inputs[0] + shift, 0, 1)


def _hard_swish(x):
  return x * jnp.clip(x / 6 + 0.5, 0, 1)


def _selu(layer, weights, inputs, relu):
  (x,) = inputs
  alpha, scale = layer.option("alpha"), layer.option("scale")
  below = alpha * jnp.expm1(jnp.minimum(x, 0))
  return scale * jnp.where(x > 0, x, below)


def _celu(layer, weights, inputs, relu):
  (x,) = inputs
  alpha = layer.option("alpha", 1.0)
  return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0) / alpha))


def _shrink(layer, weights, inputs, relu):
  """0 within `edge` of 0, elsewhere nearer to 0 by `bias`."""
  (x,) = inputs
  edge, bias = layer.option("edge", 0.5), layer.option("bias", 0.0)
  return jnp.where(x < -edge, x + bias, jnp.where(x > edge, x - bias, 0))


def _thresholded_relu(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.where(x > layer.option("threshold", 1.0), x, 0)


def _threshold(layer, weights, inputs, relu):
  (x,) = inputs
  return (x > layer.option("threshold", 0.0)).astype(x.dtype)


def _power(layer, weights, inputs, relu):
  exponent = layer.option("power", 1.0)
  # A whole exponent has derivatives at 0 and below, where floats have none.
  whole = float(exponent).is_integer() and abs(exponent) < 64
  return _affine(layer, inputs[0]) ** (int(exponent) if whole else exponent)


def _exp(layer, weights, inputs, relu):
  return jnp.exp(_affine(layer, inputs[0]) * _log_base(layer))


def _log(layer, weights, inputs, relu):
  return jnp.log(_affine(layer, inputs[0])) / _log_base(layer)


def _with_base(message):
  read_options = settings(message, base="base", **_AFFINE)

  def read(layer):
    base = getattr(layer.message, message).base
    if base != -1 and base <= 0:
      raise ValueError(f"its base {base} is not above 0")
    return read_options(layer)

  return read


def _affine(layer, x):
  scale, shift = layer.option("scale", 1.0), layer.option("shift", 0.0)
  x = x if scale == 1 else scale * x
  return x if shift == 0 else x + shift


def _log_base(layer) -> float:
  base = layer.option("base", -1.0)
  return 1.0 if base == -1 else math.log(base)


def _of(function):
  return lambda layer, weights, inputs, relu: function(inputs[0])


_AFFINE = {"scale": "scale", "shift": "shift"}

_activation = functools.partial(LayerType, reach="position", activation=True)

TYPES = {
  "relu": _activation(
    _relu, caffe={"ReLU": settings("relu_param", slope="negative_slope")}
  ),
  "prelu": _activation(
    _prelu,
    _prelu_weights,
    caffe={"PReLU": settings("prelu_param", shared="channel_shared")},
  ),
  "elu": _activation(_elu, caffe={"ELU": settings("elu_param", alpha="alpha")}),
  "clip_relu": _activation(_clip_relu, caffe={"ReLU6": _read_relu6}),
  "sigmoid": _activation(
    _of(jax.nn.sigmoid),
    probabilities="sigmoid",
    caffe={"Sigmoid": no_settings},
  ),
  "swish": _activation(
    _swish, caffe={"Swish": settings("swish_param", beta="beta")}
  ),
  "mish": _activation(_of(_mish), caffe={"Mish": no_settings}),
  "tanh": _activation(_of(jnp.tanh), caffe={"TanH": no_settings}),
  "abs": _activation(_of(jnp.abs), caffe={"AbsVal": no_settings}),
  "bnll": _activation(_of(jax.nn.softplus), caffe={"BNLL": no_settings}),
  "power": _activation(
    _power, caffe={"Power": settings("power_param", power="power", **_AFFINE)}
  ),
  "exp": _activation(_exp, caffe={"Exp": _with_base("exp_param")}),
  "log": _activation(_log, caffe={"Log": _with_base("log_param")}),
  "gelu": _activation(_gelu),
  "hard_sigmoid": _activation(_hard_sigmoid),
  "hard_swish": _activation(_of(_hard_swish)),
  "selu": _activation(_selu),
  "celu": _activation(_celu),
  "softsign": _activation(_of(jax.nn.soft_sign)),
  "shrink": _activation(_shrink),
  "thresholded_relu": _activation(_thresholded_relu),
  "clip": LayerType(_clip, reach="position", caffe={"Clip": _read_clip}),
  "threshold": LayerType(
    _threshold,
    reach="position",
    caffe={"Threshold": settings("threshold_param", threshold="threshold")},
  ),
}
