"""An ONNX graph becomes a layer graph of ours."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jdeepvis.networks.caffe.arrays import brief
from jdeepvis.networks.graph import infer_shapes
from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.left_out import LeftOut, sentences, why_missing
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.onnx.builder import Builder, Value
from jdeepvis.networks.onnx.definitions import with_known_operators
from jdeepvis.networks.onnx.files import to_array
from jdeepvis.networks.onnx.folding import fold, foldable, free_names
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
  graph = with_known_operators(model, opset).graph
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
  walk = _Walk(build, file, image.others)
  walk.run(nodes)
  return _finished(walk, image.shape, graph)


class _Walk:
  """Goes through nodes, and keeps what of them is left out, and why.

  Attributes:
    build: what they become.
    file: its name, for messages.
    cut: the nodes that are left out.
  """

  def __init__(self, build: Builder, file: str, others: Sequence[str]):
    self.build, self.file, self.cut = build, file, []
    self._others = others
    self._missing = dict.fromkeys(others, "")
    self._causes: dict[str, tuple[LeftOut, list[str]]] = {}

  @property
  def notes(self) -> tuple[str, ...]:
    """A sentence for each thing left out."""
    return sentences(self.file, self._causes.values())

  def run(self, nodes: Sequence[Node]) -> None:
    """Adds what nodes, in order, become."""
    for node in nodes:
      for name in (*node.inputs, *free_names(node)):
        self.build.readers[name].append(node)
    self._fold_constants(nodes)
    for node in nodes:
      if any(name not in self.build.values for name in node.outputs if name):
        self._run_one(node)

  def _run_one(self, node: Node) -> None:
    cause = self._missing_cause(node)
    if cause is None:
      reason = self._add(node)
      if reason is not None:
        cause = node.name
        self._causes[cause] = reason, []
    elif cause != node.name:
      why = why_missing(cause, self._others)
      self._causes.setdefault(cause, (why, []))[1].append(node.name)
    if cause is not None:
      self.cut.append(node)
    for name in node.outputs:
      if name and name not in self.build.values:
        self._missing[name] = cause or node.name

  def _fold_constants(self, nodes: Sequence[Node]) -> None:
    for node in nodes:
      names = (*node.inputs, *free_names(node))
      values = self.build.values
      known = all(
        name in values and not isinstance(values[name], View) for name in names
      )
      if known and foldable(node):
        self._fold(node)

  def _fold(self, node: Node) -> None:
    names = dict.fromkeys((*node.inputs, *free_names(node)))
    known = {name: self.build.values[name] for name in names if name}
    outputs = fold(node, known, self.file)
    for name, value in zip(node.outputs, outputs, strict=False):
      if name:
        self.build.values[name] = value

  def _missing_cause(self, node: Node) -> str | None:
    """Why a node cannot be run for what it reads, or None."""
    for name in node.inputs:
      if name in self.build.values:
        continue
      if name not in self._missing:
        raise JdeepvisError(
          f"{self.file}: node {node.name!r} ({node.op}) reads {name!r}, which "
          "no node before it writes."
        )
      return self._missing[name] or f"input {name}"
    return None

  def _add(self, node: Node) -> LeftOut | None:
    """Adds a node's layers, or says why they cannot be."""
    values = self.build.values
    inputs = [values[name] for name in node.inputs]
    within = [values.get(name, ()) for name in free_names(node)]
    constant = not any(isinstance(x, View | tuple) for x in (*inputs, *within))
    if constant and foldable(node):
      self._fold(node)
      return None
    if node.op == "If" and isinstance(inputs[0], np.ndarray):
      return self._branch(node, bool(inputs[0].reshape(-1)[:1].any()))
    if node.op not in OPERATORS:
      return _unknown(node)
    try:
      # Weights that are no numbers are the file's own.
      with np.errstate(all="ignore"):
        outputs = OPERATORS[node.op](self.build, node, inputs)
    except CannotRunError as error:
      return LeftOut(
        f"node {node.name!r} ({node.op}) cannot be run here and is left out",
        f": {str(error).rstrip('.')}",
      )
    except _BAD as error:
      raise JdeepvisError(
        f"{self.file}: node {node.name!r} ({node.op}) cannot be run: "
        f"{brief(error)}."
      ) from error
    for name, value in zip(node.outputs, outputs, strict=False):
      if name and value is not None:
        values[name] = value
    return None

  def _branch(self, node: Node, taken: bool) -> LeftOut | None:
    """Adds the branch of an If whose condition is known."""
    branch = node.get("then_branch" if taken else "else_branch")
    for tensor in branch.initializer:
      self.build.values[tensor.name] = to_array(tensor, self.file)
    self.run(read_nodes(branch, node.opset, self.file))
    for name, inner in zip(node.outputs, branch.output, strict=True):
      if inner.name in self.build.values:
        self.build.values[name] = self.build.values[inner.name]
      else:
        self._missing[name] = self._missing.get(inner.name, node.name)
    return None


def _finished(walk: _Walk, shape, graph) -> OnnxGraph:
  build, cut, notes, file = walk.build, walk.cut, walk.notes, walk.file
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
