"""VGG's network of 16 layers (Simonyan and Zisserman 2014, arXiv:1409.1556)."""

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.tables import (
  GraphModule,
  Layers,
  conv,
  dense,
  layer,
  max_pool,
)

# Table 1, column D: the convolutions before each pooling, and their features.
_STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class VGG16Convolutions(GraphModule):
  """VGG16's thirteen 3 x 3 convolutions, up to `conv5_3`."""

  def layers(self) -> Layers:
    """Table 1 of the paper, column D, with Caffe's names."""
    table: Layers = ()
    source = INPUT
    for stage, (count, features) in enumerate(_STAGES, 1):
      if stage > 1:
        table += max_pool(f"pool{stage - 1}", source, kernel=2)
        source = f"pool{stage - 1}"
      for place in range(1, count + 1):
        name = f"conv{stage}_{place}"
        table += conv(name, source, self._features(features), 3, pad=1)
        source = name
    return table


class VGG16(VGG16Convolutions):
  """VGG16: thirteen 3 x 3 convolutions and three fully connected layers.

  The authors' release for Caffe and torchvision's own training share this
  table: at 224 pixels each pooling halves without remainder. torchvision's
  division of pixels by their deviation is part of conv1_1's weights here.
  """

  def layers(self) -> Layers:
    """The released deploy.prototxt, line by line."""
    return (
      *super().layers(),
      *max_pool("pool5", "conv5_3", kernel=2),
      *dense("fc6", "pool5", self._features(4096)),
      *dense("fc7", "fc6", self._features(4096)),
      *layer("fc8", "inner_product", "fc7", features=self.classes),
      *layer("prob", "softmax", "fc8"),
    )
