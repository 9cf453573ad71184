"""Small ONNX models, and their values here and in onnxruntime."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import onnx_array

from jdeepvis.networks.graph import INPUT, GraphApply
from jdeepvis.networks.onnx.graph import build_graph
from jdeepvis.networks.onnx.views import View

_RANDOM = np.random.default_rng(0)


def random(*shape, scale=1.0):
  """Normal values, float32."""
  return np.float32(_RANDOM.normal(size=shape) * scale)


def make_model(
  nodes, weights, shape=(1, 3, 12, 10), outputs=("y",), opset=18, metadata=None
):
  """A model of nodes `(op, inputs, outputs, attributes)`.

  Names have spaces between them; `_` is one that is left out.
  """
  made = []
  for op, inputs, results, *rest in nodes:
    attributes = dict(rest[0]) if rest else {}
    name = attributes.pop("node_name", "")
    made.append(
      helper.make_node(
        op,
        inputs.replace("_", "").split(" "),
        results.split(),
        name=name,
        **attributes,
      )
    )
  graph = helper.make_graph(
    made,
    "graph",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
    [onnx.ValueInfoProto(name=name) for name in outputs],
    [numpy_helper.from_array(x, name) for name, x in weights.items()],
  )
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
  )
  helper.set_model_props(model, metadata or {})
  return model


def compared(model, *, tolerance=1e-5, image=None, file="net.onnx", size=None):
  """The graph, after each of its values was that of onnxruntime.

  Returns:
    The layer graph and how many values were compared.
  """
  graph = build_graph(model, file, size)
  if image is None:
    image = random(1, *graph.shape)
  blobs = {INPUT: image, **GraphApply(graph.layers)(graph.params, image)}
  written = {name for node in model.graph.node for name in node.output}
  names = [
    name
    for name, value in graph.values.items()
    if isinstance(value, View) and value.blob in blobs and name in written
  ]
  expected = run(model, names, image, graph.values)
  for name, theirs in zip(names, expected, strict=True):
    ours = onnx_array(graph.values[name], blobs)
    assert ours.shape == theirs.shape, name
    scale = max(np.abs(theirs, dtype=np.float64).max(), 1e-9)
    np.testing.assert_allclose(
      ours / scale, theirs / scale, atol=tolerance, err_msg=name
    )
  return graph, len(names)


def run(model, names, image, values=None):
  """What onnxruntime makes of an image `[1, h, w, c]`."""
  wanted = onnx.ModelProto()
  wanted.CopyFrom(model)
  del wanted.graph.output[:]
  wanted.graph.output.extend(onnx.ValueInfoProto(name=x) for x in names)
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 4
  options.intra_op_num_threads = 1
  options.graph_optimization_level = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
  )
  session = onnxruntime.InferenceSession(
    wanted.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  known = {x.name for x in model.graph.initializer}
  name = next(x.name for x in model.graph.input if x.name not in known)
  last = values is not None and values[name].axes[-1] == (2,)
  fed = image if last else image.transpose(0, 3, 1, 2)
  return session.run(names, {name: fed})
