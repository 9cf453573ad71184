"""ONNX files as they come: names, metadata, what is left out or refused."""

import os
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import jdeepvis
from jdeepvis.types import JdeepvisError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
from onnx_graphs import make_model, random

_NODES = [
  ("Conv", "x w b", "c", {"node_name": "/stem/stem.0/Conv"}),
  ("Relu", "c", "r", {"node_name": "/stem/stem.1/Relu"}),
  ("GlobalAveragePool", "r", "p", {"node_name": "/pool/GlobalAveragePool"}),
  ("Flatten", "p", "f", {"node_name": "/Flatten"}),
  ("Gemm", "f wf bf", "y", {"node_name": "/head/Gemm"}),
]


def _model(**more):
  weights = {
    "w": random(4, 3, 3, 3),
    "b": random(4),
    "wf": random(4, 3),
    "bf": random(3),
  }
  nodes = more.pop("nodes", _NODES)
  return make_model(nodes, weights | more.pop("weights", {}), **more)


def _load(model, tmp_path, **options):
  path = tmp_path / "net.onnx"
  data = model if isinstance(model, bytes) else model.SerializeToString()
  path.write_bytes(data)
  return jdeepvis.load_network(path, **options)


def _refused(model, tmp_path, **options):
  with pytest.raises(JdeepvisError) as error:
    _load(model, tmp_path, **options)
  sentence = str(error.value)
  assert sentence.endswith(".") and len(sentence) < 1500
  return sentence


def test_names_are_the_paths_of_modules(tmp_path):
  network = _load(_model(), tmp_path)
  names = {"data", "stem.0", "stem.1/pre", "stem.1", "pool", "head"}
  assert network.shapes.keys() == names
  assert network.output == "head"


def test_names_of_the_newer_exporter_and_others(tmp_path):
  from jdeepvis.networks.onnx.nodes import readable_names

  def node(op, name="", scopes=None, output="t"):
    proto = onnx.helper.make_node(op, ["a"], [output], name=name)
    if scopes:
      entry = proto.metadata_props.add()
      entry.key, entry.value = "pkg.torch.onnx.name_scopes", repr(scopes)
    return proto

  protos = [
    node("Conv", "node_1", ["", "layer1", "layer1.0.conv1", "conv2d"]),
    node("Relu", "node_2", ["", "layer1", "layer1.0.relu", "relu"]),
    node("Relu", "node_3", ["", "layer1", "layer1.0.relu", "relu_1"]),
    node("Add", "node_4", ["", "layer1", "layer1.0", "add"]),
    node("Conv", "resnet/conv1/Conv2D"),
    node("Conv", "", output="gpu_0/conv1:0"),
    node("Conv", "data"),
    node("Conv", "twice"),
    node("Conv", "twice"),
  ]
  assert readable_names(protos) == (
    "layer1.0.conv1",
    "layer1.0.relu/Relu",
    "layer1.0.relu",
    "layer1.0/Add",
    "resnet/conv1/Conv2D",
    "gpu_0/conv1_0",
    "data_1",
    "twice",
    "twice_2",
  )


def test_class_names_in_the_metadata(tmp_path):
  named = _load(
    _model(metadata={"names": "{0: 'a', 1: 'b', 2: 'c'}"}), tmp_path
  )
  assert named.labels == ("a", "b", "c")
  read = _load(_model(metadata={"character": "x\n"}), tmp_path)
  assert read.labels == ("blank", "x", " ")
  assert _load(_model(metadata={"names": "[1, 2]"}), tmp_path).labels == ()
  given = _load(_model(metadata={"names": "{}"}), tmp_path, labels=list("def"))
  assert given.labels == ("d", "e", "f")


def test_without_the_onnx_package_the_way_to_get_it_is_said(
  tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, "onnx", None)
  assert 'pip install "jdeepvis[onnx]"' in _refused(b"", tmp_path)


def test_a_branch_whose_condition_is_known_is_taken(tmp_path):
  def branch(op, name):
    node = onnx.helper.make_node(op, ["c"], [name])
    ends = [onnx.ValueInfoProto(name=name)]
    return onnx.helper.make_graph([node], name, [], ends)

  taken = {
    "then_branch": branch("Relu", "r"),
    "else_branch": branch("Neg", "n"),
  }
  nodes = [_NODES[0], ("If", "yes", "y", taken)]
  model = _model(nodes=nodes, weights={"yes": np.bool_([True])})
  network = _load(model, tmp_path)
  assert {"r", "r/pre"} <= network.shapes.keys()
  assert "n" not in network.shapes


def test_a_size_that_the_file_leaves_open(tmp_path):
  model = _model(shape=("n", 3, "h", "w"))
  assert "size=(HEIGHT, WIDTH)" in _refused(model, tmp_path)
  assert _load(model, tmp_path, size=(9, 7)).input.shape == (9, 7, 3)


def test_what_is_not_known_is_left_out_with_what_depends_on_it(
  tmp_path, caplog
):
  nodes = [
    *_NODES[:2],
    ("Strange", "r", "s", {"node_name": "odd"}),
    ("Relu", "s", "t", {"node_name": "after"}),
    *_NODES[2:],
    ("NonZero", "f", "z", {"node_name": "last"}),
  ]
  network = _load(_model(nodes=nodes, outputs=("y", "t", "z")), tmp_path)
  assert network.output == "head"
  first, second = caplog.messages
  assert "node 'odd' is a 'Strange', an operator that is not known" in first
  assert "left out with what depends on it, layer after" in first
  assert "node 'last' is a 'NonZero'" in second


def test_nothing_that_can_be_run(tmp_path):
  nodes = [("NonZero", "x", "y")]
  found = _refused(_model(nodes=nodes), tmp_path)
  assert "has no layer that can be run: node 'y' is a 'NonZero'" in found


@pytest.mark.parametrize(
  "nodes, words",
  [
    (
      [("Conv", "x w", "y", {"pads": [1, 1]})],
      "(Conv) cannot be run: its pads",
    ),
    ([("Conv", "x w", "y", {"strides": [0, 1]})], "strides"),
    ([("Conv", "x lost", "y")], "reads 'lost', which no node"),
    ([("Concat", "x x", "y", {"axis": 9})], "axis 9"),
    ([("Reshape", "x s", "y")], "reshapes [1, 3, 12, 10] to [7]"),
    ([("Transpose", "x", "y", {"perm": [0, 0, 1, 2]})], "no order"),
    ([("Gemm", "x w", "y")], "cannot be run"),
  ],
)
def test_what_is_not_written_as_it_must_be(nodes, words, tmp_path):
  model = _model(nodes=nodes, weights={"s": np.int64([7])})
  assert words in _refused(model, tmp_path)


@pytest.mark.parametrize(
  "data, words",
  [
    (b"", "is empty"),
    (b"\xff" * 99, "damaged or not an ONNX model"),
    (b"PK\x03\x04", "a zip archive"),
    (b"version https://git-lfs", "a Git LFS pointer"),
  ],
)
def test_what_is_no_model(data, words, tmp_path):
  assert words in _refused(data, tmp_path)


def test_a_missing_file_and_other_arguments(tmp_path):
  with pytest.raises(JdeepvisError, match=r"There is no ONNX model"):
    jdeepvis.load_network(tmp_path / "none.onnx")
  with pytest.raises(JdeepvisError, match=r"for a \.prototxt"):
    jdeepvis.load_network(tmp_path / "none.onnx", "net.caffemodel")


def test_a_model_that_torch_saved_says_how_to_export_it(tmp_path):
  import zipfile

  calls = {"net/code.py": "torch.load(", "net/constants.pkl": "torch.jit.load("}
  for inner, call in calls.items():
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as file:
      file.writestr("net/data.pkl", b"")
      file.writestr(inner, b"")
    with pytest.raises(JdeepvisError, match=r"torch\.onnx\.export") as error:
      jdeepvis.load_network(tmp_path / "net.pt")
    assert call in str(error.value) and "net.onnx" in str(error.value)


def _beside(model, location, offset=None):
  tensor = model.graph.initializer[0]
  data = tensor.raw_data
  tensor.ClearField("raw_data")
  tensor.data_location = 1
  tensor.external_data.add(key="location", value=location)
  if offset is not None:
    tensor.external_data.add(key="offset", value=str(offset))
  return data


def test_arrays_beside_the_file(tmp_path):
  whole = _load(_model(), tmp_path)
  model = _model()
  del whole
  data = _beside(model, "weights.bin", 3)
  (tmp_path / "weights.bin").write_bytes(b"abc" + data)
  network = _load(model, tmp_path)
  kernel = network.params["stem.0"]["kernel"]
  expected = np.frombuffer(data, np.float32).reshape(4, 3, 3, 3)
  np.testing.assert_array_equal(kernel, expected.transpose(2, 3, 1, 0))


@pytest.mark.parametrize(
  "location", ["../weights.bin", "/etc/passwd", "", ".", "link.bin", "none"]
)
def test_arrays_elsewhere_are_not_read(location, tmp_path):
  folder = tmp_path / "model"
  folder.mkdir()
  model = _model()
  data = _beside(model, location)
  (tmp_path / "weights.bin").write_bytes(data)
  os.symlink(tmp_path / "weights.bin", folder / "link.bin")
  assert "keeps the array 'w' in" in _refused(model, folder)


def test_arrays_beside_the_file_that_are_cut_off(tmp_path):
  model = _model()
  data = _beside(model, "weights.bin", 4)
  (tmp_path / "weights.bin").write_bytes(data)
  assert "'w' is damaged" in _refused(model, tmp_path)
  model = _model()
  _beside(model, "weights.bin", 10**12)
  assert "it has 432 bytes" in _refused(model, tmp_path)


@pytest.mark.parametrize(
  "nodes, weights",
  [
    (
      [("ConstantOfShape", "s", "k"), ("Add", "x k", "y")],
      {"s": np.int64([2**40])},
    ),
    ([("Expand", "x s", "y")], {"s": np.int64([1, 3, 12 * 2**20, 10])}),
    ([("Tile", "x s", "y")], {"s": np.int64([1, 2**20, 2**20, 1])}),
    ([("Tile", "b s", "k"), ("Add", "x k", "y")], {"s": np.int64([2**40])}),
    ([("Pad", "x s", "y")], {"s": np.int64([0, 0, 2**30, 0, 0, 0, 2**30, 0])}),
    (
      [("Range", "a s d", "k"), ("Add", "x k", "y")],
      {"a": np.float32(0), "s": np.float32(1e18), "d": np.float32(1)},
    ),
    ([("Resize", "x _ s", "y")], {"s": np.float32([1, 1, 1e6, 1e6])}),
    ([("Conv", "x w", "y", {"pads": [2**40] * 4})], {}),
    ([("Conv", "x w", "y", {"dilations": [2**40] * 2})], {}),
    ([("MaxPool", "x", "y", {"kernel_shape": [2**40] * 2})], {}),
    (
      [("OneHot", "a s d", "k"), ("Add", "x k", "y")],
      {"a": np.int64([0]), "s": np.int64(2**50), "d": np.float32([0, 1])},
    ),
  ],
  ids=lambda value: value[0][0] if isinstance(value, list) else "",
)
def test_what_would_need_all_memory(nodes, weights, tmp_path):
  _refused(_model(nodes=nodes, weights=weights, opset=17), tmp_path)


@hypothesis.settings(
  max_examples=60,
  deadline=None,
  suppress_health_check=list(hypothesis.HealthCheck),
  derandomize=True,
  database=None,
)
@hypothesis.given(
  edits=st.lists(
    st.tuples(st.floats(0, 0.999), st.integers(0, 255), st.booleans()),
    min_size=1,
    max_size=4,
  )
)
def test_damaged_files(edits, tmp_path_factory):
  data = bytearray(_GOOD)
  for where, value, cut in edits:
    place = int(where * len(data))
    data[place] = value
    if cut:
      del data[place + 1 : place + 1 + value % 9]
  path = tmp_path_factory.getbasetemp() / "damaged.onnx"
  path.write_bytes(bytes(data))
  try:
    jdeepvis.load_network(path)
  except JdeepvisError as error:
    assert str(error).endswith(".") and len(str(error)) < 1500


_GOOD = _model().SerializeToString()
