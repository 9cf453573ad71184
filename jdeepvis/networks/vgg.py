"""VGG's convolutions (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from jdeepvis.networks.graph import INPUT, GraphModule
from jdeepvis.networks.tables import Layers, conv, max_pool

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class VGG16Convolutions(GraphModule):
  """The thirteen convolutions of configuration D, up to `conv5_3`.

  Attributes:
    width: factor on the number of features of every layer.
  """

  width: float = 1.0

  def layers(self) -> Layers:
    """Table 1 of the paper, column D, with Caffe's names."""
    layers, source = (), INPUT
    for block, (count, features) in enumerate(_BLOCKS, 1):
      if block > 1:
        layers += max_pool(f"pool{block - 1}", source, 2)
        source = f"pool{block - 1}"
      for number in range(1, count + 1):
        name = f"conv{block}_{number}"
        wide = max(1, round(features * self.width))
        layers += conv(name, source, wide, 3, pad=1)
        source = name
    return layers
