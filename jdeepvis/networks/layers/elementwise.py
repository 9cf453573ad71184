"""Layers that scale, shift and combine values position by position."""

import functools

import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layers.layer_type import (
  LayerType,
  no_settings,
)


def _identity(layer, weights, inputs, relu):
  return inputs * len(layer.outputs)


def _read_dropout(layer):
  found = layer.message.dropout_param
  if found.sample_weights_test:
    raise ValueError(
      "with sample_weights_test it draws anew for each image; remove that line "
      "to see the mean network"
    )
  if found.scale_train:
    return {}
  # The forks that do not scale in training scale what is trained.
  return {"kind": "factor", "factor": 1 - found.dropout_ratio}


def _factor(layer, weights, inputs, relu):
  return inputs[0] * layer.option("factor", 1.0)


def _axpy(layer, weights, inputs, relu):
  a, x, y = inputs
  return a.reshape(a.shape[0], *(1,) * (x.ndim - 2), a.shape[-1]) * x + y


def _read_axpy(layer):
  if len(layer.bottoms) != 3:
    raise ValueError(
      "it needs three bottoms: a scale, what is scaled and what is added"
    )
  return {}


def _pixels(layer, weights, inputs, relu):
  """Images as the net was trained on: its channel order, its scale."""
  (x,) = inputs
  x = x[..., ::-1] if layer.option("reverse", False) else x
  return x * layer.option("scale", 1.0)


def _with_another(name, combine):
  """Combines the input with a second one, or with the weight `name`."""

  def apply(layer, weights, inputs, relu):
    if len(inputs) == 2:
      x, other = _aligned(inputs, layer.option("axis", 1))
      return caffe_axes.from_caffe(combine(x, other))
    (x,) = inputs
    return combine(x, _weight(weights, name, x))

  return apply


_bias = _with_another("bias", jnp.add)
_scale_alone = _with_another("scale", jnp.multiply)


def _scale(layer, weights, inputs, relu):
  x = _scale_alone(layer, weights, inputs, relu)
  return x + _weight(weights, "bias", x) if "bias" in weights else x


def _bias_weights(layer, shapes):
  return {} if len(shapes) == 2 else {"bias": _spanned(layer, shapes)}


def _scale_weights(layer, shapes):
  bias = {"bias": _spanned(layer, shapes)} if layer.option("bias") else {}
  return bias if len(shapes) == 2 else {"scale": _spanned(layer, shapes)} | bias


def _read_bias(layer):
  return _read_spanned("bias", layer.message.bias_param, layer)


def _read_scale(layer):
  found = layer.message.scale_param
  bias = {"bias": True} if found.bias_term else {}
  return _read_spanned("scale", found, layer) | bias


def _eltwise(layer, weights, inputs, relu):
  shapes = {x.shape for x in inputs}
  if len(shapes) > 1 and not layer.option("broadcast"):  # Caffe's do not
    raise ValueError("they must have one shape")
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


def _read_eltwise(layer):
  found = layer.message.eltwise_param
  operation = ("product", "sum", "maximum")[found.operation]
  factors = tuple(found.coeff)
  if factors and (operation != "sum" or len(factors) != len(layer.bottoms)):
    raise ValueError("it needs one coeff for each blob it adds, or none")
  if len(factors) == 1:
    return {"kind": "factor", "factor": factors[0]}  # FlowNet's scale
  options = {"operation": operation}
  return options | ({"coefficients": factors} if factors else {})


def _weight(weights, name, x):
  return caffe_axes.with_axes_in_front(weights[name], x.ndim)


def _aligned(inputs, axis: int):
  """Both in Caffe's order; the second with the axes it lacks added behind."""
  x, other = map(caffe_axes.to_caffe, inputs)
  before = axis + x.ndim if axis < 0 else axis
  after = x.ndim - before - other.ndim
  return x, other.reshape((1,) * before + other.shape + (1,) * after)


def _span(layer, shape):
  return caffe_axes.spanned_axes(
    layer.option("axis", 1), layer.option("axes", 1), len(shape) + 1
  )


def _spanned(layer, shapes):
  """Shape of a weight over Caffe's axes `axis` and following, in our order.

  Axes in front that it is not spanned over are left out, those behind are 1.
  """
  shape = caffe_axes.caffe_shape(shapes[0])
  span = _span(layer, shape)
  spanned = [
    size if span.start <= place < span.stop else 1
    for place, size in enumerate(shape)
  ]
  own = list(caffe_axes.own_shape(spanned))
  while len(own) > 1 and own[0] == 1:
    del own[0]
  return tuple(own)


def _read_spanned(kind, found, layer):
  if len(layer.bottoms) == 1 and (found.axis, found.num_axes) == (1, 1):
    return {}
  return {
    "kind": f"{kind}_axes",
    "axis": found.axis,
    "axes": found.num_axes,
  }


def _spanned_from_caffe(layer, shapes, leaves, arrays, checked):
  shape = caffe_axes.caffe_shape(shapes[0])
  span = _span(layer, shape)
  around = (1,) * span.start, (1,) * (len(shape) - span.stop)
  found = {}
  for (name, own), array in zip(leaves.items(), arrays, strict=True):
    array = checked(array, shape[span])
    array = array.reshape(around[0] + shape[span] + around[1])
    found[name] = np.moveaxis(array, 0, -1).reshape(own)
  return found


_at_position = functools.partial(LayerType, reach="position")
_spanning = functools.partial(LayerType, inputs=(1, 2))

TYPES = {
  "identity": _at_position(
    _identity,
    several_outputs=True,
    same_values=True,
    linear=True,
    caffe={
      "Dropout": _read_dropout,
      "SpatialDropout": no_settings,
      "Split": no_settings,
    },
  ),
  "factor": _at_position(_factor, linear=True),
  "axpy": _at_position(
    _axpy, inputs=(3, 3), weighs=True, caffe={"Axpy": _read_axpy}
  ),
  "pixels": _at_position(_pixels, linear=True),
  "eltwise": _at_position(
    _eltwise,
    inputs=(2, None),
    weighs=True,
    caffe={"Eltwise": _read_eltwise},
  ),
  "scale": _spanning(
    _scale,
    _scale_weights,
    reach="position",
    weighs=True,
    caffe={"Scale": _read_scale},
  ),
  "bias": _spanning(
    _bias,
    _bias_weights,
    reach="position",
    linear=True,
    caffe={"Bias": _read_bias},
  ),
  # The same along other axes than the channels.
  "scale_axes": _spanning(
    _scale,
    _scale_weights,
    weighs=True,
    weights_from_caffe=_spanned_from_caffe,
  ),
  "bias_axes": _spanning(
    _bias,
    _bias_weights,
    linear=True,
    weights_from_caffe=_spanned_from_caffe,
  ),
}
