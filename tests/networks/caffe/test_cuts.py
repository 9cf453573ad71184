"""What cannot be run is left out and said; all before it works."""

import logging

import pytest
from crop_checks import differences, places

import jdeepvis
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_HEAD = """input: "data"
input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
"""
_BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "box" type: "Convolution" bottom: "pool1" top: "box"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
"""


def _layer(kind, name, bottoms, tops=None, more=""):
  ends = [f'bottom: "{x}"' for x in bottoms.split()]
  ends += [f'top: "{x}"' for x in (tops or name).split()]
  return f'layer {{ name: "{name}" type: "{kind}" {" ".join(ends)} {more} }}\n'


def _graph(text):
  return build_graph(reader.parse_net(text, "net.prototxt"))


def _network(text, folder):
  path = folder / "net.prototxt"
  path.write_text(text)
  return jdeepvis.load_network(path, "random")


_TAILS = {
  "type": _layer("Wonder", "w", "box", more="wonder_param { deep { x: 1 } }"),
  "in place": _layer("Wonder", "w", "box", "box"),
  "two tops": _layer("Wonder", "w", "box", "box b2"),
  "axis": _layer("Concat", "w", "box box", more="concat_param { axis: 0 }"),
  "proposal": _layer("Python", "w", "box", more='python_param { layer: "L" }'),
}


@pytest.mark.parametrize("tail", _TAILS)
def test_what_depends_on_what_cannot_be_run_is_left_out(tail):
  top = "box" if tail in ("in place", "two tops") else "w"
  after = _layer("ReLU", "after", top) + _layer("TanH", "last", "after")
  graph = _graph(_HEAD + _BODY + _TAILS[tail] + after)
  assert graph.layers == _graph(_HEAD + _BODY).layers
  (note,) = graph.notes
  assert "'w'" in note and "left out with what depends on it" in note
  assert "layers after, last" in note and note.endswith(".")


def test_the_advice_is_given_once_and_a_near_type_named():
  tail = "".join(_layer("PriorBox", f"prior{i}", "box") for i in range(3))
  notes = _graph(_HEAD + _BODY + tail).notes
  assert ["LAYER_TYPES" in note for note in notes] == [True, False, False]
  assert all("'PriorBox', a type" in note for note in notes)
  tail = _layer("Convolutions", "c", "box")
  assert "(nearest: Convolution)" in _graph(_HEAD + _BODY + tail).notes[0]


def test_a_branch_beside_it_is_kept():
  tail = _layer("Wonder", "w", "pool1") + _layer("ReLU", "r", "w")
  head = _layer("Softmax", "prob", "box")
  graph = _graph(_HEAD + _BODY + tail + head)
  assert graph.layers[-1].name == "prob" and graph.output == "box"
  assert "'w'" in graph.notes[0] and "layer r" in graph.notes[0]


@pytest.mark.parametrize(
  "inputs",
  [
    'input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 } '
    'input: "im_info" input_shape { dim: 1 dim: 3 }',
    'input: "im_info" input_dim: 1 input_dim: 3 input_dim: 1 input_dim: 1 '
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32',
    'input: "im_info" input_dim: 1 input_dim: 1 input_dim: 32 input_dim: 32 '
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 32 input_dim: 32',
    'layer { name: "in" type: "Input" top: "data" top: "im_info" input_param '
    "{ shape { dim: 1 dim: 3 dim: 32 dim: 32 } shape { dim: 1 dim: 3 } } }",
  ],
)
def test_a_second_input_is_left_out(inputs):
  tail = _layer("Proposal", "rois", "box im_info") + _layer("ReLU", "r", "rois")
  graph = _graph(inputs + _BODY + tail)
  assert graph.shape == (32, 32, 3)
  assert graph.layers == _graph(_HEAD + _BODY).layers
  (note,) = graph.notes
  assert "second input 'im_info'" in note and "layers rois, r" in note


def test_an_unread_second_input_needs_no_word():
  graph = _graph(_HEAD + 'input: "label" input_shape { dim: 1 }' + _BODY)
  assert not graph.notes


def test_what_is_left_works_as_the_whole(tmp_path, caplog):
  tail = _layer("Wonder", "w", "box") + _layer("ReLU", "r", "w")
  with caplog.at_level(logging.WARNING, "jdeepvis"):
    network = _network(_HEAD + _BODY + tail, tmp_path)
  assert "'Wonder'" in caplog.text
  assert network.output is None
  assert jdeepvis.receptive_field(network, "pool1", (0, 0)).size == (7, 7)
  for position in places(network, "box"):
    assert max(differences(network, "box", position)) < 1e-4
  recipe = jdeepvis.recipe("none").replace(steps=2)
  picture = jdeepvis.render(network, "pool1:3", recipe)
  assert picture.probability is None and picture.activation > 0


def test_a_reshape_that_mixes_images_is_left_out():
  rows = _layer(
    "Reshape", "rows", "box", more="reshape_param { shape { dim: -1 dim: 2 } }"
  )
  graph = _graph(_HEAD + _BODY + rows + _layer("TanH", "t", "rows"))
  assert graph.layers == _graph(_HEAD + _BODY).layers
  (note,) = graph.notes
  assert "'rows' (Reshape)" in note and "layer t: it would mix" in note
  same = rows.replace("dim: 2", "dim: 256")
  assert not _graph(_HEAD + _BODY + same).notes


@pytest.mark.parametrize(
  "text",
  [
    _layer("Dropout", "d", "data", "data"),
    _layer(
      "Reshape", "r", "data", more="reshape_param { shape { dim: 1 dim: 7 } }"
    ),
  ],
)
def test_a_net_that_computes_nothing_is_refused(text):
  with pytest.raises(JdeepvisError, match="no layer that can be run"):
    _graph(_HEAD + text)


def test_nothing_left_is_refused_with_what_to_do():
  with pytest.raises(
    JdeepvisError, match=r"no layer that can be run.*LAYER_TYPES"
  ):
    _graph(_HEAD + _layer("Wonder", "w", "data"))


def test_a_blob_that_nothing_writes_is_still_a_fault():
  with pytest.raises(JdeepvisError, match=r"line 11: .*'bx', which.*nearest"):
    _graph(_HEAD + _BODY + _layer("ReLU", "r", "bx"))


@pytest.mark.parametrize(
  "kind, more, sides",
  [
    ("Data", "transform_param { crop_size: 32 }", (32, 32)),
    ("Data", "data_param { crop_size: 31 source: 'x' }", (31, 31)),
    (
      "ImageData",
      "image_data_param { new_height: 30 new_width: 32 }",
      (30, 32),
    ),
    (
      "MemoryData",
      "memory_data_param { batch_size: 1 channels: 3 height: 32 width: 31 }",
      (32, 31),
    ),
    (
      "DummyData",
      "dummy_data_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } }",
      (32, 32),
    ),
    (
      "DummyData",
      "dummy_data_param { num: 1 channels: 3 height: 31 width: 32 }",
      (31, 32),
    ),
    (
      "DenseImageData",
      "dense_image_data_param { new_height: 32 new_width: 48 }",
      (32, 48),
    ),
  ],
)
def test_a_data_layer_that_says_its_size_is_the_input(kind, more, sides):
  data = _layer(kind, "data", "", "data label", more)
  loss = _layer("SoftmaxWithLoss", "loss", "box label")
  net = reader.parse_net(data + _BODY + loss, "net.prototxt")
  graph = build_graph(net)
  assert graph.shape == (*sides, 3)
  height, width = sides
  lines = (
    'the two lines input: "data" and input_shape { dim: 1 dim: 3 '
    f"dim: {height} dim: {width} }}"
  )
  assert any(lines in note for note in net.notes)
  # What the loss says of the scores is kept: they have a softmax.
  assert graph.output == "box" and graph.layers[-1].kind == "softmax"


@pytest.mark.parametrize("phase", ["", "include { phase: TRAIN }"])
@pytest.mark.parametrize("kind", ["Data", "Python", "LMDBData"])
def test_a_data_layer_without_a_size_says_what_to_write(kind, phase, tmp_path):
  data = _layer(kind, "in", "", "data im_info", phase)
  with pytest.raises(JdeepvisError, match=r"the two lines input: \"data\" and"):
    _graph(data + _BODY)
  path = tmp_path / "train.prototxt"
  path.write_text(data + _BODY)
  network = jdeepvis.load_network(path, "random", size=(40, 36))
  assert network.input.shape == (40, 36, 3)
