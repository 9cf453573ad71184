"""Activations and arithmetic, value by value."""

import math

import numpy as np

from jdeepvis.networks.onnx.builder import (
  Builder,
  Results,
  Value,
  kind_of_array,
)
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.alignment import Aligned, aligned
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  number,
  single,
  view_at,
)
from jdeepvis.networks.onnx.views import View


def same(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The first input as it is."""
  return [inputs[0]]


def unary(kind: str, **settings):
  """An operator that becomes a layer type; `ours="theirs=default"` settings."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    options = {}
    for ours, theirs in settings.items():
      name, _, default = theirs.partition("=")
      options[ours] = float(node.get(name, float(default)))
    return [of_one(build, node, view_at(inputs, 0), kind, options)]

  return run


def function(operation: str, kind: str | None = None):
  """An operator of one operand that is one of `arithmetic.OPERATIONS`."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    view = view_at(inputs, 0)
    options = {"operation": operation}
    made = of_one(build, node, view, "arithmetic", options)
    return [made._replace(kind=kind or view.kind)]

  return run


def operation(name: str, kind: str | None = None):
  """An operator of several operands that broadcast."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    return [combined(build, node, name, list(inputs), kind)]

  return run


def of_many(name: str):
  """An operator of any number of operands, by twos."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    total, *others = inputs
    for other in others:
      total = combined(build, node, name, [total, other], None)
    return [total]

  return run


def divide(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Whole numbers are divided without a rest."""
  whole = all(kind_of(value) == "i" for value in inputs)
  name = "divide_whole" if whole else "divide"
  return [combined(build, node, name, list(inputs), None)]


def remainder(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Of the divisor's sign, or with `fmod` the dividend's."""
  name = "truncated_remainder" if node.get("fmod", 0) else "remainder"
  return [combined(build, node, name, list(inputs), None)]


def maximum(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The largest; with 0 it is a rectifier."""
  if len(inputs) == 2:
    for one, other in (inputs, inputs[::-1]):
      zero = isinstance(other, np.ndarray) and other.size == 1
      if isinstance(one, View) and zero and not other.any():
        return [of_one(build, node, one, "relu", {})]
  return of_many("maximum")(build, node, inputs)


def mean(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The mean of several blobs."""
  (total,) = of_many("add")(build, node, inputs)
  if len(inputs) == 1:
    return [total]
  return [of_one(build, node, total, "factor", {"factor": 1 / len(inputs)})]


def clip(build: Builder, node: Node, inputs: Inputs) -> Results:
  """From 0 on a rectifier, with 6 as the most relu6."""
  ends = []
  for place, name in enumerate(("min", "max"), start=1):
    value = node.get(name)
    if value is None:
      array = constant_at(inputs, place)
      value = None if array is None else single(array)
    ends.append(value)
  view = view_at(inputs, 0)
  if ends == [None, None]:
    return [view]
  least, most = (
    bound if end is None else float(end)
    for end, bound in zip(ends, (-math.inf, math.inf), strict=True)
  )
  if least == 0 and most == math.inf:
    return [of_one(build, node, view, "relu", {})]
  if least == 0 and most > 0:
    return [of_one(build, node, view, "clip_relu", {"most": most})]
  options = {"least": least, "most": most}
  return [of_one(build, node, view, "clip", options)]


def leaky_relu(build: Builder, node: Node, inputs: Inputs) -> Results:
  """A rectifier with a slope."""
  slope = float(node.get("alpha", 0.01))
  return [of_one(build, node, view_at(inputs, 0), "relu", {"slope": slope})]


def gelu(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Exactly, or by the hyperbolic tangent."""
  tanh = node.get("approximate", "none") == "tanh"
  options = {"tanh": True} if tanh else {}
  return [of_one(build, node, view_at(inputs, 0), "gelu", options)]


def prelu(build: Builder, node: Node, inputs: Inputs) -> Results:
  """One slope, or one a channel; other slopes by arithmetic."""
  view, slope = view_at(inputs, 0), inputs[1]
  if isinstance(slope, np.ndarray):
    found = aligned(build, [view, slope], node.name, "f")
    blob, slopes = found.operands
    if isinstance(slopes, np.ndarray) and slopes.size in (
      1,
      slopes.shape[-1],
    ):
      options = {"shared": True} if slopes.size == 1 else {}
      weights = {"slope": slopes.reshape(-1)}
      if slopes.size in (1, build.stored(blob)[-1]):
        (made,) = build.emit(node.name, "prelu", [blob], options, weights)
        return [_result(found, made, build)]
  below = combined(build, node, "multiply", [view, slope], "f", "below")
  above = combined(build, node, "greater", [view, number(0)], "b", "above")
  return [combined(build, node, "where", [above, view, below], "f")]


def swish(build: Builder, node: Node, inputs: Inputs) -> Results:
  """`x sigmoid(alpha x)`."""
  options = {"beta": float(node.get("alpha", 1.0))}
  return [of_one(build, node, view_at(inputs, 0), "swish", options)]


def combined(
  build: Builder,
  node: Node,
  operation: str,
  values: list[Value],
  kind: str | None,
  part: str = "",
) -> View:
  """An operation on operands that broadcast, of which some are constants."""
  if kind is None:
    kinds = {kind_of(value) for value in values}
    kind = "f" if "f" in kinds else "i" if "i" in kinds else "b"
  if not any(isinstance(value, View) for value in values):
    values = [build.constant(values[0], node.name), *values[1:]]
  name = f"{node.name}/{part}" if part else node.name
  found = aligned(build, values, name, kind)
  made = _by_known_type(build, name, operation, found)
  if made is None:
    made = _by_arithmetic(build, name, operation, found)
  return _result(found, made, build)


def _by_known_type(build: Builder, name, operation, found: Aligned):
  """Sums and products by the types that networks of other files have too."""
  operands = found.operands
  if all(isinstance(one, str) for one in operands):
    plain = {"add": "sum", "multiply": "product"}.get(operation)
    if plain is None or len(operands) != 2:
      return None
    options = {"operation": plain, "broadcast": True}
    return build.emit(name, "eltwise", operands, options)[0]
  if len(operands) != 2 or operation not in (
    "add",
    "subtract",
    "multiply",
    "divide",
  ):
    return None
  blob, array = operands
  if isinstance(blob, np.ndarray):
    if operation in ("subtract", "divide"):
      return None
    blob, array = array, blob
  if operation == "divide":
    if not array.all():
      return None
    array = 1 / array
  scales = operation in ("multiply", "divide")
  if array.size == 1 and scales:
    options = {"factor": float(array.reshape(-1)[0])}
    return build.emit(name, "factor", [blob], options)[0]
  channels = build.stored(blob)[-1]
  if array.size != channels or array.shape[-1] != channels:
    return None
  array = -array if operation == "subtract" else array
  leaf = "scale" if scales else "bias"
  return build.emit(name, leaf, [blob], {}, {leaf: array.reshape(-1)})[0]


def _by_arithmetic(build: Builder, name, operation, found: Aligned):
  operands, blobs, numbers, weights = [], [], [], {}
  kind = "arithmetic"
  for one in found.operands:
    if isinstance(one, np.ndarray) and one.size > 1 and weights:
      # A layer has one such weight; a second constant is a blob.
      (one,) = build.emit(
        f"{name}/constant",
        "constant",
        ["data"],
        {"dims": one.shape},
        {"value": one},
      )
    if isinstance(one, str):
      operands.append(-1)
      blobs.append(one)
    elif one.size == 1:
      operands.append(-2)
      numbers.append(float(one.reshape(-1)[0]))
    else:
      operands.append(-3)
      weights["value"] = one
      if math.prod(one.shape[:-1]) > 1:
        kind = "arithmetic_map"
  options = {"operation": operation, "operands": tuple(operands)}
  if numbers:
    options["numbers"] = tuple(numbers)
  if weights:
    options["dims"] = weights["value"].shape
  return build.emit(name, kind, blobs, options, weights)[0]


def of_one(build: Builder, node: Node, view: View, kind, options) -> View:
  """A layer of one blob, value by value."""
  (made,) = build.emit(node.name, kind, [view.blob], options)
  return view._replace(blob=made, name=node.name)


def _result(found: Aligned, made: str, build: Builder) -> View:
  return found.result._replace(blob=made, stored=build.stored(made))


def kind_of(value: Value) -> str:
  """`f`loat, `i`nteger or `b`ool."""
  return value.kind if isinstance(value, View) else kind_of_array(value)
