"""Caffe's weights become our parameters, every shape checked."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.graph import infer_shapes
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError, Params

Blobs = Mapping[str, Sequence[np.ndarray]]
"""Layer name to its arrays, in Caffe's order and axes."""


def params_from_blobs(
  layers: tuple[LayerInfo, ...],
  shape: tuple[int, int, int],
  blobs: Blobs,
  file: str,
  shared: Mapping[tuple[str, int], tuple[str, int]] | None = None,
) -> Params:
  """Turns Caffe's weights into those of a layer graph.

  Kernels OIHW become HWIO; an inner product's rows go from channel, height,
  width to our order; batch statistics are divided by their count. Channels of
  the images stay as they are: see `convert.fold_pixels`.

  Args:
    layers: the graph; its layers are named as in the file.
    shape: the input's height, width, channels.
    blobs: the file's arrays.
    file: its name, for messages.
    shared: weights to take from another layer (see `CaffeGraph`).

  Raises:
    JdeepvisError: a layer is missing, or a shape is not what it must be;
      names the file, the layer, what was expected and found.
  """
  shapes = infer_shapes(layers, shape)
  _check_names(shapes.weights, blobs, file)
  params: dict[str, dict[str, np.ndarray]] = {}
  for layer in layers:
    key = layer.weights_key
    if key not in shapes.weights or key in params:
      continue
    arrays = list(blobs[key])
    for place in range(len(arrays)):
      owner, at = (shared or {}).get((key, place), (key, place))
      arrays[place] = blobs[owner][at]
    inputs = [shapes.blobs[name] for name in layer.inputs]
    params[key] = _leaves(layer, inputs, shapes.weights[key], arrays, file)
  return params


def _check_names(expected, blobs: Blobs, file: str) -> None:
  extra = sorted(blobs.keys() - expected.keys())
  if missing := [name for name in expected if name not in blobs]:
    found = (
      f"; it has {_some(extra)} that the net does not have" if extra else ""
    )
    raise JdeepvisError(
      f"{file} lacks weights of {_some(missing)}{found}; give those that were "
      "trained with this description."
    )


def _some(names: Sequence[str]) -> str:
  more = f" and {len(names) - 8} more" if len(names) > 8 else ""
  return f"layers {', '.join(names[:8])}{more}"


def _leaves(layer, inputs, leaves, arrays, file) -> dict[str, np.ndarray]:
  if layer.kind == "batch_norm":
    return _batch_norm(layer, leaves, arrays, file)
  if layer.kind == "bn":
    return _bn(layer, leaves, arrays, file)
  if len(arrays) != len(leaves):
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(arrays)} arrays; expected "
      f"{len(leaves)} ({', '.join(leaves)})."
    )
  found = {}
  for (leaf, own), array in zip(leaves.items(), arrays, strict=True):
    if leaf == "kernel" and layer.kind in _KERNELS:
      found[leaf] = _KERNELS[layer.kind](layer, inputs[0], own, array, file)
    elif layer.kind in ("scale_axes", "bias_axes"):
      found[leaf] = _spanned(layer, inputs[0], own, array, file)
    else:
      found[leaf] = _checked(layer, array, own, file)
  return found


def _convolution(layer, input, own, array, file):
  expected = (own[3], own[2], own[0], own[1])
  return _contiguous(
    _checked(layer, array, expected, file).transpose(2, 3, 1, 0)
  )


def _inner_product(layer, input, own, array, file):
  size, features = own
  if layer.option("transpose", False):
    array = _checked(layer, array, (size, features), file)
  else:
    array = _checked(layer, array, (features, size), file).T
  if caffe_axes.positive_axis(layer.option("axis", 1), len(input) + 1) == 1:
    array = array.reshape(*caffe_axes.caffe_shape(input), features)
    array = np.moveaxis(array, 0, -2).reshape(size, features)
  return _contiguous(array)


def _batch_norm(layer, leaves, arrays, file):
  if len(arrays) != 3:
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(arrays)} arrays; expected 3 "
      "(mean, variance, their count)."
    )
  (count,) = _checked(layer, arrays[2], (1,), file)
  factor = np.float32(1 / count if count else 0)
  return {
    leaf: _checked(layer, array, leaves[leaf], file) * factor
    for leaf, array in zip(("mean", "variance"), arrays[:2], strict=True)
  }


def _bn(layer, leaves, arrays, file):
  """A scale and a shift, with the statistics in them where there are any.

  Two arrays are SegNet's scale and shift; four slope, bias, mean and variance,
  PSPNet's; five those of BVLC's BatchNorm, then scale and bias, NVIDIA's.
  """
  found = []
  for place, array in enumerate(arrays):
    expected = (1,) if len(arrays) == 5 and place == 2 else leaves["scale"]
    found.append(_checked(layer, array.reshape(-1), expected, file))
  if len(found) == 2:
    return dict(zip(("scale", "bias"), found, strict=True))
  if len(found) == 4:
    scale, bias, mean, variance = map(np.float64, found)
  elif len(found) == 5:
    mean, variance, count, scale, bias = map(np.float64, found)
    factor = 1 / count if count else 0
    mean, variance = mean * factor, variance * factor
  else:
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(arrays)} arrays; expected 2 "
      "(scale, shift), 4 (slope, bias, mean, variance) or 5 (mean, variance, "
      "their count, scale, bias)."
    )
  with np.errstate(all="ignore"):
    scale = scale / np.sqrt(variance + layer.option("eps", 1e-5))
    bias = bias - mean * scale
  return {"scale": np.float32(scale), "bias": np.float32(bias)}


def _spanned(layer, input, own, array, file):
  """A Scale or Bias over some of Caffe's axes, in our order."""
  shape = caffe_axes.caffe_shape(input)
  span = caffe_axes.spanned_axes(
    layer.option("axis", 1), layer.option("axes", 1), len(shape) + 1
  )
  expected = shape[span]
  array = _checked(layer, array, expected, file)
  before, after = (1,) * span.start, (1,) * (len(shape) - span.stop)
  array = array.reshape(before + expected + after)
  return np.moveaxis(array, 0, -1).reshape(own)


_KERNELS = {
  "convolution": _convolution,
  "deconvolution": _convolution,
  "inner_product": _inner_product,
}


def _checked(layer, array, expected, file) -> np.ndarray:
  """The array with the axes expected; old files have ones in front."""
  if _without_ones(array.shape) == _without_ones(expected):
    return array.reshape(expected)
  hint = ""
  if math.prod(array.shape) == math.prod(expected):
    hint = (
      ", which looks transposed"
      if sorted(_without_ones(array.shape)) == sorted(_without_ones(expected))
      else ", which has as many values in other axes"
    )
  raise JdeepvisError(
    f"{file}: layer {layer.name!r} has an array of {list(array.shape)}{hint}; "
    f"expected {list(expected)}."
  )


def _without_ones(shape) -> tuple[int, ...]:
  shape = tuple(shape)
  while shape and shape[0] == 1:
    shape = shape[1:]
  return shape


def _contiguous(array) -> np.ndarray:
  return np.ascontiguousarray(array, np.float32)
