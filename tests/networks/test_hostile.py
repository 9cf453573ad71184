"""Damaged and malicious files: one clear sentence, nothing else."""

import json
import struct
import time

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import weights
from jdeepvis.networks.caffe import arrays
from jdeepvis.types import JdeepvisError

_NET = """
name: "n"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 group: 1 dilation: 1 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 } }
layer { name: "n" type: "LRN" bottom: "p" top: "n"
  lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL } }
layer { name: "s" type: "Slice" bottom: "n" top: "s1" top: "s2"
  slice_param { axis: 1 slice_point: 2 } }
layer { name: "t" type: "Concat" bottom: "s1" bottom: "s2" top: "t"
  concat_param { axis: 2 } }
layer { name: "v" type: "Reshape" bottom: "t" top: "v"
  reshape_param { shape { dim: 0 dim: 2 dim: -1 } } }
layer { name: "d" type: "Deconvolution" bottom: "n" top: "d"
  convolution_param { num_output: 2 kernel_size: 2 stride: 2 } }
layer { name: "f" type: "InnerProduct" bottom: "v" top: "f"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }
"""

_SETTINGS = hypothesis.settings(
  max_examples=100,
  deadline=None,
  suppress_health_check=list(hypothesis.HealthCheck),
  derandomize=True,
  database=None,
)

_EDITS = st.lists(
  st.tuples(
    st.sampled_from(["flip", "cut", "drop", "repeat", "insert"]),
    st.floats(0, 1),
    st.integers(0, 255),
  ),
  min_size=1,
  max_size=4,
)

_WORDS = (
  "0 -1 1 2 3 7 65537 2147483647 4294967295 9223372036854775807 1e30 nan "
  '"data" "c" "" { } : true MAX "Eltwise" "Crop" "ArgMax" "Power"'
)


def _edited(data: bytes, edits) -> bytes:
  for edit, where, value in edits:
    place = int(where * len(data))
    if edit == "flip":
      flipped = bytes(x ^ value for x in data[place : place + 1])
      data = data[:place] + flipped + data[place + 1 :]
    elif edit == "cut":
      data = data[:place]
    elif edit == "drop":
      data = data[:place] + data[place + value :]
    elif edit == "repeat":
      data = data[: place + value] + data[place:]
    else:
      data = data[:place] + bytes([value] * 9) + data[place:]
  return data


def _loads_or_says_why(load):
  started = time.process_time()  # whatever else the machine does
  try:
    load()
  except JdeepvisError as error:
    sentence = str(error)
    assert sentence.endswith(".") and len(sentence) < 1500
  assert time.process_time() - started < 30


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  folder = tmp_path_factory.mktemp("hostile")
  (folder / "net.prototxt").write_text(_NET)
  network = jdeepvis.load_network(folder / "net.prototxt", "random")
  out = folder / "net.safetensors"
  weights.write_network(
    out, network, architecture=None, origin=weights.Origin("x", "")
  )
  from jdeepvis.networks.caffe import schema

  net = schema.message_class("NetParameter")()
  for name, shape in (("c", (4, 3, 3, 3)), ("d", (4, 2, 2, 2)), ("f", (5, 64))):
    layer = net.layer.add(name=name)
    size = int(np.prod(shape))
    layer.blobs.add(data=[0.5] * size).shape.dim.extend(shape)
    features = 2 if name == "d" else shape[0]
    layer.blobs.add(data=[0.5] * features).shape.dim.append(features)
  (folder / "net.caffemodel").write_bytes(net.SerializeToString())
  mean = schema.message_class("BlobProto")(
    num=1, channels=3, height=9, width=9, data=[7.0] * 243
  )
  (folder / "mean.binaryproto").write_bytes(mean.SerializeToString())
  np.save(folder / "mean.npy", np.ones((3, 9, 9)))
  (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")
  return folder


def _load(files, **changed):
  names = {
    "net": "net.prototxt",
    "weights": "net.caffemodel",
    "mean": "mean.binaryproto",
    "labels": "labels.txt",
  } | changed
  return jdeepvis.load_network(
    files / names["net"],
    files / names["weights"],
    mean=files / names["mean"],
    labels=files / names["labels"],
  )


def test_the_files_are_good_before(files):
  assert _load(files).output == "f"
  assert _load(files, mean="mean.npy").output == "f"
  assert jdeepvis.load_network(files / "net.safetensors").output == "f"


@pytest.mark.parametrize(
  "part, name",
  [
    ("net", "net.prototxt"),
    ("weights", "net.caffemodel"),
    ("mean", "mean.binaryproto"),
    ("mean", "mean.npy"),
    ("labels", "labels.txt"),
    ("", "net.safetensors"),
  ],
)
@_SETTINGS
@hypothesis.given(edits=_EDITS)
def test_damaged_files(part, name, files, edits):
  damaged = files / f"damaged.{name.rpartition('.')[2]}"
  damaged.write_bytes(_edited((files / name).read_bytes(), edits))
  if part:
    _loads_or_says_why(lambda: _load(files, **{part: damaged.name}))
  else:
    _loads_or_says_why(lambda: jdeepvis.load_network(damaged))


@_SETTINGS
@hypothesis.given(
  changes=st.lists(
    st.tuples(st.floats(0, 0.999), st.sampled_from(_WORDS.split())),
    min_size=1,
    max_size=3,
  )
)
def test_descriptions_with_other_words(files, changes):
  words = _NET.split()
  for where, word in changes:
    words[int(where * len(words))] = word
  (files / "words.prototxt").write_text(" ".join(words))
  _loads_or_says_why(
    lambda: jdeepvis.load_network(files / "words.prototxt", "random")
  )


@pytest.mark.parametrize(
  "text",
  [
    "layer { my " + "{ x " * 50_000,
    "layer { my { a: [" + "1," * 100_000 + "1] } }",
    _NET.replace("dim: 9", "dim: 9223372036854775807"),
    _NET.replace("dim: 9", "dim: 46341"),
    _NET.replace("kernel_size: 2", "kernel_size: 2000000000"),
    _NET.replace("pad: 1", "pad: 4000000000"),
    _NET.replace("local_size: 3", "local_size: 4294967295"),
    _NET.replace("dilation: 1", "dilation: 4000000000"),
    _NET.replace("group: 1", "group: 0"),
    _NET.replace("group: 1", "group: 4000000000"),
    _NET.replace("num_output: 5", "num_output: 4294967295"),
    _NET.replace("dim: -1", "dim: 9223372036854775807"),
    _NET.replace("slice_point: 2", "slice_point: 4000000000"),
    _NET.replace('bottom: "t"', 'bottom: "v"'),
    _NET + 'layer { name: "x" type: "Flatten" bottom: "prob" top: "y" }' * 6000,
    "\0" * 1000,
    "\ufeff" + _NET,
  ],
)
def test_descriptions_meant_to_hurt(text, files):
  path = files / "hurt.prototxt"
  path.write_text(text)
  _loads_or_says_why(lambda: jdeepvis.load_network(path, "random"))


def test_nested_wire_form(tmp_path):
  data = b""
  for _ in range(5000):
    data = b"\x92\x06" + _varint(len(data)) + data
  path = tmp_path / "nested.caffemodel"
  path.write_bytes(data)
  with pytest.raises(JdeepvisError, match=r"nested\.caffemodel"):
    arrays.read_blobs(path)


def test_a_shape_larger_than_the_file(tmp_path):
  from jdeepvis.networks.caffe import schema

  net = schema.message_class("NetParameter")()
  blob = net.layer.add(name="c").blobs.add(data=[1.0])
  blob.shape.dim.extend([2**31, 2**31])
  path = tmp_path / "x.caffemodel"
  path.write_bytes(net.SerializeToString())
  with pytest.raises(JdeepvisError, match="'c' has 1 values for the shape"):
    arrays.read_blobs(path)
  blob.shape.dim[:] = [-1, -1]
  path.write_bytes(net.SerializeToString())
  with pytest.raises(JdeepvisError, match="'c' has the impossible shape"):
    arrays.read_blobs(path)


def test_a_mean_that_promises_more_than_it_has(tmp_path):
  path = tmp_path / "mean.npy"
  np.save(path, np.ones((3, 2, 2)))
  text = path.read_bytes().replace(b"(3, 2, 2), ", b"(3, 1000000, 1000000), ")
  path.write_bytes(text)
  with pytest.raises(JdeepvisError, match=r"mean\.npy"):
    arrays.read_mean(path)


def test_no_pickle_is_read(tmp_path):
  path = tmp_path / "mean.npy"
  np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
  with pytest.raises(JdeepvisError, match=r"mean\.npy"):
    arrays.read_mean(path)


def test_safetensors_with_a_nested_table(tmp_path):
  nested = "[" * 100_000 + "]" * 100_000
  header = json.dumps({"__metadata__": {"jdeepvis": nested}}).encode()
  path = tmp_path / "x.safetensors"
  path.write_bytes(struct.pack("<Q", len(header)) + header)
  with pytest.raises(JdeepvisError, match=r"not a weight file"):
    jdeepvis.load_network(path)


def _varint(value: int) -> bytes:
  out = b""
  while value > 127:
    out += bytes([value & 127 | 128])
    value >>= 7
  return out + bytes([value])
