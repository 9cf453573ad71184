"""Layers that stand several times in a file, or read several blobs."""

import jax
import numpy as np
import pytest

from jdeepvis.networks import convert
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_HEAD = """input: "data"
input_shape { dim: 1 dim: 4 dim: 9 dim: 11 }
"""
_LAYER = """layer { name: "NAME" type: "TYPE" BOTTOMS TOPS
  convolution_param { num_output: 4 kernel_size: 3 group: 2 } MORE }
"""


def _layer(kind, name, bottoms, tops="", more=""):
  text = _LAYER.replace("NAME", name).replace("TYPE", kind)
  for word, ends in (("bottom", bottoms), ("top", tops or name)):
    said = " ".join(f'{word}: "{x}"' for x in ends.split())
    text = text.replace(f"{word.upper()}S", said)
  return text.replace("MORE", more)


def _run(text, caffe_files, blobs):
  network, _ = convert.read_caffe(
    caffe_files.net(_HEAD + text), caffe_files.blobs(blobs)
  )
  random = np.random.default_rng(0)
  images = np.float32(random.normal(0, 1, (1, *network.input.shape)))
  return network, jax.jit(lambda n, x: n(x))(network, images)


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("named", [False, True])
def test_several_bottoms_are_one_layer_each_with_the_same_weights(
  kind, named, caffe_files
):
  """base_conv_layer.cpp runs over all bottoms with one array of weights."""
  random = np.random.default_rng(1)
  arrays = [
    np.float32(random.normal(0, 1, (4, 2, 3, 3))),
    np.float32(random.normal(0, 1, 4)),
  ]
  names = 'param { name: "w" } param { name: "b" }' if named else ""
  both = _layer("Convolution", "a", "data", more=names)
  both += _layer("Convolution", "b", "data")
  alone = both + _layer(kind, "s", "a", "s1") + _layer(kind, "t", "b", "s2")
  # A layer before it may own the weights that all of them share.
  kinds = ("s", "t", "a", "b")
  blobs = dict.fromkeys(kinds, arrays)
  blobs["b"] = [2 * x for x in arrays]
  _, expected = _run(alone, caffe_files, blobs)
  together = both + _layer(kind, "s", "a b", "s1 s2", names)
  del blobs["t"]
  network, found = _run(together, caffe_files, blobs)
  assert sorted(network.params) == (["a", "b"] if named else ["a", "b", "s"])
  for name in ("s1", "s2"):
    np.testing.assert_array_equal(found[name], expected[name])
  assert np.abs(np.asarray(found["s1"]) - found["s2"]).max() > 0.1


def test_a_sum_of_one_blob_is_a_factor(caffe_files):
  text = 'layer { name: "e" type: "Eltwise" bottom: "data" top: "e" MORE }'
  coeff = "eltwise_param { operation: SUM coeff: 0.25 }"
  path = caffe_files.net(_HEAD + text.replace("MORE", coeff))
  network, _ = convert.read_caffe(path, None)
  images = np.float32(np.arange(9 * 11 * 4)).reshape(1, 9, 11, 4)
  np.testing.assert_array_equal(network(images)["e"], images / 4)


def test_of_a_name_in_train_and_test_the_one_of_test_gets_its_weights(
  caffe_files,
):
  rule = "include { phase: %s }"
  text = _layer("Convolution", "c", "data", more=rule % "TRAIN")
  text += _layer("Convolution", "c", "data", more=rule % "TEST")
  arrays = [np.ones((4, 2, 3, 3)), np.arange(4)]
  network, found = _run(text, caffe_files, {"c": arrays})
  assert list(network.params) == ["c"]
  means = np.asarray(network.params["c"]["bias"])
  np.testing.assert_array_equal(means, arrays[1])
  assert found["c"].shape == (1, 7, 9, 4)


def test_a_stage_that_the_file_does_not_set_is_named():
  text = _layer("Convolution", "a", "data")
  text += _layer("Convolution", "b", "a", more='include { stage: "deploy" }')
  net = reader.parse_net(_HEAD + text, "net.prototxt")
  (note,) = net.notes
  assert "'b' is left out" in note
  assert 'write state { stage: "deploy" } at the file\'s top' in note
  text = 'state { stage: "deploy" } ' + text
  net = reader.parse_net(_HEAD + text, "net.prototxt")
  assert not net.notes and [x.name for x in net.layers] == ["a", "b"]


def test_a_source_of_images_is_not_also_said_to_be_left_out():
  source = """layer { name: "d" type: "AnnotatedData" top: "data" top: "label"
    transform_param { resize_param { prob: 1 resize_mode: WARP
      height: 30 width: 40 } } }
  """
  text = source + 'layer { type: "ReLU" bottom: "data" top: "x" }'
  net = reader.parse_net(text, "net.prototxt")
  (note,) = net.notes
  assert "'d' (line 1) is taken for images" in note
  assert build_graph(net).shape == (30, 40, 3)


def test_a_layer_that_lost_its_bottom_is_no_source_of_images():
  text = _HEAD + 'layer { name: "r" type: "ReLU" top: "x" }'
  with pytest.raises(JdeepvisError, match=r"line 3: layer 'r'.*reads 0 blobs"):
    build_graph(reader.parse_net(text, "net.prototxt"))


def test_what_a_fork_says_of_pixels_is_not_dropped(caffe_files):
  text = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { '
    "dim: 1 dim: 3 dim: 9 dim: 9 } } transform_param { MEAN std_value: 58 "
    'mirror: true } } layer { type: "ReLU" bottom: "data" top: "x" }'
  )
  for mean in ("mean_value: 104", ""):
    path = caffe_files.net(text.replace("MEAN", mean))
    (note,) = convert.read_caffe(path, None).notes
    assert "its std_value is not known here" in note
    assert ('mean="104,104,104"' in note) == bool(mean)


@pytest.mark.parametrize("axis", [1, -3])
def test_an_axis_counted_from_behind_has_a_receptive_field_too(axis):
  text = _layer("Convolution", "a", "data")
  text += (
    'layer { name: "s" type: "Slice" bottom: "a" top: "x" top: "y" '
    f"slice_param {{ axis: {axis} }} }} "
    'layer { name: "j" type: "Concat" bottom: "y" bottom: "x" top: "j" '
    f"concat_param {{ axis: {axis} }} }}"
  )
  graph = build_graph(reader.parse_net(_HEAD + text, "net.prototxt"))
  assert [x.kind for x in graph.layers] == ["convolution", "slice", "concat"]
