"""The hand-written networks by name, and the input of each."""

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
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.published import PUBLISHED, Published
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.networks.tables import GraphModule
from jdeepvis.networks.vgg import VGG16, VGG16Convolutions


class Architecture(NamedTuple):
  """A table of layers with its input.

  Attributes:
    module: makes the Linen module.
    input: its images; the mean can be another, given a file with one.
    output: the blob with the class scores before softmax; None where there
      are none.
    published: where its authors publish the weights; None where these are no
      file of their own.
    training: beginnings of the names of layers in a weight file that serve
      training alone.
    torchvision: whether the weights in such a file want red, green, blue
      divided by their deviation, as torchvision's do; else blue, green, red.
  """

  module: Callable[..., GraphModule]
  input: InputSpec
  output: str | None
  published: Published | None = None
  training: tuple[str, ...] = ()
  torchvision: bool = False


def _imagenet(size: int, mean=(123, 117, 104)) -> InputSpec:
  return InputSpec((size, size, 3), np.array(mean, np.float32), resize=256)


TORCHVISION_MEAN = (0.485, 0.456, 0.406)
TORCHVISION_DEVIATION = (0.229, 0.224, 0.225)
"""Red, green, blue; on a scale where white is 1."""

_TORCHVISION = _imagenet(224, np.multiply(255, TORCHVISION_MEAN))

_TABLE = {
  "caffenet": Architecture(CaffeNet, _imagenet(227), "fc8"),
  "alexnet": Architecture(AlexNet, _imagenet(227), "fc8"),
  "alexnet-torchvision": Architecture(
    TorchvisionAlexNet, _TORCHVISION, "fc8", torchvision=True
  ),
  "alexnet-conv": Architecture(
    AlexNetConvolutions, _TORCHVISION, None, torchvision=True
  ),
  "vgg16-conv": Architecture(
    VGG16Convolutions, _TORCHVISION, None, torchvision=True
  ),
  "googlenet": Architecture(
    GoogLeNet,
    _imagenet(224),
    "loss3/classifier",
    training=("loss1/", "loss2/"),
  ),
  "squeezenet1.0": Architecture(
    functools.partial(SqueezeNet, version="1.0"), _imagenet(227), "scores"
  ),
  "squeezenet1.1": Architecture(SqueezeNet, _imagenet(227), "scores"),
  "vgg16": Architecture(
    VGG16, _imagenet(224, (123.68, 116.779, 103.939)), "fc8"
  ),
  "vgg16-torchvision": Architecture(
    VGG16, _TORCHVISION, "fc8", torchvision=True
  ),
}

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
  {
    name: known._replace(published=PUBLISHED.get(name))
    for name, known in _TABLE.items()
  }
)
