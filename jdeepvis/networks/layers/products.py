"""Layers that multiply their input with a kernel, and add a bias."""

import functools
import math

import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import caffe_axes, ops
from jdeepvis.networks.layers.layer_type import LayerType, Step, padding
from jdeepvis.networks.ops import Pair


def convolution(layer, weights, inputs, relu, product=ops.convolution):
  """Convolution, by any function that computes what `ops.convolution` does."""
  (x,) = inputs
  where = padding(layer, x.shape[1:3])
  return product(x, **weights, padding=where, **_settings(layer))


def _convolution_weights(layer, shapes):
  features = layer.option("features")
  channels = shapes[0][-1] // layer.option("groups", 1)
  return _weights(layer, (*layer.kernel, channels, features), features)


def _deconvolution(layer, weights, inputs, relu):
  return ops.deconvolution(
    *inputs, **weights, pad=layer.pad, **_settings(layer)
  )


def _deconvolution_weights(layer, shapes):
  features, groups = layer.option("features"), layer.option("groups", 1)
  kernel = (*layer.kernel, features // groups, shapes[0][-1])
  return _weights(layer, kernel, features)


def _read_convolution(layer):
  settings = layer.message.convolution_param
  if settings.axis != 1:
    raise ValueError("its axis is not 1")
  return Step(
    kernel=two_extents(settings, "kernel", settings.kernel_size, None),
    stride=two_extents(settings, "stride", settings.stride, 1),
    pad=two_extents(settings, "pad", settings.pad, 0),
    dilation=_two(settings.dilation, 1),
    options={**_features(settings), "groups": settings.group},
  )


def _convolution_from_caffe(layer, shapes, leaves, arrays, checked):
  height, width, inputs, outputs = leaves["kernel"]
  kernel = checked(arrays[0], (outputs, inputs, height, width))
  return _with_bias(kernel.transpose(2, 3, 1, 0), leaves, arrays, checked)


def inner_product(layer, weights, inputs, relu, product=ops.inner_product):
  """Inner product, by any function that computes what ours in `ops` does."""
  (x,) = inputs
  axis, precision = (
    layer.option("axis", 1),
    layer.option("precision", "highest"),
  )
  axis = caffe_axes.positive_axis(axis, x.ndim)
  if axis == 1:
    return product(x, **weights, precision=precision)
  out = caffe_axes.to_caffe(x)
  out = jnp.dot(
    out.reshape(*out.shape[:axis], -1), weights["kernel"], precision=precision
  )
  return caffe_axes.from_caffe(ops.with_bias(out, weights.get("bias")))


def _inner_product_weights(layer, shapes):
  features, shape = layer.option("features"), caffe_axes.caffe_shape(shapes[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), len(shape) + 1)
  return _weights(layer, (math.prod(shape[axis - 1 :]), features), features)


def _read_inner_product(layer):
  settings = layer.message.inner_product_param
  options = _features(settings)
  options |= {} if settings.axis == 1 else {"axis": settings.axis}
  options |= {"transpose": True} if settings.transpose else {}
  return Step(options=options)


def _inner_product_from_caffe(layer, shapes, leaves, arrays, checked):
  size, features = leaves["kernel"]
  if layer.option("transpose", False):
    kernel = checked(arrays[0], (size, features))
  else:
    kernel = checked(arrays[0], (features, size)).T
  shape = caffe_axes.caffe_shape(shapes[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), len(shape) + 1)
  if axis == 1:
    kernel = kernel.reshape(*shape, features)
    kernel = np.moveaxis(kernel, 0, -2).reshape(size, features)
  return _with_bias(kernel, leaves, arrays, checked)


def _with_bias(kernel, leaves, arrays, checked):
  found = {"kernel": np.ascontiguousarray(kernel, np.float32)}
  if "bias" in leaves:
    found["bias"] = checked(arrays[1], leaves["bias"])
  return found


def _weights(layer, kernel, features):
  bias = {"bias": (features,)} if layer.option("bias", True) else {}
  return {"kernel": kernel} | bias


def _settings(layer):
  return {
    "stride": layer.stride,
    "dilation": layer.dilation,
    "groups": layer.option("groups", 1),
    "precision": layer.option("precision", "highest"),
  }


def _features(settings):
  if not settings.num_output:
    raise ValueError("it lacks num_output")
  bias = {} if settings.bias_term else {"bias": False}
  return {"features": settings.num_output} | bias


def two_extents(settings, name: str, both, default) -> Pair:
  """`kernel_h` and `kernel_w` of Caffe's message, or what stands for both."""
  if settings.HasField(f"{name}_h") or settings.HasField(f"{name}_w"):
    return getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w")
  if default is None and not both:
    raise ValueError(f"it lacks a {name} size")
  return _two(both, default)


def _two(values, default) -> Pair:
  values = tuple(values) or (default,)
  if len(values) > 2:
    raise ValueError(f"{len(values)} extents are not two")
  return values * 2 if len(values) == 1 else values


_convolving = functools.partial(
  LayerType,
  linear=True,
  weights_from_caffe=_convolution_from_caffe,
)

TYPES = {
  "convolution": _convolving(
    convolution,
    _convolution_weights,
    reach="window",
    product="output",
    caffe={"Convolution": _read_convolution},
  ),
  "deconvolution": _convolving(
    _deconvolution,
    _deconvolution_weights,
    product="input",
    caffe={"Deconvolution": _read_convolution},
  ),
  "inner_product": LayerType(
    inner_product,
    _inner_product_weights,
    linear=True,
    product="output",
    caffe={"InnerProduct": _read_inner_product},
    weights_from_caffe=_inner_product_from_caffe,
  ),
}
