"""Whole nets with random weights; OpenCV reads the same files on its own."""

import caffe_oracle
import pytest

from jdeepvis.networks.caffe.reader import read_net


def _conv(name, source, features, *, kernel=3, stride=1, pad=1, extra=""):
  return f"""
    layer {{ name: "{name}" type: "Convolution" bottom: "{source}"
      top: "{name}" convolution_param {{ num_output: {features}
        kernel_size: {kernel} stride: {stride} pad: {pad} {extra} }} }}
  """


def _in_place(kind, name, blob, settings=""):
  return f"""
    layer {{ name: "{name}" type: "{kind}" bottom: "{blob}" top: "{blob}"
      {settings} }}
  """


def _normed(blob):
  return _in_place("BatchNorm", f"bn_{blob}", blob) + _in_place(
    "Scale", f"scale_{blob}", blob, "scale_param { bias_term: true }"
  )


def _pool(name, source, settings):
  return f"""
    layer {{ name: "{name}" type: "Pooling" bottom: "{source}" top: "{name}"
      pooling_param {{ {settings} }} }}
  """


def _head(source, classes=10):
  return f"""
    layer {{ name: "fc" type: "InnerProduct" bottom: "{source}" top: "fc"
      inner_product_param {{ num_output: {classes} }} }}
    layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
  """


def _input(height, width, channels=3):
  return f"""
    layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{
      dim: 1 dim: {channels} dim: {height} dim: {width} }} }} }}
  """


_VGG = (
  _input(34, 41)
  + _conv("conv1_1", "data", 8)
  + _in_place("ReLU", "relu1_1", "conv1_1")
  + _conv("conv1_2", "conv1_1", 8)
  + _in_place("ReLU", "relu1_2", "conv1_2")
  + _pool("pool1", "conv1_2", "kernel_size: 2 stride: 2")
  + _conv("conv2_1", "pool1", 12)
  + _in_place("ReLU", "relu2_1", "conv2_1")
  + _pool("pool2", "conv2_1", "kernel_size: 2 stride: 2")
  + """
    layer { name: "fc6" type: "InnerProduct" bottom: "pool2" top: "fc6"
      inner_product_param { num_output: 20 } }
  """
  + _in_place("ReLU", "relu6", "fc6")
  + _in_place("Dropout", "drop6", "fc6")
  + _head("fc6")
)

_RESNET = (
  _input(38, 31)
  + _conv("conv1", "data", 8, kernel=7, stride=2, pad=3)
  + _normed("conv1")
  + _in_place("ReLU", "conv1_relu", "conv1")
  + _pool("pool1", "conv1", "kernel_size: 3 stride: 2")
  + _conv("a_short", "pool1", 12, kernel=1, stride=2, pad=0)
  + _normed("a_short")
  + _conv("a1", "pool1", 12, stride=2, extra="bias_term: false")
  + _normed("a1")
  + _in_place("ReLU", "a1_relu", "a1")
  + _conv("a2", "a1", 12, pad=2, extra="dilation: 2 group: 3")
  + _normed("a2")
  + """
    layer { name: "res" type: "Eltwise" bottom: "a_short" bottom: "a2"
      top: "res" eltwise_param { operation: SUM coeff: 1 coeff: 0.5 } }
  """
  + _in_place("ReLU", "res_relu", "res", "relu_param { negative_slope: 0.1 }")
  + _pool("pool2", "res", "pool: AVE global_pooling: true")
  + _head("pool2")
)

_VARIED = (
  _input(17, 23, channels=4)
  + _conv("c", "data", 8)
  + """
  layer { name: "elu" type: "ELU" bottom: "c" top: "elu" }
  layer { name: "tanh" type: "TanH" bottom: "c" top: "tanh" }
  layer { name: "sig" type: "Sigmoid" bottom: "c" top: "sig" }
  layer { name: "abs" type: "AbsVal" bottom: "c" top: "abs" }
  layer { name: "pow" type: "Power" bottom: "sig" top: "pow"
    power_param { power: 1.5 scale: 2 shift: 0.25 } }
  layer { name: "bnll" type: "BNLL" bottom: "c" top: "bnll" }
  layer { name: "max" type: "Eltwise" bottom: "elu" bottom: "tanh"
    bottom: "bnll" top: "max" eltwise_param { operation: MAX } }
  layer { name: "prod" type: "Eltwise" bottom: "abs" bottom: "pow" top: "prod"
    eltwise_param { operation: PROD } }
  layer { name: "prelu" type: "PReLU" bottom: "c" top: "prelu" }
  layer { name: "split" type: "Slice" bottom: "prelu" top: "s1" top: "s2"
    slice_param { axis: 1 slice_point: 3 } }
  layer { name: "cat" type: "Concat" bottom: "s2" bottom: "max"
    bottom: "prod" top: "cat" }
  layer { name: "tall" type: "Concat" bottom: "cat" bottom: "cat" top: "tall"
    concat_param { axis: 2 } }
  layer { name: "up" type: "Deconvolution" bottom: "cat" top: "up"
    convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 } }
  layer { name: "crop" type: "Crop" bottom: "up" bottom: "c" top: "crop"
    crop_param { axis: 2 offset: 3 offset: 5 } }
  layer { name: "ave" type: "Pooling" bottom: "crop" top: "ave"
    pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
  layer { name: "flat" type: "Flatten" bottom: "ave" top: "flat" }
  layer { name: "rows" type: "Reshape" bottom: "ave" top: "rows"
    reshape_param { shape { dim: 0 dim: 2 dim: -1 } } }
  layer { name: "soft" type: "Softmax" bottom: "ave" top: "soft" }
  layer { name: "mvn" type: "MVN" bottom: "ave" top: "mvn" }
  layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"
    inner_product_param { num_output: 5 } }
"""
)


@pytest.mark.parametrize("text", [_VGG, _RESNET], ids=["vgg", "resnet"])
def test_made_up_nets(text, caffe_files):
  net = caffe_files.net(text)
  compared = _compare(net, caffe_files.weights(net))
  assert compared >= len(read_net(net).layers) - 1  # less an in-place dropout


def test_a_net_of_other_layers(caffe_files):
  net = caffe_files.net(_VARIED)
  # Small, since tanh hands on the rounding of its argument as it is.
  compared = _compare(net, caffe_files.weights(net), amplitude=1)
  assert compared == len(read_net(net).layers)


@pytest.mark.slow
@pytest.mark.parametrize(
  "name, old",
  [
    ("bvlc_alexnet", False),
    ("bvlc_reference_caffenet", False),
    ("caffenet-yos", True),
    ("bvlc_googlenet", False),
    ("squeezenet_v1.0", False),
    ("squeezenet_v1.1", True),
  ],
)
def test_published_nets(name, old, shared_data, caffe_files):
  path = shared_data / "caffe/nets" / f"{name}.prototxt"
  net = caffe_files.narrow(path, 4)
  compared = _compare(net, caffe_files.weights(net, old=old))
  assert compared >= 18


def _compare(net, weights, amplitude=120) -> int:
  compared, largest = caffe_oracle.compare(net, weights, amplitude=amplitude)
  # What the table in docs/caffe.md says: pytest -rP shows it.
  print(f"{net.stem}: {compared} blobs, largest {largest:.1e} of scale")
  return compared
