"""Layers that multiply their input with a kernel, and add a bias."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layers.layer_type import (
  CannotRunError,
  LayerType,
  padding,
  require_images_apart,
  settings,
)
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.ops import Pair, trimmed


def _convolve(layer, x, weights, where):
  return lax.conv_general_dilated(
    x,
    weights["kernel"],
    layer.stride,
    where,
    rhs_dilation=layer.dilation,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=layer.option("groups", 1),
    precision=precision(layer),
  )


def convolution(layer, weights, inputs, relu, convolve=_convolve):
  """Cross-correlation; the kernel is HWIO, the inputs those of one group."""
  (x,) = inputs
  x, where = trimmed(x, padding(layer, x.shape[1:3]))
  return _with_bias(convolve(layer, x, weights, where), weights)


def _convolution_weights(layer, shapes):
  features = layer.option("features")
  channels = shapes[0][-1] // _groups(layer, shapes)
  return _weights(layer, (*layer.kernel, channels, features), features)


def _deconvolution(layer, weights, inputs, relu):
  """The transpose of a convolution.

  The kernel is that convolution's, so its inputs, one group's outputs here,
  stand before its outputs, all channels of `x`. The option `padding` is that
  convolution's too, `((top, bottom), (left, right))`.
  """
  (x,) = inputs
  kernel = jnp.swapaxes(weights["kernel"][::-1, ::-1], 2, 3)
  groups = jnp.split(kernel, layer.option("groups", 1), axis=2)
  pads = layer.option("padding") or tuple((pad, pad) for pad in layer.pad)
  edges = [
    tuple(dilation * (extent - 1) - pad for pad in axis)
    for dilation, extent, axis in zip(
      layer.dilation, layer.kernel, pads, strict=True
    )
  ]
  out = lax.conv_general_dilated(
    x,
    jnp.concatenate(groups, axis=3),
    (1, 1),
    edges,
    lhs_dilation=layer.stride,
    rhs_dilation=layer.dilation,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=len(groups),
    precision=precision(layer),
  )
  return _with_bias(out, weights)


def _deconvolution_weights(layer, shapes):
  features, groups = layer.option("features"), _groups(layer, shapes)
  kernel = (*layer.kernel, features // groups, shapes[0][-1])
  return _weights(layer, kernel, features)


def _groups(layer, shapes):
  groups, channels = layer.option("groups", 1), shapes[0][-1]
  if channels % groups:
    raise ValueError(f"its group {groups} does not part {channels} channels")
  return groups


def _read_convolution(layer):
  found = layer.message.convolution_param
  if found.axis != 1:
    raise CannotRunError("its axis is not 1")
  return _features(found) | {
    "groups": found.group,
    "kernel": two_extents(found, "kernel", found.kernel_size, None),
    "stride": two_extents(found, "stride", found.stride, 1),
    "pad": two_extents(found, "pad", found.pad, 0),
    "dilation": _dilation(found),
  }


def _read_depthwise(layer):
  found = layer.message.convolution_param
  # Each channel by itself: some files say it by group, others by the type.
  groups = found.group if found.group > 1 else found.num_output
  return _read_convolution(layer) | {"groups": groups}


def _dilation(message) -> Pair:
  """BVLC's `dilation`, DeepLab's `hole`, and either's two sides."""
  said = []
  for name in ("dilation", "hole"):
    both, one = getattr(message, name), message.HasField
    if both or one(f"{name}_h") or one(f"{name}_w"):
      height, width = two_extents(message, name, both, 0)
      # 0 is a side that is not said.
      said.append((max(height, 1), max(width, 1)))
  if len(set(said)) > 1:
    raise ValueError("its dilation and its hole differ; leave one of them out")
  return said[0] if said else (1, 1)


def _convolution_from_caffe(layer, shapes, leaves, arrays, checked):
  height, width, inputs, outputs = leaves["kernel"]
  kernel = checked(arrays[0], (outputs, inputs, height, width))
  return _leaves(kernel.transpose(2, 3, 1, 0), leaves, arrays, checked)


def _multiply(layer, x, weights):
  return jnp.dot(x, weights["kernel"], precision=precision(layer))


def inner_product(layer, weights, inputs, relu, multiply=_multiply):
  """Rows, or maps in height, width, channel order, times the kernel."""
  (x,) = inputs
  axis = caffe_axes.positive_axis(layer.option("axis", 1), x.ndim)
  if axis == 1:
    x = x.reshape(x.shape[0], -1)
    return _with_bias(multiply(layer, x, weights), weights)
  x = caffe_axes.to_caffe(x)
  out = _multiply(layer, x.reshape(*x.shape[:axis], -1), weights)
  return caffe_axes.from_caffe(_with_bias(out, weights))


def _inner_product_weights(layer, shapes):
  features, shape = layer.option("features"), caffe_axes.caffe_shape(shapes[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), len(shape) + 1)
  return _weights(layer, (math.prod(shape[axis - 1 :]), features), features)


def _read_inner_product(layer):
  read = settings("inner_product_param", axis="axis", transpose="transpose")
  found = layer.message.inner_product_param
  features = _features(found)
  require_images_apart(found.axis)
  return features | read(layer)


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
  return _leaves(kernel, leaves, arrays, checked)


def _leaves(kernel, leaves, arrays, checked):
  found = {"kernel": np.ascontiguousarray(kernel, np.float32)}
  if "bias" in leaves:
    found["bias"] = checked(arrays[1], leaves["bias"])
  return found


def _with_bias(x, weights):
  if "bias" not in weights:
    return x
  return x + caffe_axes.with_axes_in_front(weights["bias"], x.ndim)


def _weights(layer, kernel, features):
  bias = {"bias": (features,)} if layer.option("bias", True) else {}
  return {"kernel": kernel} | bias


def _dense(layer, weights, inputs, relu):
  """At each place the last axis times the kernel."""
  (x,) = inputs
  return _with_bias(_multiply(layer, x, weights), weights)


def _dense_weights(layer, shapes):
  features = layer.option("features")
  return _weights(layer, (shapes[0][-1], features), features)


def _einsum(layer, weights, inputs, relu):
  """Blobs with one another; the batch's letter is left out of `subscripts`."""
  terms, made = layer.option("subscripts").split("->")
  terms = ",".join(f"Z{term}" for term in terms.split(","))
  return jnp.einsum(f"{terms}->Z{made}", *inputs, precision=precision(layer))


def precision(layer: LayerInfo) -> str:
  """Of a product, as `jax.lax.Precision` names it."""
  return layer.option("precision", "highest")


def _features(message):
  if not message.num_output:
    raise ValueError("it lacks num_output")
  bias = {} if message.bias_term else {"bias": False}
  return {"features": message.num_output} | bias


def two_extents(message, name: str, both, default) -> Pair:
  """`kernel_h` and `kernel_w` of Caffe's message, or what stands for both.

  Raises:
    ValueError: it says neither, both, one of two sides, or more than two.
  """
  sides = [f"{name}_h", f"{name}_w"]
  said = [side for side in sides if message.HasField(side)]
  values = tuple(both)
  if values and said:
    raise ValueError(
      f"it says its {name} twice, as {said[0]} too; leave one of them out"
    )
  if default is None and not values and not said:
    raise ValueError(f"it lacks a {name} size")
  if said:
    height, width = (getattr(message, side) for side in sides)
    # What is not said is 0, which is a padding alone.
    if default != 0 and len(said) == 1:
      raise ValueError(f"it says {said[0]} alone; say {' and '.join(sides)}")
    return height, width
  values = values or (default,)
  if len(values) > 2:
    raise ValueError(
      f"its {name} has {len(values)} numbers; an image's has one or two"
    )
  return values * 2 if len(values) == 1 else values


_product = functools.partial(LayerType, linear=True, weighs=True)

TYPES = {
  "convolution": _product(
    convolution,
    _convolution_weights,
    reach="window",
    product="output",
    one_by_one=True,
    caffe={
      "Convolution": _read_convolution,
      "ConvolutionDepthwise": _read_depthwise,
      "DepthwiseConv": _read_depthwise,
      "DepthwiseConvolution": _read_depthwise,
    },
    weights_from_caffe=_convolution_from_caffe,
  ),
  "deconvolution": _product(
    _deconvolution,
    _deconvolution_weights,
    product="input",
    one_by_one=True,
    caffe={"Deconvolution": _read_convolution},
    weights_from_caffe=_convolution_from_caffe,
  ),
  "inner_product": _product(
    inner_product,
    _inner_product_weights,
    product="output",
    caffe={"InnerProduct": _read_inner_product},
    weights_from_caffe=_inner_product_from_caffe,
  ),
  "dense": _product(_dense, _dense_weights, reach="position", product="output"),
  "einsum": LayerType(_einsum, inputs=(1, 8), weighs=True),
}
