"""Caffe's weights become our parameters, every shape checked."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from jdeepvis.networks.graph import infer_shapes
from jdeepvis.networks.layer_types import LAYER_TYPES
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
  the images stay as they are: see `pixels.fold_pixels`.

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
  ours = LAYER_TYPES[layer.kind]
  expected = ours.caffe_arrays or (tuple(leaves),)
  if len(arrays) not in map(len, expected):
    known = [f"{len(names)} ({', '.join(names)})" for names in expected]
    hint = "give weights that were trained with this description"
    without = not ours.caffe_arrays and len(arrays) == len(leaves) - 1
    if without and "bias" in leaves:
      hint = "write bias_term: false if it was trained without a bias"
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(arrays)} "
      f"array{'s' * (len(arrays) != 1)}; expected {' or '.join(known)}; {hint}."
    )

  def checked(array, shape):
    return _checked(layer, array, shape, file)

  return ours.weights_from_caffe(layer, inputs, leaves, arrays, checked)


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
    f"expected {list(expected)}; give weights that were trained with this "
    "description."
  )


def _without_ones(shape) -> tuple[int, ...]:
  shape = tuple(shape)
  while shape and shape[0] == 1:
    shape = shape[1:]
  return shape
