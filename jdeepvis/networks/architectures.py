"""The hand-written networks by name, and what each wants to be shown."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from jdeepvis.networks.alexnet import AlexNet, CaffeNet, TorchvisionAlexNet
from jdeepvis.networks.googlenet import GoogLeNet
from jdeepvis.networks.graph import GraphModule
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.squeezenet import SqueezeNet


class Architecture(NamedTuple):
  """A table of layers with its input.

  Attributes:
    module: makes the Linen module.
    input: its images; the mean can be another, given a file with one.
    output: the blob with the class scores before softmax.
    published: where its authors publish the weights, and their checksum.
    training: beginnings of the names of layers in a weight file that serve
      training alone.
  """

  module: Callable[..., GraphModule]
  input: InputSpec
  output: str
  published: str = ""
  training: tuple[str, ...] = ()


def _imagenet(size: int, mean=(123, 117, 104)) -> InputSpec:
  return InputSpec((size, size, 3), np.array(mean, np.float32), resize=256)


_CAFFE = "http://dl.caffe.berkeleyvision.org"
_SQUEEZENET = "https://github.com/forresti/SqueezeNet/raw/master"

TORCHVISION_MEAN = (0.485, 0.456, 0.406)
TORCHVISION_DEVIATION = (0.229, 0.224, 0.225)
"""Red, green, blue; on a scale where white is 1."""

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
  {
    "caffenet": Architecture(
      CaffeNet,
      _imagenet(227),
      "fc8",
      f"{_CAFFE}/bvlc_reference_caffenet.caffemodel (sha1 "
      "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46)",
    ),
    "alexnet": Architecture(
      AlexNet,
      _imagenet(227),
      "fc8",
      f"{_CAFFE}/bvlc_alexnet.caffemodel (sha1 "
      "9116a64c0fbe4459d18f4bb6b56d647b63920377)",
    ),
    "alexnet-torchvision": Architecture(
      TorchvisionAlexNet,
      _imagenet(224, np.multiply(255, TORCHVISION_MEAN)),
      "fc8",
      "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth (sha256 "
      "begins with 7be5be79)",
    ),
    "googlenet": Architecture(
      GoogLeNet,
      _imagenet(224),
      "loss3/classifier",
      f"{_CAFFE}/bvlc_googlenet.caffemodel (sha1 "
      "405fc5acd08a3bb12de8ee5e23a96bec22f08204)",
      training=("loss1/", "loss2/"),
    ),
    "squeezenet1.0": Architecture(
      functools.partial(SqueezeNet, version="1.0"),
      _imagenet(227),
      "scores",
      f"{_SQUEEZENET}/SqueezeNet_v1.0/squeezenet_v1.0.caffemodel",
    ),
    "squeezenet1.1": Architecture(
      SqueezeNet,
      _imagenet(227),
      "scores",
      f"{_SQUEEZENET}/SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
    ),
  }
)
