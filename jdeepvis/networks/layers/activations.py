"""Functions of each value by itself, as they follow other layers."""

import functools
import math

import jax
import jax.numpy as jnp

from jdeepvis.networks.caffe_axes import with_axes_in_front
from jdeepvis.networks.layers.layer_type import LayerType, Step


def _relu(layer, weights, inputs, relu):
  (x,) = inputs
  slope = layer.option("slope", 0.0)
  # A backward rule, deconvnet's for instance, replaces the slope as well.
  if slope and relu is jax.nn.relu:
    return jnp.where(x > 0, x, slope * x)
  return relu(x)


def _read_relu(layer):
  slope = layer.message.relu_param.negative_slope
  return Step(options={"slope": slope} if slope else {})


def _prelu(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.where(x > 0, x, with_axes_in_front(weights["slope"], x.ndim) * x)


def _prelu_weights(layer, shapes):
  return {"slope": (1 if layer.option("shared", False) else shapes[0][-1],)}


def _read_prelu(layer):
  shared = layer.message.prelu_param.channel_shared
  return Step(options={"shared": True} if shared else {})


def _elu(layer, weights, inputs, relu):
  (x,) = inputs
  below = layer.option("alpha", 1.0) * jnp.expm1(jnp.minimum(x, 0))
  return jnp.where(x > 0, x, below)


def _read_elu(layer):
  return Step(options={"alpha": layer.message.elu_param.alpha})


def _power(layer, weights, inputs, relu):
  exponent = layer.option("power", 1.0)
  # A whole exponent has derivatives at 0 and below, where floats have none.
  whole = float(exponent).is_integer() and abs(exponent) < 64
  return _affine(layer, inputs[0]) ** (int(exponent) if whole else exponent)


def _read_power(layer):
  return Step(options=_fields(layer.message.power_param, "power"))


def _exp(layer, weights, inputs, relu):
  return jnp.exp(_affine(layer, inputs[0]) * _log_base(layer))


def _log(layer, weights, inputs, relu):
  return jnp.log(_affine(layer, inputs[0])) / _log_base(layer)


def _read_exp(layer):
  return _with_base(layer.message.exp_param)


def _read_log(layer):
  return _with_base(layer.message.log_param)


def _with_base(settings):
  if settings.base != -1 and settings.base <= 0:
    raise ValueError(f"its base {settings.base} is not above 0")
  return Step(options=_fields(settings, "base"))


def _fields(settings, *names):
  return {name: getattr(settings, name) for name in (*names, "scale", "shift")}


def _affine(layer, x):
  scale, shift = layer.option("scale", 1.0), layer.option("shift", 0.0)
  x = x if scale == 1 else scale * x
  return x if shift == 0 else x + shift


def _log_base(layer) -> float:
  base = layer.option("base", -1.0)
  return 1.0 if base == -1 else math.log(base)


def _of_value(function):
  return lambda layer, weights, inputs, relu: function(inputs[0])


_activation = functools.partial(LayerType, reach="position", activation=True)

TYPES = {
  "relu": _activation(
    _relu, features=True, caffe=("ReLU",), from_caffe=_read_relu
  ),
  "prelu": _activation(
    _prelu,
    _prelu_weights,
    features=True,
    caffe=("PReLU",),
    from_caffe=_read_prelu,
  ),
  "elu": _activation(_elu, features=True, caffe=("ELU",), from_caffe=_read_elu),
  "sigmoid": _activation(_of_value(jax.nn.sigmoid), caffe=("Sigmoid",)),
  "tanh": _activation(_of_value(jnp.tanh), caffe=("TanH",)),
  "abs": _activation(_of_value(jnp.abs), caffe=("AbsVal",)),
  "bnll": _activation(_of_value(jax.nn.softplus), caffe=("BNLL",)),
  "power": _activation(_power, caffe=("Power",), from_caffe=_read_power),
  "exp": _activation(_exp, caffe=("Exp",), from_caffe=_read_exp),
  "log": _activation(_log, caffe=("Log",), from_caffe=_read_log),
}
