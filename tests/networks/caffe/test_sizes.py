"""Images of another size than the file says."""

import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import convert
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_NET = """input: "data" input_shape { dim: 1 dim: 3 dim: SIDE dim: SIDE }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "p" type: "Pooling" bottom: "a" top: "p"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "b" type: "Convolution" bottom: "p" top: "b"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
"""
_DENSE = """layer { name: "fc" type: "InnerProduct" bottom: "b" top: "fc"
  inner_product_param { num_output: 5 } }
"""


def _files(caffe_files, side, tail=""):
  net = caffe_files.net(_NET.replace("SIDE", str(side)) + tail)
  return net, caffe_files.weights(net)


@pytest.mark.parametrize("side", [1, 2, 16])
def test_a_placeholder_takes_any_size(side, caffe_files):
  net, weights = _files(caffe_files, side)
  small = jdeepvis.load_network(net, weights)
  large = jdeepvis.load_network(net, weights, size=(24, 30))
  assert small.input.shape == (side, side, 3)
  assert large.input.shape == (24, 30, 3)
  assert large.shapes["b"] == (12, 15, 4)
  if side == 16:
    # Away from the edges a unit has the values it has in the file's size.
    image = np.float32(np.random.default_rng(0).normal(size=(1, 24, 30, 3)))
    found = large(image)["b"][:, 2:6, 2:6]
    expected = small(image[:, :16, :16])["b"][:, 2:6, 2:6]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_of_another_size_say_so(caffe_files):
  net, weights = _files(caffe_files, 16, _DENSE)
  jdeepvis.load_network(net, weights, size=(16, 16))
  with pytest.raises(JdeepvisError, match=r"'fc' has.*with size=24,24; if the"):
    jdeepvis.load_network(net, weights, size=(24, 24))


@pytest.mark.parametrize(
  "side, tail, told",
  [(1, "", True), (4, "", True), (8, "", False), (8, _DENSE, False)],
)
def test_a_size_below_a_units_field_is_told(side, tail, told):
  text = _NET.replace("SIDE", str(side)) + tail
  graph = build_graph(reader.parse_net(text, "net.prototxt"))
  assert bool(graph.notes) == told
  if told:
    assert "8 x 8 that a unit of 'b'" in graph.notes[0]
    assert "--size=HEIGHT,WIDTH" in graph.notes[0]


def test_a_window_larger_than_its_map_says_what_to_do(caffe_files):
  net = caffe_files.net(_NET.replace("SIDE", "1").replace("pad: 1", ""))
  with pytest.raises(
    JdeepvisError, match=r"larger than the.*--size=HEIGHT,WIDTH may"
  ):
    jdeepvis.load_network(net, "random")
  large = jdeepvis.load_network(net, "random", size=(20, 20))
  assert large.shapes["b"] == (7, 7, 4)


def test_a_mean_is_cut_to_the_size(caffe_files):
  net, weights = _files(caffe_files, 1)
  mean = np.arange(3 * 30 * 30.0).reshape(3, 30, 30)
  network, _ = convert.read_caffe(net, weights, mean=mean, size=(10, 20))
  assert network.input.mean.shape == (10, 20, 3)


def test_other_networks_have_their_own_size():
  with pytest.raises(JdeepvisError, match=r"size are for a \.prototxt"):
    jdeepvis.load_network("squeezenet1.1", size=(300, 300))
