"""An .onnx file becomes a network."""

from collections.abc import Sequence
from pathlib import Path

from jdeepvis.networks.convert import (
  Mean,
  Read,
  check_scale_and_size,
  input_spec,
)
from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.network import Network
from jdeepvis.networks.onnx.files import read_model
from jdeepvis.networks.onnx.graph import build_graph
from jdeepvis.networks.onnx.labels import class_names
from jdeepvis.networks.pixels import fold_pixels
from jdeepvis.networks.weights import check_network


def is_onnx(name: str) -> bool:
  """Whether a name is that of an ONNX file."""
  return name.lower().endswith(".onnx")


def read_onnx(
  path: Path | str,
  *,
  mean: Mean = None,
  labels: Sequence[str] = (),
  scale: float | int = 1.0,
  bgr: bool = False,
  size: tuple[int, int] | None = None,
) -> Read:
  """A network from an .onnx file.

  Args:
    path: the file; arrays that it keeps beside itself are read too.
    mean: what is subtracted from pixels (0..255), see `arrays.read_mean`; None
      is nothing, for a file does not say it.
    labels: the class names in order; where there are none, those in the file's
      metadata.
    scale: what centred pixels are multiplied by before they enter the net.
    bgr: the net was trained on blue, green, red.
    size: height and width of the images, for a file that leaves them open.

  Raises:
    JdeepvisError: the onnx package is missing, the file is missing or damaged,
      or no layer of it can be run.
  """
  check_scale_and_size(scale, size)
  model = read_model(path)
  graph = build_graph(model, str(path), size)
  shape, output = graph.shape, graph.output
  if output is not None and not labels:
    said = {
      entry.key: entry.value
      for entry in model.metadata_props
      if isinstance(entry.value, str)
    }
    classes = infer_shapes(graph.layers, shape).blobs[output][-1]
    labels = class_names(said, classes)
  layers, params = fold_pixels(
    graph.layers,
    graph.params,
    shape,
    reverse=bgr and shape[2] == 3,
    scale=scale,
  )
  spec = input_spec(shape, mean, bgr=bgr)
  network = Network(
    GraphApply(layers), params, spec, layers, tuple(labels), output
  )
  return Read(check_network(network, str(path)), graph.notes)
