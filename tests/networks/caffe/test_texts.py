"""Texts, weights and lists as people have them."""

import logging

import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import convert, zoo
from jdeepvis.networks.caffe import arrays, reader, schema
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_NET = """name: "base"
input: "data"
input_dim: 1
input_dim: 3
input_dim: 12
input_dim: 12
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }  # COMMENT
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

# AlexNet's first layers as Caffe of 2013 wrote them.
_V0 = """name: "CaffeNet"
input: "data" input_dim: 1 input_dim: 3 input_dim: 31 input_dim: 31
layers { layer { name: "conv1" type: "conv" num_output: 6 kernelsize: 5
    stride: 2 weight_filler { type: "gaussian" std: 0.01 }
    bias_filler { type: "constant" value: 0. } blobs_lr: 1. blobs_lr: 2.
    weight_decay: 1. weight_decay: 0. } bottom: "data" top: "conv1" }
layers { layer { name: "relu1" type: "relu" } bottom: "conv1" top: "conv1" }
layers { layer { name: "pool1" type: "pool" pool: MAX kernelsize: 3 stride: 2 }
  bottom: "conv1" top: "pool1" }
layers { layer { name: "norm1" type: "lrn" local_size: 5 alpha: 0.0001
    beta: 0.75 } bottom: "pool1" top: "norm1" }
layers { layer { name: "pad2" type: "padding" pad: 2 }
  bottom: "norm1" top: "pad2" }
layers { layer { name: "conv2" type: "conv" num_output: 8 group: 2
    kernelsize: 5 biasterm: false } bottom: "pad2" top: "conv2" }
layers { layer { name: "fc8" type: "innerproduct" num_output: 7 }
  bottom: "conv2" top: "fc8" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.5 }
  bottom: "fc8" top: "fc8" }
layers { layer { name: "prob" type: "softmax" } bottom: "fc8" top: "prob" }
"""

_V2 = """name: "CaffeNet"
input: "data" input_dim: 1 input_dim: 3 input_dim: 31 input_dim: 31
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 6 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1"
  lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 } }
layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 group: 2
    bias_term: false } }
layer { name: "fc8" type: "InnerProduct" bottom: "conv2" top: "fc8"
  inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""


def _layers(text):
  return build_graph(reader.parse_net(text, "net.prototxt")).layers


@pytest.mark.parametrize(
  "data",
  [
    b"\xef\xbb\xbf" + _NET.encode(),
    _NET.encode("utf-16"),
    _NET.replace("\n", "\r\n").encode(),
    _NET.replace("\n", "\r").encode(),
    _NET.replace("COMMENT", "Größe").encode("latin-1"),
    _NET.replace("COMMENT", "卷积").encode("gbk"),
    _NET.replace("COMMENT", "\xa0 \x85 \u2028").encode(),
    _NET.replace("; ", ";").replace('"conv1"', "'conv1'").encode(),
    _NET.replace("{ num", ": { num").replace("4 kernel", "4, kernel").encode(),
    _NET.replace("{ num_output: 5 }", "< num_output: 0x5; >").encode(),
    (_NET.split("\n")[0] + "\ufeff\n" + _NET.split("\n", 1)[1]).encode(),
  ],
  ids=[
    "bom",
    "utf16",
    "crlf",
    "cr",
    "latin1",
    "gbk",
    "odd",
    "quotes",
    "colons",
    "angles",
    "bom2",
  ],
)
def test_texts_in_any_dress_are_one(data, tmp_path):
  path = tmp_path / "net.prototxt"
  path.write_bytes(data)
  assert build_graph(reader.read_net(path)).layers == _layers(_NET)


def test_names_keep_their_letters_beside_a_foreign_comment(tmp_path):
  path = tmp_path / "net.prototxt"
  text = _NET.replace('"fc"', '"größe"').encode()
  path.write_bytes(text.replace(b"COMMENT", b"\xfc\xff"))
  assert "größe" in {x.name for x in reader.read_net(path).layers}
  escaped = _NET.replace('"fc"', '"gr\\303\\266\\303\\237e"')
  assert "größe" in {x.name for x in reader.parse_net(escaped, "x").layers}


def test_the_oldest_form_is_upgraded_as_by_caffe():
  assert _layers(_V0) == _layers(_V2)


def test_weights_in_the_oldest_form(caffe_files, tmp_path):
  new, old = caffe_files.net(_V2, "new"), caffe_files.net(_V0, "old")
  weights = caffe_files.weights(new)
  net = schema.weights_class("NetParameter")()
  for name, blobs in arrays.read_blobs(weights).items():
    message = net.layers.add().layer
    message.name = name
    for blob in blobs:
      shape = (1,) * (4 - blob.ndim) + blob.shape
      num, channels, height, width = shape
      message.blobs.add(
        data=[blob.tobytes()],
        num=num,
        channels=channels,
        height=height,
        width=width,
      )
  path = tmp_path / "old.caffemodel"
  path.write_bytes(net.SerializeToString())
  one = jdeepvis.load_network(new, weights)
  two = jdeepvis.load_network(old, path)
  for layer, leaves in one.params.items():
    for leaf, values in leaves.items():
      np.testing.assert_array_equal(two.params[layer][leaf], values)


@pytest.mark.parametrize(
  "text, told",
  [
    (_V0.replace('"pool" pool', '"pool" alpha: 2 pool'), "field 'alpha'"),
    (
      _V0.replace('"pad2" top: "conv2"', '"pad2" top: "x"'),
      "'conv2', which",
    ),
    (
      _V0.replace('type: "conv" num_output: 8', 'type: "lrn"'),
      "a lrn reads",
    ),
    (_V0.replace(" pad: 2 ", " "), "lacks pad"),
    (_V0 + _V2.split("input_dim: 31\n", 1)[1], "newer form"),
  ],
)
def test_an_oldest_form_that_does_not_fit(text, told):
  with pytest.raises(JdeepvisError, match=told):
    _layers(text)


def test_forms_are_not_mixed_but_types_may_be_quoted_or_not():
  old = """input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9
    layers { name: "r" type: RELU bottom: "data" top: "r" }"""
  with pytest.raises(JdeepvisError, match="mixes `layer` and `layers`"):
    _layers(old + 'layer { name: "t" type: "TanH" bottom: "r" top: "t" }')
  for word in ('"ReLU"', '"RELU"', "18"):
    assert _layers(old.replace("RELU", word)) == _layers(old)
  assert _layers(old.replace("layers", "layer")) == _layers(old)


_SHAPE = "input_shape { dim: 1 dim: 3 dim: 9 dim: 9 }"
_LAYER = (
  'layer { name: "in" type: "Input" top: "data" input_param { '
  f"{_SHAPE.removeprefix('input_')} }} }}"
)
_RELU = 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" }'


@pytest.mark.parametrize(
  "text",
  [
    'input: "data" ' + _LAYER,
    f'input: "data" {_SHAPE} ' + _LAYER,
    f'input: "data" input: "data" {_SHAPE} ',
    f'input: "data" {_SHAPE} input: "data" {_SHAPE} ',
    f'input: "data" {_SHAPE} input_dim: 1 input_dim: 3 input_dim: 9 ',
    f'input: "data" {_SHAPE} input: "unread" {_SHAPE}',
  ],
)
def test_an_input_said_twice_is_one(text):
  graph = build_graph(reader.parse_net(text + _RELU, "net.prototxt"))
  assert graph.shape == (9, 9, 3) and not graph.notes


@pytest.mark.parametrize("name", ["test.pt", "deploy.txt", "net.proto", "net"])
def test_a_description_by_another_name(name, tmp_path):
  path = tmp_path / name
  path.write_text(_NET)
  assert jdeepvis.load_network(path, "random").output == "fc"
  path.write_text(_NET.replace("kernel_size", "kernel_siz"))
  with pytest.raises(JdeepvisError, match="kernel_siz"):
    jdeepvis.load_network(path, "random")


def test_a_net_without_weights_needs_none(tmp_path):
  path = tmp_path / "net.prototxt"
  pool = """layer { name: "p" type: "Pooling" bottom: "data" top: "p"
    pooling_param { kernel_size: 3 } }"""
  path.write_text(_NET.split("layer")[0] + pool)
  assert jdeepvis.load_network(path).shapes["p"] == (10, 10, 3)
  path.write_text(_NET)
  with pytest.raises(JdeepvisError, match="without its weights; give"):
    jdeepvis.load_network(path)


@pytest.mark.parametrize(
  "data, told",
  [
    (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5.*load it in Caffe and save"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    (b"\n<!DOCTYPE html><html><head>", "web page.*download the file itself"),
    (b"\xef\xbb\xbf  <HTML>", "web page"),
    (b"PK\x03\x04" + bytes(99), "zip archive; unpack"),
    (b"\x1f\x8b\x08" + bytes(99), "gzip; unpack"),
    (b"\x93NUMPY\x01\x00", "NumPy"),
    (_NET.encode(), "the text of a net's description; give the file with"),
    (bytes(257) + b"ustar" + bytes(300), "tar archive"),
  ],
)
def test_something_else_in_place_of_weights_is_named(data, told, tmp_path):
  net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
  net.write_text(_NET)
  weights.write_bytes(data)
  with pytest.raises(JdeepvisError, match=told) as raised:
    jdeepvis.load_network(net, weights)
  assert "net.caffemodel" in str(raised.value)


def test_a_web_page_in_place_of_a_description(tmp_path):
  path = tmp_path / "deploy.prototxt"
  path.write_text("<!DOCTYPE html>\n<html>layer {</html>")
  with pytest.raises(JdeepvisError, match="a web page"):
    jdeepvis.load_network(path, "random")


def test_home_is_spelt_out(tmp_path, monkeypatch, caffe_files):
  monkeypatch.setenv("HOME", str(tmp_path))
  caffe_files.weights(caffe_files.net(_NET))
  (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
  np.save(tmp_path / "mean.npy", np.ones((3, 12, 12)))
  network = jdeepvis.load_network(
    "~/net.prototxt",
    "~/net.caffemodel",
    mean="~/mean.npy",
    labels="~/labels.txt",
  )
  assert network.labels == tuple("abcde")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_labels_with_a_byte_order_mark(encoding, tmp_path):
  path = tmp_path / "labels.txt"
  path.write_bytes("n02119789 kit fox\r\nnaïve\r\n".encode(encoding))
  assert zoo.read_labels(path) == ("kit fox", "naïve")


def test_notes_are_logged(tmp_path, caplog):
  path = tmp_path / "net.prototxt"
  path.write_text(_NET.replace("5 }", "5 engine: MKLDNN }"))
  with caplog.at_level(logging.WARNING, "jdeepvis"):
    jdeepvis.load_network(path, "random")
  assert "engine" in caplog.text


def test_sizes_are_refused_where_they_are_none(tmp_path):
  path = tmp_path / "net.prototxt"
  path.write_text(_NET)
  for size in ((0, 3), (1, 2**20)):
    with pytest.raises(JdeepvisError, match="a height and a width"):
      convert.read_caffe(path, "random", size=size)
