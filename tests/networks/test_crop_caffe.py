"""Crops of networks that come from Caffe files."""

import pytest
from crop_checks import differences, places

from jdeepvis.networks.zoo import load_network

NET = """
input: "data" input_dim: 1 input_dim: 3 input_dim: 41 input_dim: 37
layer { name: "stem" type: "Convolution" bottom: "data" top: "stem"
  convolution_param { num_output: 6 kernel_size: 5 stride: 2 pad: 2 } }
layer { name: "stem_relu" type: "ReLU" bottom: "stem" top: "stem" }
layer { name: "norm" type: "LRN" bottom: "stem" top: "norm"
  lrn_param { local_size: 5 alpha: 2 norm_region: WITHIN_CHANNEL } }
layer { name: "half" type: "Convolution" bottom: "norm" top: "half"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "half_relu" type: "ReLU" bottom: "half" top: "half" }
layer { name: "more" type: "Convolution" bottom: "half" top: "more"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 } }
layer { name: "short" type: "Convolution" bottom: "norm" top: "short"
  convolution_param { num_output: 8 kernel_size: 1 stride: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "more" bottom: "short" top: "sum"
  eltwise_param { operation: SUM coeff: 1 coeff: -0.5 } }
layer { name: "sum_relu" type: "ReLU" bottom: "sum" top: "sum" }
layer { name: "chance" type: "Pooling" bottom: "sum" top: "chance"
  pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 } }
layer { name: "average" type: "Pooling" bottom: "sum" top: "average"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "last" type: "Convolution" bottom: "average" top: "last"
  convolution_param { num_output: 5 kernel_size: 3 pad: 2 dilation: 2 } }
"""


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
  """Strided shortcuts, both kinds of odd pooling, LRN within channels."""
  path = tmp_path_factory.mktemp("nets") / "residual.prototxt"
  path.write_text(NET)
  return load_network(path, weights="random")


@pytest.fixture(scope="module")
def googlenet(shared_data):
  caffe = shared_data / "caffe"
  return load_network(
    caffe / "nets" / "bvlc_googlenet.prototxt",
    weights=caffe / "models" / "bvlc_googlenet.caffemodel",
    mean=(104, 117, 123),
  )


@pytest.mark.parametrize("blob", ["norm", "sum", "chance", "average", "last"])
def test_crop_equals_a_strided_residual_net(residual, blob):
  for position in places(residual, blob):
    assert max(differences(residual, blob, position)) < 1e-4


@pytest.mark.parametrize(
  ("blob", "position"),
  [
    ("inception_3a/output", (14, 14)),
    ("inception_3b/5x5", (0, 27)),
    ("inception_4c/output", (13, 0)),
    ("inception_4a/pool_proj", (0, 0)),
  ],
)
def test_crop_equals_the_real_googlenet(googlenet, blob, position):
  assert max(differences(googlenet, blob, position)) < 1e-4
