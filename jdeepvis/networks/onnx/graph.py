"""An ONNX graph becomes a layer graph of ours."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jdeepvis.networks.caffe.arrays import brief
from jdeepvis.networks.graph import infer_shapes
from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.left_out import LeftOut, sentences, why_missing
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.onnx.builder import Builder, Value
from jdeepvis.networks.onnx.files import to_array
from jdeepvis.networks.onnx.folding import fold, foldable
from jdeepvis.networks.onnx.images import image_input
from jdeepvis.networks.onnx.nodes import Node, read_nodes
from jdeepvis.networks.onnx.operators.table import OPERATORS
from jdeepvis.networks.onnx.views import View
from jdeepvis.networks.scores import with_scores
from jdeepvis.networks.sides import with_sides_of_concats
from jdeepvis.types import JdeepvisError, Params

_WEIGHING = ("MatMul", "Gemm", "Mul", "Einsum", "Conv")
_BAD = (
  ArithmeticError,
  AttributeError,
  LookupError,
  TypeError,
  ValueError,
  JdeepvisError,
)


class OnnxGraph(NamedTuple):
  """A layer graph with its weights, input and output.

  Attributes:
    layers: in order of computation.
    params: their weights.
    shape: the input's height, width, channels.
    output: the blob with the class scores, or None.
    notes: a sentence for each thing left out.
    values: where each ONNX value is, by its name in the file.
  """

  layers: tuple[LayerInfo, ...]
  params: Params
  shape: tuple[int, int, int]
  output: str | None
  notes: tuple[str, ...]
  values: Mapping[str, Value]


def build_graph(
  model, file: str, size: tuple[int, int] | None = None
) -> OnnxGraph:
  """Turns a model into a layer graph, each image by itself.

  All that follows from constants and shapes alone is computed here. Operators
  that are not known, other inputs than the images, and what depends on either
  are left out.

  Args:
    model: a ModelProto, see `files.read_model`.
    file: its name, for messages.
    size: height and width of the images, in place of the file's.

  Raises:
    JdeepvisError: a node is damaged or cannot run as it is written, a value is
      read that nothing writes, no layer is left, or no input is an image.
  """
  opset = _opset(model, file)
  graph = _with_known_operators(model, opset, file).graph
  image = image_input(graph, file, size)
  nodes = read_nodes(graph, opset, file)
  build = Builder(image.shape, image.batch)
  for tensor in graph.initializer:
    build.values[tensor.name] = to_array(tensor, file)
  if graph.sparse_initializer:
    raise JdeepvisError(f"{file} has sparse weights; save it with dense ones.")
  build.values[image.name] = image.view
  build.values[""] = None
  build.results = frozenset(x.name for x in graph.output)
  for node in nodes:
    for name in node.inputs:
      build.readers[name].append(node)
  _fold_constants(build, nodes, file)
  missing = dict.fromkeys(image.others, "")
  causes: dict[str, tuple[LeftOut, list[str]]] = {}
  cut: list[Node] = []
  for node in nodes:
    if all(name in build.values for name in node.outputs if name):
      continue
    cause = _missing_cause(build, node, missing, file)
    if cause is None:
      reason = _run(build, node, file)
      if reason is not None:
        causes[node.name] = reason, []
        cause = node.name
    if cause is not None:
      cut.append(node)
      if cause != node.name:
        why = why_missing(cause, image.others)
        causes.setdefault(cause, (why, []))[1].append(node.name)
    for name in node.outputs:
      if name and name not in build.values:
        missing[name] = node.name if cause is None else cause
  notes = sentences(file, causes.values())
  return _finished(build, image.shape, graph, cut, notes, file)


def _finished(build: Builder, shape, graph, cut, notes, file) -> OnnxGraph:
  results = [build.values.get(x.name) for x in graph.output]
  read = {
    value.blob
    for node in cut
    for name in node.inputs
    if isinstance(value := build.values.get(name), View)
  }
  ends = [build.settled(x).blob for x in results if isinstance(x, View)]
  layers = _reaching(build.layers, {*ends, *read, *build.kept})
  if not layers:
    raise JdeepvisError(
      f"{file} has no layer that can be run: "
      f"{notes[0].removeprefix(f'{file}: ') if notes else 'it has none.'}"
    )
  layers = with_sides_of_concats(layers)
  shapes = infer_shapes(layers, shape).blobs
  layers, output = with_scores(
    layers,
    shapes,
    frozenset(read),
    _weighed(build, cut),
    ends[0] if ends and ends[0] in shapes else None,
  )
  keys = {layer.weights_key for layer in layers}
  params = {key: x for key, x in build.params.items() if key in keys}
  return OnnxGraph(layers, params, shape, output, notes, dict(build.values))


def _fold_constants(build: Builder, nodes: Sequence[Node], file: str) -> None:
  for node in nodes:
    known = all(
      name in build.values and not isinstance(build.values[name], View)
      for name in node.inputs
    )
    if known and foldable(node):
      _fold(build, node, file)


def _fold(build: Builder, node: Node, file: str) -> None:
  inputs = [build.values[name] for name in node.inputs]
  outputs = fold(node, inputs, file)
  for name, value in zip(node.outputs, outputs, strict=False):
    if name:
      build.values[name] = value


def _missing_cause(build: Builder, node: Node, missing, file) -> str | None:
  """Why a node cannot be run for what it reads, or None."""
  for name in node.inputs:
    if name in build.values:
      continue
    if name not in missing:
      raise JdeepvisError(
        f"{file}: node {node.name!r} ({node.op}) reads {name!r}, which no node "
        "before it writes."
      )
    return missing[name] or f"input {name}"
  return None


def _run(build: Builder, node: Node, file: str) -> LeftOut | None:
  """Adds a node's layers, or says why they cannot be."""
  inputs = [build.values[name] for name in node.inputs]
  if not any(isinstance(value, View) for value in inputs) and foldable(node):
    _fold(build, node, file)
    return None
  if node.op not in OPERATORS:
    return _unknown(node)
  try:
    outputs = OPERATORS[node.op](build, node, inputs)
  except CannotRunError as error:
    return LeftOut(
      f"node {node.name!r} ({node.op}) cannot be run here and is left out",
      f": {str(error).rstrip('.')}",
    )
  except _BAD as error:
    raise JdeepvisError(
      f"{file}: node {node.name!r} ({node.op}) cannot be run: {brief(error)}."
    ) from error
  for name, value in zip(node.outputs, outputs, strict=False):
    if name and value is not None:
      build.values[name] = value
  return None


def _unknown(node: Node) -> LeftOut:
  close = difflib.get_close_matches(node.op, OPERATORS, n=1, cutoff=0.75)
  hint = f" (nearest: {close[0]})" if close and close[0] != node.op else ""
  return LeftOut(
    f"node {node.name!r} is a {node.op!r}, an operator that is not known here"
    f"{hint}, and is left out",
    "; docs/onnx.md lists those that are",
  )


def _reaching(layers: Sequence[LayerInfo], ends: set[str]) -> list[LayerInfo]:
  """The layers on which some of these blobs depend."""
  needed, kept = set(ends), []
  for layer in reversed(layers):
    if needed & set(layer.outputs):
      needed |= set(layer.inputs)
      kept.append(layer)
  return kept[::-1]


def _weighed(build: Builder, cut: Sequence[Node]) -> frozenset[str]:
  """Blobs that a product among the nodes left out depends on."""
  names: set[str] = set()
  for node in reversed(cut):
    if node.op in _WEIGHING or names & set(node.outputs):
      names |= set(node.inputs)
  values = (build.values.get(name) for name in names)
  return frozenset(x.blob for x in values if isinstance(x, View))


def _opset(model, file: str) -> int:
  versions = [
    x.version for x in model.opset_import if x.domain in ("", "ai.onnx")
  ]
  if not versions or not 1 <= versions[0] < 2**31:
    raise JdeepvisError(
      f"{file} does not say which version of ONNX's operators it uses; export "
      "it again."
    )
  return versions[0]


def _with_known_operators(model, opset: int, file: str):
  """The model with operators that are functions of others spelled out."""
  import onnx
  import onnx.inliner

  unknown = {
    node.op_type
    for node in model.graph.node
    if node.domain in ("", "ai.onnx") and node.op_type not in OPERATORS
  }
  spelled = []
  for name in sorted(unknown):
    try:
      schema = onnx.defs.get_schema(name, opset, "")
    except onnx.defs.SchemaError:
      continue
    if schema.has_function or schema.has_context_dependent_function:
      spelled.append(("", name))
  if not spelled:
    return model
  try:
    return onnx.inliner.inline_selected_functions(
      model, spelled, inline_schema_functions=True
    )
  except Exception as error:  # the inliner raises whatever it meets
    raise JdeepvisError(
      f"{file}: the operators {', '.join(name for _, name in spelled)} cannot "
      f"be spelled out: {brief(error)}."
    ) from error
