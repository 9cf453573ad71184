"""The hand-written networks by name, and what each wants to be shown."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from jdeepvis.networks.graph import GraphModule
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.squeezenet import SqueezeNet


class Architecture(NamedTuple):
  """A table of layers with its input.

  Attributes:
    module: makes the Linen module.
    input: its images; the mean can be another, given a file with one.
    output: the blob with the class scores before softmax.
  """

  module: Callable[..., GraphModule]
  input: InputSpec
  output: str


def _imagenet(size: int) -> InputSpec:
  # The authors' (104, 117, 123) in BGR order.
  mean = np.array([123, 117, 104], np.float32)
  return InputSpec((size, size, 3), mean, resize=256)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
  {"squeezenet1.1": Architecture(SqueezeNet, _imagenet(227), "scores")}
)
