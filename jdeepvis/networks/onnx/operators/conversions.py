"""Types of numbers, and whole numbers that stand for others."""

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  counted_axis,
  number,
  view_at,
)
from jdeepvis.networks.onnx.operators.pointwise import (
  combined,
  function,
  kind_of,
  of_one,
)
from jdeepvis.networks.onnx.views import View

_FLOATS = (1, 10, 11, 16)
_WHOLE = (2, 3, 4, 5, 6, 7, 12, 13)
_BOOL = 9


def cast(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Blobs hold floats: to whole numbers is towards 0, a truth is 1."""
  view, to = inputs[0], node.get("to")
  if node.op == "CastLike":
    like = inputs[1]
    if isinstance(like, np.ndarray) and like.dtype.kind not in "fiub":
      raise CannotRunError(f"it makes numbers of type {like.dtype}")
    to = {"f": 1, "i": 7, "b": _BOOL}[kind_of(like)]
  if not isinstance(view, View):
    kinds = {1: np.float32, 7: np.int64, _BOOL: np.bool_}
    return [view.astype(kinds.get(to, np.float32))]
  if (
    to in _FLOATS
    or (to in _WHOLE and view.kind != "f")
    or (to == _BOOL and view.kind == "b")
  ):
    kind = "f" if to in _FLOATS else "i" if to in _WHOLE else "b"
    return [view._replace(kind=kind)]
  if to in _WHOLE:
    return function("truncate", "i")(build, node, inputs)
  if to == _BOOL:
    zero = number(0)
    equal = combined(build, node, "equal", [view, zero], "b", "zero")
    return [
      of_one(build, node, equal, "arithmetic", {"operation": "not"})._replace(
        kind="b"
      )
    ]
  raise CannotRunError(f"it makes numbers of type {to}")


def quantize(build: Builder, node: Node, inputs: Inputs) -> Results:
  """To whole numbers of few bits; the derivative is that without rounding."""
  view = view_at(inputs, 0)
  zero = constant_at(inputs, 2) if len(inputs) > 2 else None
  kind = np.dtype(np.uint8) if zero is None else zero.dtype
  kinds = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32}
  if said := node.get("output_dtype", 0):
    kind = np.dtype(kinds.get(said, np.float32))
  if kind.kind not in "iu" or kind.itemsize > 4 or node.get("block_size", 0):
    raise CannotRunError("only whole numbers of 8 to 32 bits are possible")
  # Blobs hold float32, which are exact to 24 bits.
  limits = np.iinfo(kind)
  scale, zero = _scales(node, view, inputs)
  ends = [number(limits.min), number(limits.max)]
  return [combined(build, node, "quantize", [view, scale, zero, *ends], "i")]


def dequantize(build: Builder, node: Node, inputs: Inputs) -> Results:
  """`(x - zero) scale`."""
  view = view_at(inputs, 0)
  if node.get("block_size", 0):
    raise CannotRunError("scales of blocks are not possible")
  scale, zero = _scales(node, view, inputs)
  if zero.any():
    view = combined(build, node, "subtract", [view, zero], "f", "centred")
  return [combined(build, node, "multiply", [view, scale], "f")]


def _scales(node: Node, view: View, inputs: Inputs):
  """Scale and zero, one number or one for each place of an axis."""
  scale, zero = constant_at(inputs, 1), constant_at(inputs, 2)
  zero = number(0) if zero is None else zero
  rank = len(view.axes)
  found = []
  for array in (scale, zero):
    array = np.asarray(array, np.float32)
    if array.size > 1:
      axis = counted_axis(node.get("axis", 1), rank)
      array = array.reshape([-1 if i == axis else 1 for i in range(rank)])
    found.append(array)
  return found
