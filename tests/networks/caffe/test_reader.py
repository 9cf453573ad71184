"""Descriptions, weights and means, well and badly formed."""

import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jdeepvis.networks import convert, layer_table
from jdeepvis.networks.caffe import arrays, reader, schema
from jdeepvis.networks.caffe.blobs import params_from_blobs
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.graph import GraphApply, random_weights
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import LayerType, no_settings
from jdeepvis.networks.regions import Rectangle, needed_regions
from jdeepvis.types import JdeepvisError

_INPUT = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8 '
_CONV = """
  layer { name: "c" type: "Convolution" bottom: "data" top: "c"
    convolution_param { num_output: 4 kernel_size: 3 } }
"""


_SOFTMAX = 'layer { name: "p" type: "Softmax" bottom: "c" top: "p" }'


def _graph(text):
  return build_graph(reader.parse_net(text, "net.prototxt"))


def _in_place(kind, name):
  return f'layer {{ name: "{name}" type: "{kind}" bottom: "c" top: "c" }}'


def test_old_and_new_form_are_one(shared_data):
  folder = shared_data / "caffe/nets"
  old = build_graph(reader.read_net(folder / "caffenet-yos.prototxt"))
  new = build_graph(
    reader.read_net(folder / "bvlc_reference_caffenet.prototxt")
  )
  assert old == new


def test_both_sides_of_an_activation_in_place():
  layers = _graph(
    _INPUT
    + _CONV
    + _in_place("BatchNorm", "bn")
    + _in_place("Scale", "sc")
    + _in_place("ReLU", "re")
    + _in_place("Dropout", "dr")
  ).layers
  assert [(x.name, x.inputs, x.outputs) for x in layers] == [
    ("c", ("data",), ("c/c",)),
    ("bn", ("c/c",), ("c/bn",)),
    ("sc", ("c/bn",), ("c/pre",)),
    ("re", ("c/pre",), ("c",)),
  ]


def test_pre_is_the_input_of_the_last_activation():
  layers = _graph(
    _INPUT + _CONV + _in_place("ReLU", "re") + _in_place("BatchNorm", "bn")
  ).layers
  assert [x.outputs[0] for x in layers] == ["c/pre", "c/re", "c"]


def test_an_activation_that_is_not_in_place_has_both_sides_too():
  relu = 'layer { name: "r" type: "ReLU" bottom: "c" top: "r" }'
  layers = _graph(_INPUT + _CONV + relu).layers
  assert [x.outputs[0] for x in layers] == ["c", "r/pre", "r"]
  assert [x.kind for x in layers] == ["convolution", "identity", "relu"]


def test_readers_before_an_overwrite_see_the_old_values():
  text = """
    layer { name: "a" type: "AbsVal" bottom: "c" top: "a" }
  """
  layers = _graph(_INPUT + _CONV + text + _in_place("ReLU", "re")).layers
  absolute = next(x for x in layers if x.kind == "abs")
  before = next(x for x in layers if x.name == "a/pre")
  assert before.inputs == ("c/pre",) and absolute.inputs == ("a/pre",)


def test_input_of_another_name_becomes_data():
  text = (_INPUT + _CONV).replace('"data"', '"image"')
  assert _graph(text).layers[0].inputs == ("data",)


def test_squeezenet_scores_come_before_the_relu(shared_data):
  net = reader.read_net(shared_data / "caffe/nets/squeezenet_v1.1.prototxt")
  graph = build_graph(net)
  assert graph.output == "scores"
  scores = next(x for x in graph.layers if x.name == "scores")
  assert scores.kind == "global_average" and scores.inputs == ("conv10/pre",)


@pytest.mark.parametrize(
  ("end", "output"),
  [
    ("", "c"),
    (_in_place("ReLU", "r"), None),
    (_in_place("ReLU", "r") + _in_place("Dropout", "d"), None),
    ('layer { name: "n" type: "LRN" bottom: "c" top: "n" }', None),
    (_in_place("Sigmoid", "s"), "c/pre"),
    (_in_place("ReLU", "r") + _SOFTMAX, "c/pre"),
  ],
)
def test_a_net_that_ends_in_features_has_no_scores(end, output):
  assert _graph(_INPUT + _CONV + end).output == output


def test_training_layers_are_left_out_and_told():
  text = """
    layer { name: "train" type: "Data" top: "data" top: "label"
      include { phase: TRAIN } data_param { source: "x" batch_size: 3 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" }
    layer { name: "acc" type: "Accuracy" bottom: "c" bottom: "label"
      include { phase: TEST } }
    layer { name: "not_test" type: "ReLU" bottom: "c" top: "c"
      exclude { phase: TEST } }
  """
  net = reader.parse_net(_INPUT + _CONV + text, "net.prototxt")
  assert [layer.name for layer in net.layers] == ["c"]
  notes = "\n".join(net.notes)
  for name in ("train", "loss", "acc", "not_test", "data_param"):
    assert name in notes


@pytest.mark.parametrize("share_bias", [True, False])
def test_shared_weights(share_bias, caffe_files):
  names = 'param { name: "w" } param { name: "%s" }'
  text = """
    layer { name: "a" type: "Convolution" bottom: "data" top: "a" PARAM_A
      convolution_param { num_output: 3 kernel_size: 3 } }
    layer { name: "b" type: "Convolution" bottom: "a" top: "b" PARAM_B
      convolution_param { num_output: 3 kernel_size: 3 } }
  """
  text = text.replace("PARAM_A", names % "v")
  text = text.replace("PARAM_B", names % ("v" if share_bias else "u"))
  graph = _graph(_INPUT + text)
  assert graph.layers[1].weights_key == ("a" if share_bias else "b")
  random = np.random.default_rng(0)
  blobs = {
    name: [random.normal(size=(3, 3, 3, 3)), random.normal(size=3)]
    for name in "ab"
  }
  params = params_from_blobs(
    graph.layers, graph.shape, blobs, "x", graph.shared
  )
  if share_bias:
    assert params.keys() == {"a"}
  else:
    np.testing.assert_array_equal(params["a"]["kernel"], params["b"]["kernel"])
    assert np.any(params["a"]["bias"] != params["b"]["bias"])


@pytest.mark.parametrize("old", [True, False])
def test_old_four_axes_of_weights(old, caffe_files):
  values = {"ip": [np.arange(12.0).reshape(4, 3), np.arange(4.0)]}
  blobs = arrays.read_blobs(caffe_files.blobs(values, old=old))
  assert blobs["ip"][0].shape == ((1, 1, 4, 3) if old else (4, 3))
  graph = _graph(
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 1 '
    'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
    "inner_product_param { num_output: 4 } }"
  )
  params = params_from_blobs(graph.layers, graph.shape, blobs, "x")
  np.testing.assert_array_equal(params["ip"]["kernel"], values["ip"][0].T)
  np.testing.assert_array_equal(params["ip"]["bias"], values["ip"][1])


def test_double_precision_and_the_full_schema_agree(tmp_path):
  net = schema.message_class("NetParameter")()
  layer = net.layer.add(name="c", type="Convolution")
  layer.blobs.add(double_data=[1, 2, 3]).shape.dim.append(3)
  layer.blobs.add(data=[0.5], num=1, channels=1, height=1, width=1)
  path = tmp_path / "x.caffemodel"
  path.write_bytes(net.SerializeToString())
  first, second = arrays.read_blobs(path)["c"]
  np.testing.assert_array_equal(first, [1, 2, 3])
  assert second.shape == (1, 1, 1, 1) and second[0, 0, 0, 0] == 0.5


def test_numbers_kept_raw_in_16_bits(caffe_files, tmp_path):
  """As NVIDIA's fork writes them, and OpenCV's shrinkCaffeModel."""
  values = {"c": [np.linspace(-2, 2, 108).reshape(4, 3, 3, 3), np.ones(4)]}
  path, small = caffe_files.blobs(values), tmp_path / "small.caffemodel"
  cv2.dnn.shrinkCaffeModel(str(path), str(small), ["Convolution", ""])
  blobs = arrays.read_blobs(small)
  np.testing.assert_array_equal(
    blobs["c"][0], np.float32(np.float16(values["c"][0]))
  )
  assert blobs["c"][0].dtype == np.float32
  net = schema.weights_class("NetParameter")()
  blob = net.layer.add(name="c").blobs.add(raw_data=bytes(4), raw_data_type=3)
  blob.shape.dim.append(1)
  path.write_bytes(net.SerializeToString())
  with pytest.raises(
    JdeepvisError, match="'c' has numbers of the unknown kind"
  ):
    arrays.read_blobs(path)


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda b: b.pop("c"), r"x\.caffemodel lacks weights of layers c"),
    (
      lambda b: b.update(c2=b.pop("c")),
      r"lacks weights of layers c; it has layers c2 that the net",
    ),
    (
      lambda b: b.update(c=[np.zeros((3, 4, 3, 3)), b["c"][1]]),
      r"'c' has an array of \[3, 4, 3, 3\], which looks transposed; "
      r"expected \[4, 3, 3, 3\]",
    ),
    (
      lambda b: b.update(c=[np.zeros((5, 3, 3, 3)), b["c"][1]]),
      r"'c' has an array of \[5, 3, 3, 3\]; expected \[4, 3, 3, 3\]",
    ),
    (
      lambda b: b.update(c=b["c"][:1]),
      r"'c' has 1 array; expected 2.*bias_term: false",
    ),
  ],
)
def test_weights_that_do_not_fit(change, message):
  graph = _graph(_INPUT + _CONV)
  blobs = {"c": [np.zeros((4, 3, 3, 3)), np.zeros(4)]}
  change(blobs)
  with pytest.raises(JdeepvisError, match=message):
    params_from_blobs(graph.layers, graph.shape, blobs, "x.caffemodel")


def test_weights_beyond_the_net_are_left_and_told(caffe_files):
  values = {"c": [np.zeros((4, 3, 3, 3)), np.zeros(4)], "aux": [np.zeros(1)]}
  net = caffe_files.net(_INPUT + _CONV)
  network, notes = convert.read_caffe(net, caffe_files.blobs(values))
  assert network.params.keys() == {"c"}
  assert len(notes) == 1 and "does not have: aux." in notes[0]


@pytest.mark.parametrize(
  "text, message",
  [
    ("", "has 0 layers"),
    ("layer {", "cannot be read"),
    ("layer { name: 3 }", "cannot be read"),
    (_CONV, "has 0 inputs.*deploy"),
    (_INPUT.replace("input_dim: 1 ", "") + _CONV, r"shape \[3, 8, 8\]"),
    (_INPUT + _CONV.replace('"data"', '"data0"'), "'c' reads the blob 'data0'"),
    (_INPUT + _CONV + _CONV, "'c_?' writes the blob 'c'"),
    (_INPUT + _CONV.replace("num_output: 4", ""), "'c'.*lacks num_output"),
    (_INPUT + _CONV.replace("kernel_size: 3", ""), "lacks a kernel size"),
    (_INPUT + _CONV.replace("_size: 3", "_size: 9"), r"'c'.*window \[9, 9\]"),
    (_INPUT + _CONV.replace(": 4", ": 4000000000"), "'c'.*array"),
    (_INPUT + _CONV.replace("size: 3", "size: 3 stride: 0"), "stride"),
    (_INPUT + _CONV.replace("size: 3", "size: 3 group: 2"), "'c'"),
    (_INPUT + _CONV.replace("size: 3", "size: 3 wonder: 2"), "wonder"),
    (
      _INPUT + _CONV.replace("Convolution", "Wonder"),
      r"no layer that can be run.*'c' is a 'Wonder'.*LAYER_TYPES"
      r".*caffe={'Wonder': no_settings}",
    ),
    (_INPUT.replace("8", "70000") + _CONV, "too large"),
    (_INPUT + _INPUT.replace("8", "9") + _CONV, "says twice what"),
    ("x {" * 100_000, "net.prototxt"),
  ],
)
def test_bad_description_is_one_sentence(text, message):
  with pytest.raises(JdeepvisError, match=message) as raised:
    _graph(text)
  sentence = str(raised.value)
  assert sentence.startswith("net.prototxt") and sentence.endswith(".")
  assert len(sentence) < 600 and "\n" not in sentence


def test_a_type_of_ones_own(monkeypatch):
  double = LayerType(
    lambda layer, weights, inputs, relu: 2 * inputs[0],
    caffe={"Double": no_settings},
  )
  monkeypatch.setitem(LAYER_TYPES, "double", double)
  graph = _graph(
    _INPUT
    + 'layer { name: "d" type: "Double" bottom: "data" top: "d" my { x: 1 } }'
  )
  found = GraphApply(graph.layers)({}, jnp.ones((1, 8, 8, 3)))
  np.testing.assert_array_equal(found["d"], 2)


def test_an_activation_of_ones_own_is_one_entry(monkeypatch):
  def squash(layer, weights, inputs, relu):
    (x,) = inputs
    return x * jax.nn.sigmoid(layer.option("beta") * x)

  def read(layer):
    return {"beta": layer.message.squash_param.beta}

  known = LayerType(
    squash,
    reach="position",
    activation=True,
    caffe={"Squash": read},
    settings=("squash_param", "beta=1 float 1; name=2 string"),
  )
  monkeypatch.setitem(LAYER_TYPES, "squash", known)
  layer = 'layer { name: "g" type: "Squash" bottom: "c" top: "c" %s }'
  graph = _graph(_INPUT + _CONV + layer % "squash_param { beta: 2 }")
  assert [(x.inputs, x.outputs) for x in graph.layers] == [
    (("data",), ("c/pre",)),
    (("c/pre",), ("c",)),
  ]
  params = random_weights(graph.layers, graph.shape)
  found = GraphApply(graph.layers)(params, np.ones((1, 8, 8, 3), np.float32))
  expected = found["c/pre"] * scipy.special.expit(2 * found["c/pre"])
  np.testing.assert_allclose(found["c"], expected, rtol=1e-5)
  with pytest.raises(
    JdeepvisError, match=r"squash_param\.gamma', which is not known"
  ):
    _graph(_INPUT + _CONV + layer % "squash_param { gamma: 2 }")
  assert _graph(_INPUT + _CONV + layer % "").layers[1].option("beta") == 1
  rows = json.loads(json.dumps(layer_table.to_plain(graph.layers)))
  assert layer_table.from_plain(rows, "file") == graph.layers
  regions = needed_regions(
    graph.layers,
    {"data": (8, 8, 3), "c/pre": (6, 6, 4)},
    "c",
    Rectangle(1, 1, 2, 2),
  )
  assert regions["data"] == Rectangle(1, 1, 4, 4)


def test_means(tmp_path):
  np.testing.assert_array_equal(arrays.read_mean("1,2,3"), [3, 2, 1])
  np.testing.assert_array_equal(
    arrays.read_mean((1, 2, 3), bgr=False), [1, 2, 3]
  )
  np.testing.assert_array_equal(arrays.read_mean("7", 1), [7])
  values = np.arange(24.0).reshape(3, 2, 4)
  np.save(tmp_path / "mean.npy", values)
  mean = arrays.read_mean(tmp_path / "mean.npy")
  np.testing.assert_array_equal(mean, values.transpose(1, 2, 0)[..., ::-1])


@pytest.mark.parametrize(
  "source, channels", [("1,2", 3), ("cat", 3), ("nan,1,2", 3), ("no.npy", 3)]
)
def test_bad_means(source, channels):
  with pytest.raises(JdeepvisError):
    arrays.read_mean(source, channels)
