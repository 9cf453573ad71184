"""The onnx package's own node tests, run through our loader.

A case has any inputs; a network has images. Its inputs are cut from an image of
one place and many channels, `data`, and those that no network computes from its
images stay constants.
"""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from jdeepvis.networks.graph import INPUT, GraphApply
from jdeepvis.networks.onnx.graph import build_graph
from jdeepvis.networks.onnx.views import View
from jdeepvis.types import JdeepvisError

_IMAGE = "image of all inputs"


class Outcome(NamedTuple):
  """Whether a case passed, or why not: `out`, what we said, or `wrong`."""

  passed: bool
  reason: str


def onnx_array(view: View, blobs) -> np.ndarray:
  """The ONNX tensor that a view stands for, of the first image."""
  array = np.asarray(blobs[view.blob])[0].reshape(view.atoms)
  order = [atom for axis in view.axes for atom in axis]
  order += [atom for atom in range(len(view.atoms)) if atom not in order]
  return array.transpose(order).reshape(view.shape)


def run_case(case, dynamic: int = 1) -> Outcome:
  """Runs a case, its first `dynamic` inputs as images."""
  inputs, outputs = (
    [numpy_helper.to_array(x) if isinstance(x, TensorProto) else x for x in xs]
    for xs in case.data_sets[0]
  )
  if not inputs or not all(_is_plain(x) for x in (*inputs, *outputs)):
    return Outcome(False, "out: its values are no arrays of numbers")
  arrays = [np.asarray(x) for x in inputs]
  if any(x.size == 0 for x in arrays[:dynamic]):
    return Outcome(False, "out: there is nothing in its input")
  if not any(x.domain == "" for x in case.model.opset_import):
    return Outcome(False, "out: its operators are of another domain")
  model = wrapped(case.model, arrays, dynamic)
  total = sum(x.size for x in arrays[:dynamic])
  try:
    graph = build_graph(model, case.name)
  except JdeepvisError as error:
    return Outcome(False, f"out: {error}")
  if graph.notes:
    return Outcome(False, f"out: {graph.notes[0]}")
  image = np.concatenate([np.float32(x).reshape(-1) for x in arrays[:dynamic]])
  image = image.reshape(1, 1, 1, total)
  blobs = GraphApply(graph.layers)(graph.params, image)
  blobs = {INPUT: image, **blobs}
  for info, expected in zip(case.model.graph.output, outputs, strict=True):
    value = graph.values.get(info.name)
    if value is None:
      return Outcome(False, f"out: {info.name} is not made")
    found = value
    if isinstance(value, View):
      if value.blob not in blobs:
        return Outcome(False, f"out: {info.name} is not kept")
      found = onnx_array(value, blobs)
    expected = np.asarray(expected)
    if found.shape != expected.shape:
      return Outcome(False, f"wrong: {found.shape} not {expected.shape}")
    if not np.allclose(
      np.float32(found),
      np.float32(expected),
      rtol=1e-3,
      atol=1e-4,
      equal_nan=True,
    ):
      return Outcome(False, "wrong: other values")
  return Outcome(True, "")


def wrapped(model, arrays, dynamic: int):
  """The model with its first inputs cut from one, the others constant."""
  wrapper = onnx.ModelProto()
  wrapper.CopyFrom(model)
  graph = wrapper.graph
  names = [x.name for x in graph.input]
  kinds = [x.type.tensor_type.elem_type for x in graph.input]
  opset = next(x.version for x in model.opset_import if x.domain == "")
  total = sum(x.size for x in arrays[:dynamic])
  del graph.input[:]
  graph.input.append(
    helper.make_tensor_value_info(_IMAGE, TensorProto.FLOAT, [1, total, 1, 1])
  )
  before, at = [], 0
  for name, kind, array in zip(names, kinds, arrays[:dynamic], strict=False):
    before += _cut(graph, name, kind, array.shape, at, at + array.size, opset)
    at += array.size
  given = [x.name for x in graph.initializer]
  for name, array in list(zip(names, arrays, strict=False))[dynamic:]:
    if name not in given:
      graph.initializer.append(numpy_helper.from_array(array, name))
  # So that a case that computes nothing has a layer.
  before.append(helper.make_node("Neg", [_IMAGE], [f"{_IMAGE} too"]))
  graph.output.append(onnx.ValueInfoProto(name=f"{_IMAGE} too"))
  nodes = [*before, *graph.node]
  del graph.node[:]
  graph.node.extend(nodes)
  return wrapper


def _cut(graph, name, kind, shape, start, end, opset):
  said = {"starts": [start], "ends": [end], "axes": [1]}
  part, flat = f"{name}/part", f"{name}/flat"
  for key, values in (*said.items(), ("shape", shape)):
    graph.initializer.append(
      numpy_helper.from_array(np.int64(values).reshape(-1), f"{name}/{key}")
    )
  if opset < 10:
    cut = helper.make_node("Slice", [_IMAGE], [part], **said)
  else:
    cut = helper.make_node(
      "Slice", [_IMAGE, *(f"{name}/{key}" for key in said)], [part]
    )
  if opset < 5:
    shaped = helper.make_node("Reshape", [part], [flat], shape=list(shape))
  else:
    shaped = helper.make_node("Reshape", [part, f"{name}/shape"], [flat])
  cast = helper.make_node("Cast", [flat], [name], to=kind)
  return [cut, shaped, cast]


def _is_plain(value) -> bool:
  return isinstance(value, np.ndarray | np.generic | int | float) and (
    np.asarray(value).dtype.kind in "fiub"
  )
