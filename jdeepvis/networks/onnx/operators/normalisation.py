"""Normalisations and softmax."""

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results, float_array
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  counted_axis,
  needed,
  number,
  size_of,
  view_at,
)
from jdeepvis.networks.onnx.operators.pointwise import combined
from jdeepvis.networks.onnx.operators.reductions import reduced
from jdeepvis.networks.onnx.views import View

_SOFTMAX_OF_ONE_AXIS = 13
_TINY = 1e-37


def batch_norm(build: Builder, node: Node, inputs: Inputs) -> Results:
  """By the statistics in the file: a scale and a shift a channel."""
  if node.get("training_mode", 0):
    raise CannotRunError("in training mode it depends on the batch")
  if not node.get("spatial", 1):
    raise CannotRunError("its statistics are of places, not of channels")
  view = view_at(inputs, 0)
  scale, bias, mean, variance = (
    np.float64(needed(constant_at(inputs, place), "an input"))
    for place in range(1, 5)
  )
  with np.errstate(all="ignore"):
    scale = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    bias = bias - mean * scale
  weights = {"scale": np.float32(scale), "bias": np.float32(bias)}
  return [_over_last(build, node.name, view, [1], "bn", {}, weights)]


def layer_norm(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Over the last axes, in one piece."""
  view = view_at(inputs, 0)
  rank = len(view.axes)
  first = counted_axis(int(node.get("axis", -1)), rank)
  axes = list(range(first, rank))
  shape = view.shape[first:]
  weights = {}
  for place, name in ((1, "scale"), (2, "bias")):
    array = constant_at(inputs, place)
    if array is not None:
      values = np.broadcast_to(float_array(array), shape)
      weights[name] = values.reshape(-1)
  options = {"eps": float(node.get("epsilon", 1e-5))}
  others = _statistics(build, node, view, axes, options["eps"])
  if "bias" not in weights:
    options["bias"] = False
  weights.setdefault("scale", np.ones(size_of(shape), np.float32))
  made = _over_last(
    build, node.name, view, axes, "layer_norm", options, weights
  )
  return [made, *others]


def _statistics(build, node, view, axes, eps) -> Results:
  """The mean and one over the deviation, where something asks for them."""
  asked = [
    x for x in node.outputs[1:] if x in build.results | build.readers.keys()
  ]
  if not any(asked):
    return []
  mean = reduced(build, f"{node.name}/mean", view, axes, "mean", True)
  centred = combined(build, node, "subtract", [view, mean], "f", "centred")
  square = combined(build, node, "multiply", [centred] * 2, "f", "square")
  variance = reduced(build, f"{node.name}/variance", square, axes, "mean", True)
  for operation, other in (("add", eps), ("power", -0.5)):
    values = [variance, number(other)]
    variance = combined(build, node, operation, values, "f", "inverse")
  return [mean, variance]


def instance_norm(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Each channel over all its places."""
  channels = view_at(inputs, 0).shape[1]
  return [_grouped(build, node, inputs, channels)]


def group_norm(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Groups of channels over all their places."""
  groups = int(needed(node.get("num_groups"), "num_groups"))
  return [_grouped(build, node, inputs, groups)]


def local_response(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Across channels."""
  options = {
    "size": int(needed(node.get("size"), "a size")),
    "alpha": float(node.get("alpha", 1e-4)),
    "beta": float(node.get("beta", 0.75)),
    "k": float(node.get("bias", 1.0)),
  }
  view = view_at(inputs, 0)
  return [_over_last(build, node.name, view, [1], "lrn", options, {})]


def softmax(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Over one axis; before opset 13 over that and all behind it."""
  return [_softmax(build, node, view_at(inputs, 0), node.name)]


def log_softmax(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The logarithm; the softmax itself is a blob beside it."""
  view = view_at(inputs, 0)
  axes = _softmax_axes(node, len(view.axes))
  build.kept.add(_softmax(build, node, view, f"{node.name}/softmax").blob)
  return [_over_last(build, node.name, view, axes, "log_softmax", {}, {})]


def lp_normalization(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Over the sum of absolute values, or the root of that of squares."""
  view = view_at(inputs, 0)
  axis = counted_axis(int(node.get("axis", -1)), len(view.axes))
  norm = {1: "l1", 2: "l2"}[int(node.get("p", 2))]
  length = reduced(build, f"{node.name}/length", view, [axis], norm, True)
  # 0 over 0 is 0 here.
  length = combined(
    build, node, "maximum", [length, number(_TINY)], "f", "divisor"
  )
  return [combined(build, node, "divide", [view, length], "f")]


def _softmax(build: Builder, node: Node, view: View, name: str) -> View:
  axes = _softmax_axes(node, len(view.axes))
  return _over_last(build, name, view, axes, "softmax", {}, {})


def _softmax_axes(node: Node, rank: int) -> list[int]:
  if node.opset >= _SOFTMAX_OF_ONE_AXIS:
    return [counted_axis(int(node.get("axis", -1)), rank)]
  return list(range(counted_axis(int(node.get("axis", 1)), rank), rank))


def _grouped(build: Builder, node: Node, inputs: Inputs, groups: int) -> View:
  view = view_at(inputs, 0)
  channels = view.shape[1]
  if view.axes[0]:
    raise CannotRunError("it reads several images at once")
  weights = {}
  for place, name in ((1, "scale"), (2, "bias")):
    array = float_array(needed(constant_at(inputs, place), f"a {name}"))
    if array.size == groups != channels:
      array = np.repeat(array, channels // groups)
    weights[name] = array
  options = {"parts": groups, "eps": float(node.get("epsilon", 1e-5))}
  return _over_last(build, node.name, view, [1], "group_norm", options, weights)


def _over_last(build, name, view, axes, kind, options, weights) -> View:
  """A layer over these axes, which become the last of its blob."""
  last = tuple(i for axis in axes for i in view.axes[axis])
  if last:
    view = build.with_last(view, axes)
  else:
    groups = tuple(axis for axis in view.axes if axis)
    dims = tuple(size_of(view.atoms[i] for i in axis) for axis in groups)
    view = build.placed(view, groups, (*dims, 1))
  (made,) = build.emit(name, kind, [view.blob], options, weights)
  return view._replace(blob=made, name=name, kind="f")
