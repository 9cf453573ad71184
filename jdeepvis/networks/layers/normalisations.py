"""Layers that bring values to one scale, or make probabilities of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import caffe_axes, normalisation
from jdeepvis.networks.layers.layer_type import (
  MAX_EXTENT,
  LayerType,
  Step,
  along,
  padding,
  same_axes,
)


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


def _read_lrn(layer):
  settings = layer.message.lrn_param
  options = {"alpha": settings.alpha, "beta": settings.beta}
  size = settings.local_size
  if size % 2 == 0 or size > MAX_EXTENT:
    raise ValueError(f"its local_size {size} is not odd")
  if settings.norm_region:
    pad = ((size - 1) // 2,) * 2
    return Step("lrn_within", (size, size), pad=pad, options=options)
  return Step(options={**options, "size": size, "k": settings.k})


def _mvn(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.mean_variance_normalisation(x, **dict(layer.options))


def _read_mvn(layer):
  settings = layer.message.mvn_param
  options = {
    "variance": settings.normalize_variance,
    "across_channels": settings.across_channels,
    "eps": settings.eps,
  }
  return Step(options=options)


def _batch_norm(layer, weights, inputs, relu):
  (x,) = inputs
  mean, variance = (
    caffe_axes.with_axes_in_front(weights[name], x.ndim)
    for name in ("mean", "variance")
  )
  return (x - mean) / jnp.sqrt(variance + layer.option("eps", 1e-5))


def _batch_norm_weights(layer, shapes):
  return {"mean": shapes[0][-1:], "variance": shapes[0][-1:]}


def _read_batch_norm(layer):
  settings = layer.message.batch_norm_param
  if settings.HasField("use_global_stats") and not settings.use_global_stats:
    raise ValueError(
      "with use_global_stats: false it depends on the batch; set it to true"
    )
  return Step(options={"eps": settings.eps})


def _batch_norm_from_caffe(layer, shapes, leaves, arrays, checked):
  (count,) = checked(arrays[2], (1,))
  factor = np.float32(1 / count if count else 0)
  sums = same_axes(layer, shapes, leaves, arrays[:2], checked)
  return {name: factor * total for name, total in sums.items()}


def _softmax(layer, weights, inputs, relu):
  (x,) = inputs
  return jax.nn.softmax(x, caffe_axes.own_axis(layer.option("axis", 1), x.ndim))


def _read_softmax(layer):
  return along("softmax", layer.message.softmax_param.axis)


_at_position = functools.partial(LayerType, reach="position")

TYPES = {
  "lrn": _at_position(
    _lrn,
    features=True,
    passed="lrn_passed",
    caffe=("LRN",),
    from_caffe=_read_lrn,
  ),
  "lrn_passed": _at_position(_lrn_passed),
  "lrn_within": LayerType(_lrn_within, reach="window"),
  "mvn": LayerType(_mvn, caffe=("MVN",), from_caffe=_read_mvn),
  "batch_norm": _at_position(
    _batch_norm,
    _batch_norm_weights,
    linear=True,
    caffe=("BatchNorm",),
    from_caffe=_read_batch_norm,
    caffe_only=("their count",),
    weights_from_caffe=_batch_norm_from_caffe,
  ),
  "softmax": _at_position(
    _softmax, softmax=True, caffe=("Softmax",), from_caffe=_read_softmax
  ),
  "softmax_axis": LayerType(_softmax, softmax=True),
}
