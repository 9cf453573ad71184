"""Nodes of which all inputs are known become constants."""

import math
from collections.abc import Mapping

import numpy as np

from jdeepvis.networks.caffe.arrays import brief
from jdeepvis.networks.onnx.files import MOST_VALUES, to_array
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.types import JdeepvisError

_RANDOM = (
  "Bernoulli",
  "Multinomial",
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
)
_LOOPS = ("Loop", "Scan", "SequenceMap")
_MOST_TURNS = 10_000
_MOST_CHEAP = 2**24


def foldable(node: Node) -> bool:
  """Whether its outputs follow from its inputs alone."""
  if "." in node.op or node.op in _RANDOM:
    return False
  inner = [x.op_type for graph in _graphs(node) for x in graph.node]
  return not any(op in (*_LOOPS, "If", *_RANDOM) for op in inner)


def free_names(node: Node) -> tuple[str, ...]:
  """What the graphs within a node read from around it."""
  found: dict[str, None] = {}
  for graph in _graphs(node):
    own = {x.name for x in (*graph.input, *graph.initializer)}
    own |= {name for inner in graph.node for name in inner.output}
    read = [name for inner in graph.node for name in inner.input]
    read += [x.name for x in graph.output]
    found |= dict.fromkeys(name for name in read if name and name not in own)
  return tuple(found)


def fold(
  node: Node, values: Mapping[str, np.ndarray], file: str
) -> list[np.ndarray | None]:
  """The outputs of a node of which all that it reads is known.

  By the reference evaluator of the onnx package.

  Args:
    node: the node.
    values: by name, also what graphs within it read.
    file: its name, for messages.

  Raises:
    JdeepvisError: it cannot be computed, or its outputs would be too large.
  """
  where = f"{file}: node {node.name!r} ({node.op})"
  if node.op == "Constant":
    return [_constant(node, where)]
  inputs = [values.get(name) for name in node.inputs]
  if node.op == "Identity":
    return [inputs[0]]
  try:
    size = _size(node, inputs)
    if size > MOST_VALUES:
      raise ValueError(f"it would make {size} values")
    if node.op in _LOOPS:
      turns = inputs[0] if node.op == "Loop" else None
      if turns is None or int(turns.reshape(-1)[0]) > _MOST_TURNS:
        raise ValueError("it may turn without end")
    with np.errstate(all="ignore"):
      outputs = _evaluated(node, values)
  except Exception as error:  # the evaluator raises whatever it meets
    raise JdeepvisError(
      f"{where} cannot be computed from its constants: {brief(error)}."
    ) from error
  return [
    x if x is None or isinstance(x, np.ndarray) else np.asarray(x)
    for x in outputs
  ]


def _graphs(node: Node) -> list:
  return [x for x in node.attributes.values() if hasattr(x, "initializer")]


def _constant(node: Node, where: str) -> np.ndarray:
  for name, value in node.attributes.items():
    if name == "value":
      return to_array(value, where)
    if name in ("value_float", "value_floats"):
      return np.asarray(value, np.float32)
    if name in ("value_int", "value_ints"):
      return np.asarray(value, np.int64)
  raise JdeepvisError(f"{where} is a constant without a value that is known.")


def _evaluated(node: Node, values):
  from onnx import helper
  from onnx.reference import ReferenceEvaluator

  outputs = [name for name in node.outputs if name]
  graph = helper.make_graph(
    [node.proto],
    "constants",
    [_any_value(name) for name in values],
    [_any_value(name) for name in outputs],
  )
  # The evaluator has these only as they are since then.
  quantised = node.op in ("QuantizeLinear", "DequantizeLinear")
  opset = max(node.opset, 19) if quantised else node.opset
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid("", opset)]
  )
  found = ReferenceEvaluator(model).run(None, dict(values))
  by_name = dict(zip(outputs, found, strict=True))
  return [by_name[name] if name else None for name in node.outputs]


def _any_value(name: str):
  from onnx import ValueInfoProto

  return ValueInfoProto(name=name)


def _size(node: Node, inputs) -> int:
  """At least as many values as it makes, where these may be many."""
  first = np.asarray(inputs[0]) if inputs else np.zeros(0)
  given = [np.asarray(x).reshape(-1) for x in inputs[1:] if x is not None]
  if node.op == "ConstantOfShape":
    return math.prod(max(int(x), 0) for x in first.reshape(-1))
  if node.op in ("Expand", "Tile") and given:
    factor = math.prod(max(int(x), 1) for x in given[0])
    return factor * (first.size if node.op == "Tile" else 1) or 1
  if node.op == "Range" and len(given) == 2:
    step = float(given[1][0]) or 1.0
    return int(abs((float(given[0][0]) - float(first.reshape(-1)[0])) / step))
  if node.op == "Pad":
    edges = given[0] if given else np.asarray(node.get("pads", ()))
    grown = sum(max(int(x), 0) for x in edges)
    return math.prod(side + grown for side in first.shape)
  if node.op == "OneHot":
    return first.size * int(given[0][0])
  if node.op in ("Resize", "Upsample"):
    if given and given[-1].dtype.kind == "i" and given[-1].size:
      return math.prod(int(x) for x in given[-1])
    largest = max([1.0, *(float(abs(x).max(initial=0)) for x in given)])
    return int(first.size * largest ** min(first.ndim, 4))
  if node.op in ("MatMul", "Gemm", "Einsum", "Conv") and given:
    work = first.size * max(x.size for x in given)
    return 0 if work < _MOST_CHEAP**2 else MOST_VALUES + 1
  return (
    math.prod(
      np.broadcast_shapes(*(np.shape(x) for x in inputs if x is not None))
    )
    if node.op in ("Add", "Mul", "Sub", "Div", "Where", "Pow")
    else 0
  )
