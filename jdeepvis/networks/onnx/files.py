"""An .onnx file as a checked message, its large arrays with it.

Files may come from anyone: arrays kept beside the file are read from the file's
own folder alone, and none is larger than it says.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jdeepvis.networks.caffe.arrays import brief, read_bytes
from jdeepvis.types import JdeepvisError

MOST_VALUES = 2**28
"""Most values of an array, as in a layer graph."""

_MAX_DEPTH = 8
_EXTERNAL = 1


def require_onnx():
  """The onnx package.

  Raises:
    JdeepvisError: it is not installed.
  """
  try:
    import onnx
    import onnx.reference
  except ImportError as error:
    raise JdeepvisError(
      "An .onnx file is read by the onnx package; install it with pip install "
      '"jdeepvis[onnx]".'
    ) from error
  return onnx


def read_model(path: Path | str):
  """The file's ModelProto, with functions inlined and arrays within it.

  Raises:
    JdeepvisError: the file is missing, damaged, no ONNX model, or names arrays
      outside its folder.
  """
  onnx = require_onnx()
  data = read_bytes(path, "ONNX model")
  model = onnx.ModelProto()
  try:
    model.ParseFromString(data)
  except Exception as error:  # protobuf's own, by implementation
    raise JdeepvisError(
      f"{str(path)!r} is damaged or not an ONNX model, so export or fetch it "
      f"again: {brief(error)}."
    ) from error
  if not model.graph.node:
    raise JdeepvisError(
      f"{str(path)!r} is not an ONNX model: it has no graph of nodes; export "
      "it again."
    )
  for tensor in _tensors(model.graph, 0, path):
    if not isinstance(tensor.name, str):
      raise JdeepvisError(_no_text(path, "an array's name"))
    if tensor.data_location == _EXTERNAL:
      _bring_in(tensor, Path(path).expanduser())
  if model.functions:
    import onnx.inliner

    try:
      model = onnx.inliner.inline_local_functions(model)
    except Exception as error:
      raise JdeepvisError(
        f"{str(path)!r}: its functions cannot be inlined: {brief(error)}."
      ) from error
  return model


def to_array(tensor, where: str) -> np.ndarray:
  """A TensorProto's array.

  Raises:
    JdeepvisError: it has other values than its shape asks for.
  """
  from onnx import numpy_helper

  try:
    if math.prod(tensor.dims) > MOST_VALUES or any(d < 0 for d in tensor.dims):
      raise ValueError(f"its shape is {list(tensor.dims)}")
    # What is kept in fewer bits has an array of its own type.
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind not in "fiubOSU":
      array = array.astype(np.float32)
  except Exception as error:
    raise JdeepvisError(
      f"{where}: the array {tensor.name!r} is damaged, so export or fetch the "
      f"file again: {brief(error)}."
    ) from error
  return array


def _tensors(graph, depth: int, path) -> Iterator:
  """Every array of a graph and of those within, whose names are texts."""
  if depth > _MAX_DEPTH:
    raise JdeepvisError(f"{str(path)!r}: its graphs are nested too deeply.")
  yield from graph.initializer
  ends = (*graph.input, *graph.output)
  if not all(isinstance(end.name, str) for end in ends):
    raise JdeepvisError(_no_text(path, "the name of an input or output"))
  for node in graph.node:
    texts = [node.name, node.op_type, node.domain, *node.input, *node.output]
    texts += [attribute.name for attribute in node.attribute]
    texts += [
      x for entry in node.metadata_props for x in (entry.key, entry.value)
    ]
    # Protobuf hands on as bytes what is no text.
    if not all(isinstance(text, str) for text in texts):
      raise JdeepvisError(_no_text(path, "a node's name"))
    for attribute in node.attribute:
      if attribute.HasField("t"):
        yield attribute.t
      yield from attribute.tensors
      if attribute.HasField("g"):
        yield from _tensors(attribute.g, depth + 1, path)
      for inner in attribute.graphs:
        yield from _tensors(inner, depth + 1, path)


def _no_text(path, what: str) -> str:
  return (
    f"{str(path)!r} is damaged, so export or fetch it again: {what} is no text."
  )


def _bring_in(tensor, path: Path) -> None:
  """Reads an array that the model keeps in a file beside it."""
  said = {entry.key: entry.value for entry in tensor.external_data}
  location = said.get("location", "")
  folder = path.parent.resolve()
  try:
    beside = (folder / location).resolve()
    if not location or not beside.is_relative_to(folder):
      raise ValueError("that is not in the folder of the model")
    if not beside.is_file():
      raise ValueError("there is no such file beside the model; fetch it too")
    offset, size = int(said.get("offset", 0)), os.path.getsize(beside)
    length = int(said.get("length", size - offset))
    if not (0 <= offset <= offset + length <= size):
      raise ValueError(f"it has {size} bytes, not {offset} and {length} more")
    if length > 8 * MOST_VALUES:
      raise ValueError(f"{length} bytes are too many for one array")
    with open(beside, "rb") as file:
      file.seek(offset)
      tensor.raw_data = file.read(length)
  except (OSError, ValueError) as error:
    raise JdeepvisError(
      f"{str(path)!r} keeps the array {tensor.name!r} in {location!r}: "
      f"{brief(error)}."
    ) from error
  tensor.data_location = 0
  del tensor.external_data[:]
