"""Layer types: what each layer of a graph computes, and its weights.

A type of one's own joins by `LAYER_TYPES["mine"] = LayerType(apply, weights)`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdeepvis.networks import (
  caffe_axes,
  more_layers,
  normalisation,
  ops,
  pointwise,
  pooling,
)
from jdeepvis.networks.network import LayerInfo

Shape = tuple[int, ...]


class LayerType(NamedTuple):
  """A layer's operation and its weights.

  Attributes:
    apply: `apply(layer, weights, inputs, relu)` gives the one output, or a
      tuple of them. `inputs` are the blobs read, with the batch axis;
      `weights` the layer's own, by leaf name; `relu` the rectifier in force.
    weights: `weights(layer, shapes)` gives each leaf's shape from the shapes
      of the inputs, without the batch axis.
    reach: which positions of a map one output position reads: `cell`, its own;
      `window`, those under the layer's kernel, of the map padded by `padding`;
      `map`, all.
  """

  apply: Callable
  weights: Callable[[LayerInfo, Sequence[Shape]], Mapping[str, Shape]] = (
    lambda layer, shapes: {}
  )
  reach: str = "map"


def _convolution(layer, weights, inputs, relu):
  (x,) = inputs
  kernel, bias = weights["kernel"], weights.get("bias")
  return ops.convolution(
    x,
    kernel,
    bias,
    transpose=weights.get("transpose"),
    stride=layer.stride,
    padding=padding(layer, x.shape[1:3]),
    dilation=layer.dilation,
    groups=layer.option("groups", 1),
    precision=_precision(layer),
  )


def _convolution_weights(layer, shapes):
  features = layer.option("features")
  channels = shapes[0][-1] // layer.option("groups", 1)
  kernel = {"kernel": (*layer.kernel, channels, features)}
  return kernel | _bias(layer, features)


def _deconvolution(layer, weights, inputs, relu):
  (x,) = inputs
  return ops.deconvolution(
    x,
    weights["kernel"],
    weights.get("bias"),
    stride=layer.stride,
    pad=layer.pad,
    dilation=layer.dilation,
    groups=layer.option("groups", 1),
    precision=_precision(layer),
  )


def _deconvolution_weights(layer, shapes):
  features, groups = layer.option("features"), layer.option("groups", 1)
  kernel = (*layer.kernel, features // groups, shapes[0][-1])
  return {"kernel": kernel} | _bias(layer, features)


def _inner_product(layer, weights, inputs, relu):
  (x,) = inputs
  kernel, bias = weights["kernel"], weights.get("bias")
  axis = caffe_axes.positive_axis(layer.option("axis", 1), x.ndim)
  if axis == 1:
    return ops.inner_product(
      x,
      kernel,
      bias,
      transpose=weights.get("transpose"),
      across=layer.option("across"),
      precision=_precision(layer),
    )
  out = caffe_axes.inner_product(x, kernel, axis, precision=_precision(layer))
  if bias is None:
    return out
  out = caffe_axes.to_caffe(out)
  return caffe_axes.from_caffe(
    out + caffe_axes.with_axes_in_front(bias, out.ndim)
  )


def _inner_product_weights(layer, shapes):
  features, shape = layer.option("features"), caffe_axes.caffe_shape(shapes[0])
  axis = caffe_axes.positive_axis(layer.option("axis", 1), len(shape) + 1)
  return {"kernel": (math.prod(shape[axis - 1 :]), features)} | _bias(
    layer, features
  )


def _precision(layer):
  return layer.option("precision", "highest")


def _bias(layer, features):
  return {"bias": (features,)} if layer.option("bias", True) else {}


def _max_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  where = padding(layer, x.shape[1:3], ceil=layer.option("ceil", True))
  return pooling.max_pool(x, layer.kernel, layer.stride, where)


def _average_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  size = x.shape[1:3]
  where = padding(layer, size, ceil=layer.option("ceil", True))
  divisor = pooling.average_divisor(
    size, layer.kernel, layer.stride, layer.pad, where
  )
  return pooling.average_pool(x, layer.kernel, layer.stride, where, divisor)


def _stochastic_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  where = padding(layer, x.shape[1:3], ceil=layer.option("ceil", True))
  return pooling.stochastic_pool(x, layer.kernel, layer.stride, where)


def _global_average(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.mean(x, axis=(1, 2), keepdims=True)


def _global_max(layer, weights, inputs, relu):
  (x,) = inputs
  return pooling.max_pool(x, x.shape[1:3], (1, 1), ((0, 0), (0, 0)))


def _lrn(layer, weights, inputs, relu):
  (x,) = inputs
  return normalisation.local_response_normalisation(x, **dict(layer.options))


def _lrn_passed(layer, weights, inputs, relu):
  """The same values, but the derivative of the identity."""
  (x,) = inputs
  values = _lrn(layer, weights, inputs, relu)
  return jax.lax.stop_gradient(values) + (x - jax.lax.stop_gradient(x))


def _lrn_within(layer, weights, inputs, relu):
  (x,) = inputs
  return normalisation.lrn_within_channel(
    x,
    layer.kernel[0],
    padding(layer, x.shape[1:3]),
    alpha=layer.option("alpha", 1.0),
    beta=layer.option("beta", 0.75),
  )


def _mvn(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.mean_variance_normalisation(x, **dict(layer.options))


def _softmax(layer, weights, inputs, relu):
  (x,) = inputs
  return jax.nn.softmax(x, caffe_axes.own_axis(layer.option("axis", 1), x.ndim))


def _concat(layer, weights, inputs, relu):
  axis = caffe_axes.own_axis(layer.option("axis", 1), inputs[0].ndim)
  return jnp.concatenate(inputs, axis)


def _slice(layer, weights, inputs, relu):
  (x,) = inputs
  axis = caffe_axes.own_axis(layer.option("axis", 1), x.ndim)
  parts = layer.option("points") or len(layer.outputs)
  return tuple(jnp.split(x, parts, axis))


def _flatten(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.flatten(x, **dict(layer.options))


def _reshape(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.reshape(x, **dict(layer.options))


def _crop(layer, weights, inputs, relu):
  return caffe_axes.crop(*inputs, **dict(layer.options))


def _argmax(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.argmax(x, **dict(layer.options))


def _trim(layer, weights, inputs, relu):
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  return jax.lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))


def padding(
  layer: LayerInfo, size: ops.Pair, *, ceil: bool = False
) -> ops.Padding:
  """What a windowed layer adds around a map of `size` (height, width).

  The option `padding`, `((top, bottom), (left, right))`, takes precedence over
  `pad`; negative numbers crop. It is how the layers of a crop know which of
  their edges are edges of the whole map.
  """
  if explicit := layer.option("padding"):
    return explicit
  return tuple(
    ops.windows(*axis, ceil=ceil)[1:]
    for axis in zip(
      size, layer.kernel, layer.stride, layer.pad, layer.dilation, strict=True
    )
  )


LAYER_TYPES: dict[str, LayerType] = {
  "convolution": LayerType(_convolution, _convolution_weights, reach="window"),
  "deconvolution": LayerType(_deconvolution, _deconvolution_weights),
  "inner_product": LayerType(_inner_product, _inner_product_weights),
  "max_pooling": LayerType(_max_pooling, reach="window"),
  "average_pooling": LayerType(_average_pooling, reach="window"),
  "stochastic_pooling": LayerType(_stochastic_pooling, reach="window"),
  "global_average": LayerType(_global_average),
  "global_max": LayerType(_global_max),
  "lrn": LayerType(_lrn, reach="cell"),
  "lrn_passed": LayerType(_lrn_passed, reach="cell"),
  "lrn_within": LayerType(_lrn_within, reach="window"),
  "mvn": LayerType(_mvn),
  "relu": LayerType(pointwise.rectify, reach="cell"),
  "prelu": LayerType(pointwise.prelu, pointwise.prelu_weights, reach="cell"),
  "elu": LayerType(pointwise.elu, reach="cell"),
  "sigmoid": LayerType(pointwise.sigmoid, reach="cell"),
  "tanh": LayerType(pointwise.tanh, reach="cell"),
  "abs": LayerType(pointwise.absolute, reach="cell"),
  "bnll": LayerType(pointwise.bnll, reach="cell"),
  "power": LayerType(pointwise.power, reach="cell"),
  "exp": LayerType(pointwise.exponential, reach="cell"),
  "log": LayerType(pointwise.logarithm, reach="cell"),
  "batch_norm": LayerType(
    pointwise.batch_norm, pointwise.batch_norm_weights, reach="cell"
  ),
  "scale": LayerType(pointwise.scale, pointwise.scale_weights, reach="cell"),
  "bias": LayerType(pointwise.bias, pointwise.bias_weights, reach="cell"),
  "eltwise": LayerType(pointwise.eltwise, reach="cell"),
  "identity": LayerType(pointwise.identity, reach="cell"),
  "pixels": LayerType(pointwise.pixels, reach="cell"),
  "softmax": LayerType(_softmax, reach="cell"),
  "concat": LayerType(_concat, reach="cell"),
  "slice": LayerType(_slice, reach="cell"),
  # The same along other axes than the channels.
  "scale_axes": LayerType(pointwise.scale, pointwise.scale_weights),
  "bias_axes": LayerType(pointwise.bias, pointwise.bias_weights),
  "softmax_axis": LayerType(_softmax),
  "concat_axis": LayerType(_concat),
  "slice_axis": LayerType(_slice),
  "flatten": LayerType(_flatten),
  "reshape": LayerType(_reshape),
  "crop": LayerType(_crop),
  "argmax": LayerType(_argmax),
  "trim": LayerType(_trim, reach="window"),
  # Those of Caffe's forks, and its less common own.
  "axpy": LayerType(more_layers.axpy, reach="cell"),
  "bn": LayerType(pointwise.scale, more_layers.bn_weights, reach="cell"),
  "clip": LayerType(more_layers.clip, reach="cell"),
  "clip_relu": LayerType(more_layers.clip_relu, reach="cell"),
  "factor": LayerType(more_layers.factor, reach="cell"),
  "interp": LayerType(more_layers.interp),
  "max_pooling_mask": LayerType(more_layers.max_pooling_mask),
  "mish": LayerType(more_layers.mish, reach="cell"),
  "normalize": LayerType(
    more_layers.normalize, more_layers.normalize_weights, reach="cell"
  ),
  "normalize_map": LayerType(
    more_layers.normalize, more_layers.normalize_weights
  ),
  "permute": LayerType(more_layers.permute),
  "reduction": LayerType(more_layers.reduction),
  "shuffle_channels": LayerType(more_layers.shuffle_channels, reach="cell"),
  "swish": LayerType(more_layers.swish, reach="cell"),
  "threshold": LayerType(more_layers.threshold, reach="cell"),
  "tile": LayerType(more_layers.tile),
  "unpool": LayerType(more_layers.unpool),
  "upsample_nearest": LayerType(more_layers.upsample_nearest),
}
