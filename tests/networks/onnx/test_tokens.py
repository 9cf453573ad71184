"""Graphs of tokens, and other rearrangements, against onnxruntime."""

import jax
import numpy as np
import pytest

import jdeepvis

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx_graphs import compared, make_model, random


def _transformer():
  """Patches, a class token, one layer of attention, a head: a small ViT."""
  nodes = [
    ("Conv", "x wp bp", "patches", {"strides": [4, 4]}),
    ("Shape", "patches", "shape"),
    ("Slice", "shape zero two zero", "front"),
    ("Concat", "front minus", "to", {"axis": 0}),
    ("Reshape", "patches to", "rows"),
    ("Transpose", "rows", "tokens", {"perm": [0, 2, 1]}),
    ("Expand", "cls one3", "token"),
    ("Concat", "token tokens", "all", {"axis": 1}),
    ("Add", "all positions", "z"),
    ("LayerNormalization", "z g b", "n"),
    ("MatMul", "n wqkv", "qkv0"),
    ("Add", "bqkv qkv0", "qkv"),
    ("Reshape", "qkv heads", "qkv5"),
    ("Transpose", "qkv5", "qkvt", {"perm": [2, 0, 3, 1, 4]}),
    ("Split", "qkvt", "q1 k1 v1", {"axis": 0, "num_outputs": 3}),
    ("Squeeze", "q1 zero", "q"),
    ("Squeeze", "k1 zero", "k"),
    ("Gather", "qkvt second", "v", {"axis": 0}),
    ("Transpose", "k", "kt", {"perm": [0, 1, 3, 2]}),
    ("MatMul", "q kt", "logits"),
    ("Mul", "logits scale", "scaled"),
    ("Softmax", "scaled", "attention", {"axis": -1}),
    ("MatMul", "attention v", "mixed"),
    ("Transpose", "mixed", "mixedt", {"perm": [0, 2, 1, 3]}),
    ("Reshape", "mixedt joined", "flat"),
    ("MatMul", "flat wo", "projected"),
    ("Add", "projected z", "z2"),
    ("MatMul", "z2 w1", "up0"),
    ("Add", "up0 b1", "up"),
    ("Div", "up root2", "e0"),
    ("Erf", "e0", "e1"),
    ("Add", "e1 one", "e2"),
    ("Mul", "up e2", "e3"),
    ("Mul", "e3 half", "gelu"),
    ("MatMul", "gelu w2", "down"),
    ("Add", "down z2", "z3"),
    ("Gather", "z3 first", "pooled", {"axis": 1}),
    ("Gemm", "pooled wh bh", "y"),
  ]
  weights = {
    "wp": random(8, 3, 4, 4, scale=0.3),
    "bp": random(8),
    "zero": np.int64([0]),
    "two": np.int64([2]),
    "minus": np.int64([-1]),
    "cls": random(1, 1, 8),
    "one3": np.int64([1, 1, 8]),
    "positions": random(1, 7, 8),
    "g": random(8),
    "b": random(8),
    "wqkv": random(8, 24, scale=0.4),
    "bqkv": random(24),
    "heads": np.int64([1, 7, 3, 2, 4]),
    "second": np.int64(2),
    "scale": np.float32(0.5),
    "joined": np.int64([1, 7, 8]),
    "wo": random(8, 8),
    "w1": random(8, 16),
    "b1": random(16),
    "root2": np.float32(np.sqrt(2)),
    "one": np.float32(1),
    "half": np.float32(0.5),
    "w2": random(16, 8),
    "first": np.int64(0),
    "wh": random(8, 5),
    "bh": random(5),
  }
  return make_model(nodes, weights, (1, 3, 8, 12))


def test_a_vision_transformer():
  graph, count = compared(_transformer(), tolerance=1e-4)
  # Without the shape arithmetic, which is gone, and biases that are joined.
  assert count > 28
  assert graph.output == "y"
  kinds = [layer.kind for layer in graph.layers]
  assert kinds.count("einsum") == 2
  assert kinds.count("dense") == 4
  assert all("Shape" not in layer.name for layer in graph.layers)


def test_its_blobs_have_tokens_before_channels(tmp_path):
  (tmp_path / "vit.onnx").write_bytes(_transformer().SerializeToString())
  network = jdeepvis.load_network(tmp_path / "vit.onnx")
  # Seven tokens: that of the class, and two by three patches.
  assert network.shapes["z3"] == (2, 3, 8)
  assert network.shapes["z3/cls"] == (8,)
  assert network.order.index("z3/cls") == network.order.index("z3") + 1
  assert network.shapes["attention"] == (2, 7, 7)
  assert jdeepvis.receptive_field(network, "patches", (0, 0)).size == (4, 4)
  field = jdeepvis.receptive_field(network, "z3")
  assert field == (0, 0, 8, 12)
  # Images stay apart: two at once are what each is alone.
  images = random(2, 8, 12, 3)
  both = network(images)["y"]
  alone = [network(images[i : i + 1])["y"][0] for i in range(2)]
  np.testing.assert_allclose(both, alone, rtol=1e-4, atol=1e-4)
  # One token's unit, alone and by name.
  blobs = network(images)
  for layer, position in (("z3", (1, 2)), ("z3", None), ("z3/cls", None)):
    alone = jdeepvis.crop(network, layer, position)(images)[layer]
    value = blobs[layer]
    if value.ndim == 4:
      row, column = position or (1, 1)
      value = value[:, row : row + 1, column : column + 1]
    np.testing.assert_allclose(alone, value, rtol=1e-4, atol=1e-5)
  recipe = jdeepvis.recipe("none").replace(steps=2)
  for target in ("z3:3@cls", "z3:3@1,2", "z3:3"):
    picture = jdeepvis.render(network, target, recipe)
    assert picture.image.shape == (8, 12, 3)
  gradient = jax.grad(lambda x: network(x)["y"][0, 1])(images)
  assert np.abs(gradient[0]).max() > 0
  assert np.abs(gradient[1]).max() == 0


def test_windows_of_a_map_as_tokens_and_back():
  """As Swin's: the windows take the place of the batch."""
  nodes = [
    ("Transpose", "x", "t", {"perm": [0, 2, 3, 1]}),
    ("Reshape", "t cut", "c"),
    ("Transpose", "c", "ct", {"perm": [0, 1, 3, 2, 4, 5]}),
    ("Reshape", "ct tokens", "w"),
    ("MatMul", "w m", "d"),
    ("Transpose", "d", "dt", {"perm": [0, 2, 1]}),
    ("MatMul", "d dt", "s"),
    ("Add", "s mask", "sm"),
    ("Softmax", "sm", "a"),
    ("MatMul", "a d", "mixed"),
    ("Reshape", "mixed cut2", "u"),
    ("Transpose", "u", "ut", {"perm": [0, 1, 3, 2, 4, 5]}),
    ("Reshape", "ut back", "r"),
    ("Add", "r t2", "sum"),
    ("Transpose", "sum", "y", {"perm": [0, 3, 1, 2]}),
    ("MatMul", "t m", "t2"),
  ]
  nodes.insert(13, nodes.pop())
  weights = {
    "cut": np.int64([1, 2, 4, 3, 4, 3]),
    "tokens": np.int64([6, 16, 3]),
    "m": random(3, 5),
    "mask": random(6, 16, 16),
    "cut2": np.int64([1, 2, 3, 4, 4, 5]),
    "back": np.int64([1, 8, 12, 5]),
  }
  graph, _ = compared(make_model(nodes, weights, (1, 3, 8, 12)))
  shapes = {layer.name for layer in graph.layers}
  assert "ct" not in shapes


@pytest.mark.parametrize(
  "nodes, weights",
  [
    ([("Flatten", "x", "f"), ("MatMul", "f m", "y")], {"m": random(360, 4)}),
    (
      [("Reshape", "x s", "r"), ("ReduceMean", "r", "y", {"axes": [2]})],
      {"s": np.int64([0, 9, -1])},
    ),
    (
      [
        ("Reshape", "x s", "r"),
        ("Transpose", "r", "t", {"perm": [1, 0, 3, 2]}),
        ("Softmax", "t", "y", {"axis": 2}),
      ],
      {"s": np.int64([4, 15, 2, 3])},
    ),
    ([("DepthToSpace", "x3", "y", {"blocksize": 2})], {}),
    ([("SpaceToDepth", "x", "y", {"blocksize": 2})], {}),
    (
      [("Slice", "x s e a t", "y")],
      {
        "s": np.int64([1, -1]),
        "e": np.int64([100, -9]),
        "a": np.int64([2, 3]),
        "t": np.int64([2, -3]),
      },
    ),
    (
      [("Slice", "x s e a t", "y")],
      {
        "s": np.int64([1, 0]),
        "e": np.int64([11, 9]),
        "a": np.int64([2, 3]),
        "t": np.int64([2, 3]),
      },
    ),
    (
      [("Pad", "x p", "y", {"mode": "reflect"})],
      {"p": np.int64([0, 0, 1, 2, 0, 0, 3, 0])},
    ),
    (
      [("Pad", "x p v", "y")],
      {"p": np.int64([0, 1, 1, 2, 0, 0, 3, 0]), "v": np.float32(2)},
    ),
    ([("Pad", "x p", "y")], {"p": np.int64([0, 0, 1, 2, 0, 0, -3, 0])}),
    (
      [("Einsum", "x m", "y", {"equation": "nchw,cd->nhdw"})],
      {"m": random(3, 5)},
    ),
    ([("Tile", "x r", "y")], {"r": np.int64([1, 2, 1, 3])}),
    (
      [("Sub", "c x", "d"), ("Div", "d b", "y")],
      {"c": random(3, 1, 10), "b": random(12, 1)},
    ),
    (
      [("Greater", "x z", "c"), ("Where", "c x m", "y")],
      {"z": np.float32(0), "m": random(1, 3, 1, 1)},
    ),
    (
      [("Resize", "x _ r", "y", {"mode": "linear"})],
      {"r": np.float32([1, 1, 2, 1.5])},
    ),
    (
      [("InstanceNormalization", "x g b", "y")],
      {"g": random(3), "b": random(3)},
    ),
    ([("PRelu", "x s", "y")], {"s": random(3, 1, 1)}),
    ([("LRN", "x", "y", {"size": 3})], {}),
    ([("ReduceMax", "x", "m", {"axes": [1]}), ("Mul", "x m", "y")], {}),
    ([("TopK", "x k", "y i", {"axis": 1})], {"k": np.int64([2])}),
    ([("ArgMax", "x", "y", {"axis": 3, "keepdims": 0})], {}),
  ],
  ids=lambda value: value[-1][0] if isinstance(value, list) else "",
)
def test_one_operator(nodes, weights):
  if nodes[0][1].startswith("x3"):
    nodes = [("Concat", "x x x x", "x3", {"axis": 1}), *nodes]
  _, count = compared(make_model(nodes, weights, opset=17))
  assert count >= 1


def test_quantised_weights_and_activations():
  nodes = [
    ("QuantizeLinear", "x s z", "q"),
    ("DequantizeLinear", "q s z", "d"),
    ("DequantizeLinear", "w ws", "wd", {"axis": 0}),
    ("Conv", "d wd", "c"),
    ("Relu", "c", "r"),
    ("QuantizeLinear", "r s2 z2", "q2"),
    ("DequantizeLinear", "q2 s2 z2", "y"),
  ]
  weights = {
    "s": np.float32(0.03),
    "z": np.uint8(120),
    "w": np.int8(np.random.default_rng(0).integers(-99, 99, (4, 3, 3, 3))),
    "ws": np.float32([0.01, 0.02, 0.03, 0.04]),
    "s2": np.float32(0.05),
    "z2": np.uint8(0),
  }
  # A rounding of float32 moves a value by one of the 255 steps.
  graph, _ = compared(make_model(nodes, weights), tolerance=1.5 / 255)
  # Rounding passes the gradient on, else there would be none.
  from jdeepvis.networks.graph import GraphApply

  def score(image):
    return GraphApply(graph.layers)(graph.params, image)["y"].sum()

  gradient = jax.grad(score)(random(1, 12, 10, 3))
  assert np.abs(gradient).max() > 0
