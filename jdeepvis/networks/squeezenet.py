"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360)."""

from jdeepvis.networks.graph import INPUT, GraphModule
from jdeepvis.networks.tables import Layers, conv, layer, max_pool


class SqueezeNet(GraphModule):
  """SqueezeNet 1.1 as its authors released it for Caffe.

  The class scores are `scores`, the spatial mean of conv10 *before* its ReLU:
  Caffe's own `pool10` averages after it, where a class that loses everywhere
  has no gradient at all.

  Attributes:
    classes: how many classes conv10 tells apart.
    width: factor on the number of features of every layer but the last.
  """

  classes: int = 1000
  width: float = 1.0

  def layers(self) -> Layers:
    """The released deploy.prototxt, a line for a line."""
    return (
      *conv("conv1", INPUT, self._features(64), 3, stride=2),
      *max_pool("pool1", "conv1"),
      *self._fire("fire2", "pool1", 16, 64),
      *self._fire("fire3", "fire2/concat", 16, 64),
      *max_pool("pool3", "fire3/concat"),
      *self._fire("fire4", "pool3", 32, 128),
      *self._fire("fire5", "fire4/concat", 32, 128),
      *max_pool("pool5", "fire5/concat"),
      *self._fire("fire6", "pool5", 48, 192),
      *self._fire("fire7", "fire6/concat", 48, 192),
      *self._fire("fire8", "fire7/concat", 64, 256),
      *self._fire("fire9", "fire8/concat", 64, 256),
      *conv("conv10", "fire9/concat", self.classes, 1),
      *layer("scores", "global_average", "conv10/pre"),
      *layer("pool10", "global_average", "conv10"),
      *layer("prob", "softmax", "pool10"),
    )

  def _fire(self, name: str, source: str, squeeze: int, expand: int) -> Layers:
    """Fewer channels, then more: 1x1 and 3x3 filters side by side."""
    squeeze, expand = self._features(squeeze), self._features(expand)
    return (
      *conv(f"{name}/squeeze1x1", source, squeeze, 1),
      *conv(f"{name}/expand1x1", f"{name}/squeeze1x1", expand, 1),
      *conv(f"{name}/expand3x3", f"{name}/squeeze1x1", expand, 3, pad=1),
      *layer(
        f"{name}/concat", "concat", f"{name}/expand1x1", f"{name}/expand3x3"
      ),
    )

  def _features(self, features: int) -> int:
    return max(1, round(features * self.width))
