"""Layers that bring values to one scale, or make probabilities of them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layers.layer_type import (
  MAX_EXTENT,
  LayerType,
  along,
  by_options,
  padding,
  same_axes,
  settings,
)
from jdeepvis.networks.layers.pooling import window_sum


def _lrn_across(x, *, size=5, alpha=1.0, beta=0.75, k=1.0):
  """`x / (k + alpha/size * sum of x**2 over `size` channels) ** beta`.

  Channels beyond either end count as zero (Krizhevsky et al. 2012, §3.3, with
  Caffe's alpha divided by the window's size).
  """
  before = (size - 1) // 2
  window = (1,) * (x.ndim - 1) + (size,)
  edges = [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)]
  total = lax.reduce_window(x * x, 0.0, lax.add, window, (1,) * x.ndim, edges)
  return x * _power(k + alpha / size * total, -beta)


def _lrn_within(layer, weights, inputs, relu):
  """`x / (1 + alpha * mean of x**2 over a window) ** beta`.

  Positions beyond the border count as zeros. Caffe has no `k` here.
  """
  (x,) = inputs
  alpha, beta = layer.option("alpha", 1.0), layer.option("beta", 0.75)
  size, where = layer.kernel[0], padding(layer, x.shape[1:3])
  mean = window_sum(x * x, layer.kernel, (1, 1), where) / size**2
  # In a crop the windows reach over positions that have no output.
  half = (size - 1) // 2
  own = [(0, 0, 0), *((a - half, b - half, 0) for a, b in where), (0, 0, 0)]
  centres = lax.pad(x, jnp.zeros((), x.dtype), own)
  return centres * _power(1 + alpha * mean, -beta)


def _power(base, exponent: float):
  # A positive base's power; XLA's own takes four times as long on CPU.
  return jnp.exp(exponent * jnp.log(base))


def _lrn_passed(layer, weights, inputs, relu):
  """The same values, but the derivative of the identity."""
  (x,) = inputs
  values = _lrn(layer, weights, inputs, relu)
  return jax.lax.stop_gradient(values) + (x - jax.lax.stop_gradient(x))


def _read_lrn(layer):
  found = layer.message.lrn_param
  options = {"alpha": found.alpha, "beta": found.beta}
  size = found.local_size
  if size % 2 == 0 or size > MAX_EXTENT:
    raise ValueError(f"its local_size {size} is not odd")
  if found.norm_region:
    window = {"kernel": (size, size), "pad": ((size - 1) // 2,) * 2}
    return {"kind": "lrn_within"} | window | options
  return options | {"size": size, "k": found.k}


def _mvn(x, *, variance=True, across_channels=False, eps=1e-9):
  """Minus the mean, over the standard deviation plus `eps`."""
  axes = tuple(range(1, x.ndim - (not across_channels)))
  x = x - jnp.mean(x, axes, keepdims=True)
  if not variance:
    return x
  square = jnp.mean(x * x, axes, keepdims=True)
  # The square root has no derivative at 0, where the answer is 0 anyway.
  root = jnp.sqrt(jnp.where(square > 0, square, 1))
  deviation = jnp.where(square > 0, root, 0)
  return x / (deviation + eps)


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
  found = layer.message.batch_norm_param
  if found.HasField("use_global_stats") and not found.use_global_stats:
    raise ValueError(
      "with use_global_stats: false it depends on the batch; set it to true"
    )
  # NVIDIA's fork has BVLC's Scale in the same layer.
  kind = {"kind": "bn"} if found.scale_bias else {}
  return kind | settings("batch_norm_param", eps="eps")(layer)


def _batch_norm_from_caffe(layer, shapes, leaves, arrays, checked):
  (count,) = checked(arrays[2], (1,))
  factor = np.float32(1 / count if count else 0)
  sums = same_axes(layer, shapes, leaves, arrays[:2], checked)
  return {name: factor * total for name, total in sums.items()}


def _bn(layer, weights, inputs, relu):
  """BN of SegNet and ENet, and of PSPNet: a scale and a shift."""
  (x,) = inputs
  scale, bias = (
    caffe_axes.with_axes_in_front(weights[name], x.ndim)
    for name in ("scale", "bias")
  )
  return x * scale + bias


def _bn_weights(layer, shapes):
  return {"scale": shapes[0][-1:], "bias": shapes[0][-1:]}


def _read_bn(layer):
  found = layer.message.bn_param
  segnet = any(map(found.HasField, ("bn_mode", "scale_filler", "shift_filler")))
  if segnet and found.bn_mode == 0:
    raise ValueError(
      "with bn_mode: LEARN, which is the default, it depends on the batch; "
      "write bn_mode: INFERENCE if its weights were made for that"
    )
  return {"eps": found.eps}


def _bn_from_caffe(layer, shapes, leaves, arrays, checked):
  """A scale and a shift, with the statistics in them where there are any."""
  found = []
  for place, array in enumerate(arrays):
    counts = len(arrays) == 5 and place == 2
    expected = (1,) if counts else leaves["scale"]
    found.append(checked(array.reshape(-1), expected))
  if len(found) == 2:
    return dict(zip(("scale", "bias"), found, strict=True))
  if len(found) == 4:
    scale, bias, mean, variance = map(np.float64, found)
  else:
    mean, variance, count, scale, bias = map(np.float64, found)
    factor = 1 / count if count else 0
    mean, variance = mean * factor, variance * factor
  with np.errstate(all="ignore"):
    scale = scale / np.sqrt(variance + layer.option("eps", 1e-5))
    bias = bias - mean * scale
  return {"scale": np.float32(scale), "bias": np.float32(bias)}


def _normalize(layer, weights, inputs, relu):
  """Over the root of the sum of squares, of channels or of the whole map."""
  (x,) = inputs
  axes = tuple(range(1, x.ndim)) if layer.kind == "normalize_map" else -1
  square = jnp.sum(x * x, axes, keepdims=True) + layer.option("eps", 1e-10)
  scale = caffe_axes.with_axes_in_front(weights["scale"], x.ndim)
  return x / jnp.sqrt(square) * scale


def _normalize_weights(layer, shapes):
  shared = layer.option("shared", True)
  return {"scale": (1,) if shared else (shapes[0][-1],)}


def _read_normalize(layer):
  found = layer.message.norm_param
  kind = "normalize_map" if found.across_spatial else "normalize"
  shared = {} if found.channel_shared else {"shared": False}
  return {"kind": kind, "eps": found.eps} | shared


def _layer_norm(layer, weights, inputs, relu):
  """To mean 0 and variance 1 along the last axis (Ba et al. 2016)."""
  return _scaled(_whitened(inputs[0], -1, layer), weights)


def _group_norm(layer, weights, inputs, relu):
  """The same over all places of each group of channels (Wu and He 2018)."""
  (x,) = inputs
  count = layer.option("parts")
  parts = x.reshape(len(x), -1, count, x.shape[-1] // count)
  return _scaled(_whitened(parts, (1, 3), layer).reshape(x.shape), weights)


def _whitened(x, axes, layer):
  centred = x - jnp.mean(x, axes, keepdims=True)
  variance = jnp.mean(centred * centred, axes, keepdims=True)
  return centred / jnp.sqrt(variance + layer.option("eps", 1e-5))


def _scaled(x, weights):
  for name, combine in (("scale", jnp.multiply), ("bias", jnp.add)):
    if name in weights:
      value = caffe_axes.with_axes_in_front(weights[name], x.ndim)
      x = combine(x, value)
  return x


def _scaled_weights(layer, shapes):
  bias = {"bias": shapes[0][-1:]} if layer.option("bias", True) else {}
  return {"scale": shapes[0][-1:]} | bias


def _log_softmax(layer, weights, inputs, relu):
  return jax.nn.log_softmax(inputs[0])


def _softmax(layer, weights, inputs, relu):
  (x,) = inputs
  return jax.nn.softmax(x, caffe_axes.own_axis(layer.option("axis", 1), x.ndim))


def _read_softmax(layer):
  return along("softmax", layer.message.softmax_param.axis)


_STATISTICS = ("mean", "variance", "their count")

_lrn = by_options(_lrn_across)

_at_position = functools.partial(LayerType, reach="position")

TYPES = {
  "lrn": _at_position(_lrn, passed="lrn_passed", caffe={"LRN": _read_lrn}),
  "lrn_passed": _at_position(_lrn_passed),
  "lrn_within": LayerType(_lrn_within, reach="window"),
  "mvn": LayerType(
    by_options(_mvn),
    caffe={
      "MVN": settings(
        "mvn_param",
        variance="normalize_variance",
        across_channels="across_channels",
        eps="eps",
      )
    },
  ),
  "batch_norm": _at_position(
    _batch_norm,
    _batch_norm_weights,
    linear=True,
    caffe={"BatchNorm": _read_batch_norm},
    caffe_arrays=(_STATISTICS,),
    weights_from_caffe=_batch_norm_from_caffe,
  ),
  "bn": _at_position(
    _bn,
    _bn_weights,
    linear=True,
    weighs=True,
    caffe={"BN": _read_bn},
    # SegNet's and ENet's, PSPNet's, NVIDIA's.
    caffe_arrays=(
      ("scale", "shift"),
      ("slope", "bias", "mean", "variance"),
      (*_STATISTICS, "scale", "bias"),
    ),
    weights_from_caffe=_bn_from_caffe,
  ),
  "normalize": _at_position(
    _normalize, _normalize_weights, caffe={"Normalize": _read_normalize}
  ),
  "normalize_map": LayerType(_normalize, _normalize_weights),
  "softmax": _at_position(
    _softmax, probabilities="softmax", caffe={"Softmax": _read_softmax}
  ),
  "softmax_axis": LayerType(_softmax),
  "log_softmax": _at_position(_log_softmax),
  "layer_norm": _at_position(_layer_norm, _scaled_weights, weighs=True),
  "group_norm": LayerType(_group_norm, _scaled_weights, weighs=True),
}
