"""Layers that sum up a map's windows, channel by channel."""

import functools

import jax.numpy as jnp

from jdeepvis.networks import pooling
from jdeepvis.networks.layers.layer_type import LayerType, Step, padding
from jdeepvis.networks.layers.products import two_extents


def _windows(layer, x):
  where = padding(layer, x.shape[1:3], ceil=layer.option("ceil", True))
  return layer.kernel, layer.stride, where


def _max_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  return pooling.max_pool(x, *_windows(layer, x))


def _average_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  kernel, stride, where = _windows(layer, x)
  divisor = pooling.average_divisor(
    x.shape[1:3], kernel, stride, layer.pad, where
  )
  return pooling.average_pool(x, kernel, stride, where, divisor)


def _stochastic_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  return pooling.stochastic_pool(x, *_windows(layer, x))


def _global_average(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.mean(x, axis=(1, 2), keepdims=True)


def _global_max(layer, weights, inputs, relu):
  (x,) = inputs
  return pooling.max_pool(x, x.shape[1:3], (1, 1), ((0, 0), (0, 0)))


def _read_pooling(layer):
  settings = layer.message.pooling_param
  name = ("max", "average", "stochastic")[settings.pool]
  if settings.global_pooling:
    if name == "stochastic":
      raise ValueError("global pooling is for maximum and average")
    return Step(f"global_{name}")
  size = [settings.kernel_size] if settings.HasField("kernel_size") else []
  return Step(
    f"{name}_pooling",
    two_extents(settings, "kernel", size, None),
    two_extents(settings, "stride", [settings.stride], 1),
    two_extents(settings, "pad", [settings.pad], 0),
    options={"ceil": False} if settings.round_mode else {},
  )


_pooling = functools.partial(LayerType, reach="window", pooling=True)

TYPES = {
  "max_pooling": _pooling(
    _max_pooling, features=True, caffe=("Pooling",), from_caffe=_read_pooling
  ),
  "average_pooling": _pooling(_average_pooling, linear=True),
  "stochastic_pooling": _pooling(_stochastic_pooling),
  "global_average": LayerType(_global_average, linear=True),
  "global_max": LayerType(_global_max),
}
