"""Refusals read aloud: file, line, layer, type, and what to do next."""

import gzip
import lzma

import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks.caffe import arrays, reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_HEAD = """input: "data"
input_shape { dim: 1 dim: 4 dim: 16 dim: 16 }
"""
_CONV = """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 } }
"""


def _layer(kind, bottoms="c", more="", tops="y"):
  ends = [f'bottom: "{x}"' for x in bottoms.split()]
  ends += [f'top: "{x}"' for x in tops.split()]
  return f'layer {{ name: "y" type: "{kind}" {" ".join(ends)}\n{more} }}\n'


def _graph(text):
  return build_graph(reader.parse_net(_HEAD + _CONV + text, "net.prototxt"))


def _refused(text):
  with pytest.raises(JdeepvisError) as raised:
    _graph(text)
  return str(raised.value)


@pytest.mark.parametrize(
  "kind, bottoms, more, told",
  [
    ("ShuffleChannel", "c", "shuffle_channel_param { group: 3 }", "group 3"),
    (
      "DepthwiseConvolution",
      "c",
      "convolution_param { num_output: 12 kernel_size: 3 }",
      "group 12 does not part 8 channels",
    ),
    ("Slice", "c", "slice_param { slice_point: 9 }", "slice_point 9"),
    ("Slice", "c", "slice_param { axis: 2 slice_point: 14 }", "beyond the 14"),
    ("Upsample", "data c", "upsample_param { scale: 2 }", "mask has another"),
    ("Eltwise", "c data", "", "one shape; another size=(HEIGHT, WIDTH)"),
    ("Concat", "c data", "", "along the axis that is joined"),
    ("Crop", "data c", "crop_param { offset: 3 }", "reach beyond the first"),
    ("Crop", "data c", "crop_param { axis: 1 offset: 1 offset: 2 }", "3 axes"),
    ("ArgMax", "c", "argmax_param { axis: 1 top_k: 9 }", "within 1 to 8"),
    ("Flatten", "c", "flatten_param { axis: 3 end_axis: 1 }", "before its"),
    ("Softmax", "c", "softmax_param { axis: 7 }", "axis 7"),
    ("Pooling", "c", "pooling_param { kernel_size: 99 }", "--size=HEIGHT"),
  ],
)
def test_what_does_not_fit_is_told_in_the_files_words(
  kind, bottoms, more, told
):
  tops = "y z" if kind == "Slice" else "y"
  refused = _refused(_layer(kind, bottoms, more, tops))
  assert refused.startswith(f"net.prototxt, line 5: layer 'y' ({kind}) ")
  assert "channels last" in refused and told in refused


@pytest.mark.parametrize(
  "kind, bottoms, more, told",
  [
    ("Convolution", "c data", "", r"line 5: .* reads 2 blobs; it needs 1\."),
    ("Eltwise", "c", "", r"line 5: .* reads 1 blob; it needs 2 or more\."),
    ("Scale", "c c c", "", r"line 5: .* reads 3 blobs; it needs 1 to 2\."),
    (
      "Eltwise",
      "c c",
      "eltwise_param { operation: MIN }",
      r"line 6: layer 'y' \(Eltwise\): operation is one of PROD, SUM, MAX",
    ),
    (
      "Pooling",
      "c",
      "pooling_param { kernel_size: 2 kernel_h: 3 }",
      "says its kernel twice, as kernel_h too",
    ),
    (
      "Pooling",
      "c",
      "pooling_param { kernel_h: 3 }",
      "says kernel_h alone; say kernel_h and kernel_w",
    ),
    (
      "Pooling",
      "c",
      "pooling_param { kernel_size: 3 pad_h: 1 }",
      "one of pad_h and pad_w; say both",
    ),
    (
      "Pooling",
      "c",
      "pooling_param { kernel_size: 3 full: true }",
      "remove it if the net was trained without it, or change the layer's type",
    ),
  ],
)
def test_what_is_written_wrongly_is_told_by_line(kind, bottoms, more, told):
  conv = "convolution_param { num_output: 4 kernel_size: 1 }"
  more = conv if kind == "Convolution" else more
  with pytest.raises(JdeepvisError, match=told):
    _graph(_layer(kind, bottoms, more))


@pytest.mark.parametrize(
  "text, told",
  [
    ('layer {\n name: "x" type: "ReLU"\n', "line 5: what begins here has no }"),
    ("// hello", "a comment begins with #"),
    ("layer { name: \u201cx\u201d }", 'quotation marks are "'),
    ('layer { name: "x" top: "x" }', "layer 'x': it needs one type"),
    ("layer { name: 'x' type: \"ReLU\" bottom: 3 }", "(ReLU): bottom: 3 needs"),
  ],
)
def test_a_text_that_is_none_of_protobufs(text, told):
  assert told in _refused(text)


def test_a_type_in_other_capitals_is_named():
  (note,) = _graph(_layer("relu")).notes
  assert "'relu', a type that is not known here (nearest: ReLU)" in note


@pytest.mark.parametrize(
  "data, told",
  [
    (b"", "is empty; fetch it again"),
    (gzip.compress(b"x", mtime=0), "gunzip"),
    (b"BZh91AY&SY", "bunzip2"),
    (lzma.compress(b"x"), "unxz"),
    (b"\x80\x02}q\x00.", "a pickle of Python"),
    (b"<!-- saved -->\n<html>", "a web page"),
    (b"404: Not Found", "of 14 bytes, is damaged or not a .caffemodel; fetch"),
  ],
)
def test_a_file_that_is_something_else(data, told, tmp_path):
  path = tmp_path / "net.caffemodel"
  path.write_bytes(data)
  with pytest.raises(JdeepvisError) as raised:
    arrays.read_blobs(path)
  assert told in str(raised.value) and str(path) in str(raised.value)


def test_a_folder_and_weights_in_place_of_a_net(tmp_path, caffe_files):
  with pytest.raises(JdeepvisError, match=r"is a folder; give the \.caffem"):
    arrays.read_blobs(tmp_path)
  weights = caffe_files.blobs({"c": [np.zeros(3)]})
  with pytest.raises(JdeepvisError, match=r"describes no net; give a deploy"):
    jdeepvis.load_network(weights)
  pointer = tmp_path / "deploy.pt"
  pointer.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
  with pytest.raises(JdeepvisError, match="git lfs pull"):
    jdeepvis.load_network(pointer, "random")
  with pytest.raises(JdeepvisError, match="There is no network"):
    jdeepvis.load_network(tmp_path / "absent.pt", "random")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_utf_16_with_and_without_its_mark(encoding, tmp_path):
  text = _HEAD + _CONV
  path = tmp_path / "net.txt"
  path.write_bytes(text.encode(encoding))
  assert reader.read_net(path).layers[0].name == "c"
  assert jdeepvis.load_network(path, "random").output == "c"
