"""Convolutional ONNX graphs against onnxruntime, with all that hangs on it."""

import jax
import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks.crop import crop
from jdeepvis.networks.flops import count_flops

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx_graphs import compared, make_model, random


def _block():
  """A stem, a residual block with a gate, a concat, a classifier."""

  def window(size, stride=(1, 1), pads=(0, 0, 0, 0), **more):
    return {"kernel_shape": size, "strides": stride, "pads": pads, **more}

  same, around = (1, 1), (1, 1, 1, 1)
  nodes = [
    ("Conv", "x w1 b1", "c1", window((3, 3), (2, 2), around)),
    ("BatchNormalization", "c1 g m v s", "n1"),
    ("Relu", "n1", "r1"),
    ("MaxPool", "r1", "p1", window((3, 3), same, around)),
    ("Conv", "p1 w2", "c2", window((3, 3), same, around, group=4)),
    ("GlobalAveragePool", "c2", "a"),
    ("Conv", "a w3 b3", "e"),
    ("HardSigmoid", "e", "h"),
    ("Mul", "c2 h", "gated"),
    ("Add", "gated p1", "sum"),
    ("Relu", "sum", "r2"),
    ("Conv", "r1 w4", "c4"),
    ("Relu", "c4", "r4"),
    ("Concat", "r2 r4", "joined", {"axis": 1}),
    ("AveragePool", "joined", "p2", window((3, 2), (2, 2), (1, 0, 1, 1))),
    ("Flatten", "p2", "f"),
    ("Gemm", "f w5 b5", "y", {"transB": 1, "alpha": 0.5}),
    ("Softmax", "y", "prob", {"axis": -1}),
  ]
  weights = {
    "w1": random(8, 3, 3, 3, scale=0.3),
    "b1": random(8),
    "g": random(8),
    "m": random(8),
    "v": random(8),
    "s": np.abs(random(8)) + 0.1,
    "w2": random(8, 2, 3, 3, scale=0.3),
    "w3": random(8, 8, 1, 1),
    "b3": random(8),
    "w4": random(4, 8, 1, 1),
    "w5": random(7, 12 * 3 * 3, scale=0.1),
    "b5": random(7),
  }
  return make_model(nodes, weights, outputs=("prob",))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
  path = tmp_path_factory.mktemp("onnx") / "block.onnx"
  path.write_bytes(_block().SerializeToString())
  return jdeepvis.load_network(path)


def test_each_value_is_that_of_onnxruntime():
  graph, count = compared(_block())
  assert count == 18
  assert graph.output == "y"
  assert graph.notes == ()


def test_what_the_graph_says(network):
  assert network.name == "block"
  assert network.input.shape == (12, 10, 3)
  assert network.output == "y"
  assert {"r1", "r1/pre", "joined", "joined/pre"} <= network.shapes.keys()
  field = jdeepvis.receptive_field(network, "p1", (0, 0))
  assert field == (0, 0, 4, 4)
  assert count_flops(network)["c1"] == 2 * 27 * 8 * 30


@pytest.mark.parametrize("layer", ["p1", "c4", "c2"])
@pytest.mark.parametrize("position", [(0, 0), (2, 2), (5, 4)])
def test_crops_are_exact(network, layer, position):
  image = random(1, 12, 10, 3)
  small = crop(network, layer, position)
  field = jdeepvis.receptive_field(network, layer, position)
  row, column = position

  def unit(image):
    return network(image, until=layer)[layer][0, row, column].sum()

  def cropped(image):
    part = image[:, field.top : field.bottom, field.left : field.right]
    return small(part, until=layer)[layer].sum()

  np.testing.assert_allclose(cropped(image), unit(image), rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
    jax.grad(cropped)(image), jax.grad(unit)(image), rtol=1e-4, atol=1e-5
  )


def test_its_rectifiers_take_the_rules(tmp_path):
  first, second = random(4, 3, 1, 1), random(2, 4, 1, 1)
  nodes = [("Conv", "x a", "c"), ("Relu", "c", "r"), ("Conv", "r b", "y")]
  model = make_model(nodes, {"a": first, "b": second})
  (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
  network = jdeepvis.load_network(tmp_path / "two.onnx")
  image, seed = random(1, 12, 10, 3), random(1, 12, 10, 2)
  down, up = first[:, :, 0, 0], second[:, :, 0, 0]
  on, signal = image @ down.T > 0, seed @ up
  expected = {
    "gradient": on * signal,
    "deconv": np.maximum(signal, 0),
    "guided": on * np.maximum(signal, 0),
  }
  for rule, passed in expected.items():
    found = jdeepvis.backward(network, image, "y", seed, rule=rule)
    np.testing.assert_allclose(found, passed @ down, rtol=1e-4, atol=1e-5)


def test_pixels_are_folded_into_the_first_weights(tmp_path):
  path = tmp_path / "net.onnx"
  model = _block()
  path.write_bytes(model.SerializeToString())
  plain = jdeepvis.load_network(path)
  scaled = jdeepvis.load_network(
    path, scale=0.5, bgr=True, mean=(10, 20, 30), labels=list("abcdefg")
  )
  image = random(1, 12, 10, 3)
  np.testing.assert_allclose(
    scaled(image)["y"],
    plain(0.5 * image[..., ::-1])["y"],
    rtol=1e-4,
    atol=1e-5,
  )
  np.testing.assert_array_equal(scaled.input.mean, [30, 20, 10])
  assert scaled.labels == tuple("abcdefg")


def test_it_is_kept_in_one_file(network, tmp_path):
  from jdeepvis.networks.weights import Origin, read_network, write_network

  path = tmp_path / "kept.safetensors"
  write_network(path, network, architecture=None, origin=Origin("x", ""))
  image = random(1, 12, 10, 3)
  np.testing.assert_array_equal(
    read_network(path)(image)["y"], network(image)["y"]
  )


@pytest.mark.parametrize(
  "attributes",
  [
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"auto_pad": "VALID"},
    {"pads": [0, 1, 2, 0], "strides": [3, 2]},
    {"pads": [2, 2, 2, 2], "dilations": [2, 2]},
  ],
  ids=str,
)
def test_windows_of_a_convolution(attributes):
  nodes = [("Conv", "x w", "y", {"kernel_shape": [3, 4], **attributes})]
  graph, _ = compared(make_model(nodes, {"w": random(5, 3, 3, 4)}))
  assert graph.layers[-1].kernel == (3, 4)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 1, 0)])
@pytest.mark.parametrize("counts", [0, 1])
def test_windows_of_pooling(op, ceil, pads, counts):
  if op == "MaxPool" and counts:
    return
  attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": pads}
  attributes["ceil_mode"] = ceil
  if op == "AveragePool":
    attributes["count_include_pad"] = counts
  graph, _ = compared(make_model([(op, "x", "y", attributes)], {}))
  assert graph.layers[-1].kind in ("max_pooling", "average_pooling")


@pytest.mark.parametrize(
  "attributes",
  [
    {"strides": [2, 2]},
    {"strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 1]},
    {"strides": [2, 2], "output_shape": [25, 22]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"dilations": [2, 1], "group": 3},
  ],
  ids=str,
)
def test_transposed_convolution(attributes):
  nodes = [("ConvTranspose", "x w b", "y", attributes)]
  groups = attributes.get("group", 1)
  weights = {"w": random(3, 4, 3, 3), "b": random(4 * groups)}
  compared(make_model(nodes, weights))


def test_sequences_are_maps_of_one_row():
  nodes = [
    ("Squeeze", "x axes", "s"),
    ("Conv", "s w b", "c", {"pads": [2, 1], "strides": [2]}),
    ("Relu", "c", "r"),
    ("MaxPool", "r", "p", {"kernel_shape": [3], "strides": [2]}),
    ("Conv", "p w2", "d"),
    ("GlobalAveragePool", "d", "y"),
  ]
  weights = {
    "axes": np.int64([2]),
    "w": random(6, 3, 4),
    "b": random(6),
    "w2": random(5, 6, 2),
  }
  graph, _ = compared(make_model(nodes, weights, (1, 3, 1, 40)))
  assert [x.kind for x in graph.layers].count("rearrange") == 0


def test_channels_last_models_are_read_as_they_are():
  nodes = [
    ("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}),
    ("Conv", "t w", "c"),
    ("Transpose", "c", "u", {"perm": [0, 2, 3, 1]}),
    ("Add", "u b", "y"),
  ]
  weights = {"w": random(5, 3, 3, 3), "b": random(5)}
  model = make_model(nodes, weights, (1, 12, 10, 3))
  graph, _ = compared(model)
  assert graph.shape == (12, 10, 3)
  # The bias is not the only reader's alone: Transpose is.
  assert [x.kind for x in graph.layers] == ["convolution", "bias"]


def test_a_bias_behind_a_product_is_its_bias():
  nodes = [
    ("Conv", "x w", "c", {"node_name": "conv"}),
    ("Add", "c b", "s", {"node_name": "add"}),
    ("Relu", "s", "y", {"node_name": "relu"}),
  ]
  weights = {"w": random(5, 3, 3, 3), "b": random(1, 5, 1, 1)}
  graph, _ = compared(make_model(nodes, weights))
  assert [x.name for x in graph.layers] == ["add", "relu/pre", "relu"]
  assert graph.params["add"]["bias"].shape == (5,)


def test_channel_shuffles_keep_their_receptive_fields(tmp_path):
  nodes = [
    ("Conv", "x w", "c", {"pads": [1, 1, 1, 1]}),
    ("Reshape", "c s1", "a"),
    ("Transpose", "a", "b", {"perm": [0, 2, 1, 3, 4]}),
    ("Reshape", "b s2", "d"),
    ("Conv", "d w2", "y", {"group": 3}),
  ]
  weights = {
    "w": random(6, 3, 3, 3),
    "s1": np.int64([1, 2, 3, 12, 10]),
    "s2": np.int64([1, -1, 12, 10]),
    "w2": random(6, 2, 1, 1),
  }
  model = make_model(nodes, weights)
  graph, _ = compared(model)
  assert "rearrange_channels" in [x.kind for x in graph.layers]
  (tmp_path / "shuffle.onnx").write_bytes(model.SerializeToString())
  network = jdeepvis.load_network(tmp_path / "shuffle.onnx")
  assert jdeepvis.receptive_field(network, "y").size == (3, 3)
