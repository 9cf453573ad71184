"""SqueezeNet 1.0 and 1.1 (Iandola et al. 2016, arXiv:1602.07360)."""

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.tables import (
  GraphModule,
  Layers,
  conv,
  layer,
  max_pool,
  rectified_concat,
)
from jdeepvis.types import JdeepvisError


class SqueezeNet(GraphModule):
  """SqueezeNet as its authors released it for Caffe.

  The class scores are `scores`, the spatial mean of conv10 *before* its ReLU:
  Caffe's own `pool10` averages after it, where a class that is negative at
  every position has no gradient.

  Attributes:
    version: `1.0` or `1.1`, which needs less than half the arithmetic for the
      same accuracy.
  """

  version: str = "1.1"

  def layers(self) -> Layers:
    """The released deploy.prototxt, line by line."""
    if self.version not in ("1.0", "1.1"):
      raise JdeepvisError(
        f"There is no SqueezeNet {self.version!r}; there are 1.0 and 1.1."
      )
    trunk = self._trunk_1_0() if self.version == "1.0" else self._trunk_1_1()
    # 1.0 pads its 1x1 convolution: the border of conv10 is the bias alone.
    pad = 1 if self.version == "1.0" else 0
    return (
      *trunk,
      *conv("conv10", "fire9/concat", self.classes, 1, pad=pad),
      *layer("scores", "global_average", "conv10/pre"),
      *layer("pool10", "global_average", "conv10"),
      *layer("prob", "softmax", "pool10"),
    )

  def _trunk_1_0(self) -> Layers:
    return (
      *conv("conv1", INPUT, self._features(96), 7, stride=2),
      *max_pool("pool1", "conv1"),
      *self._fire("fire2", "pool1", 16, 64),
      *self._fire("fire3", "fire2/concat", 16, 64),
      *self._fire("fire4", "fire3/concat", 32, 128),
      *max_pool("pool4", "fire4/concat"),
      *self._fire("fire5", "pool4", 32, 128),
      *self._fire("fire6", "fire5/concat", 48, 192),
      *self._fire("fire7", "fire6/concat", 48, 192),
      *self._fire("fire8", "fire7/concat", 64, 256),
      *max_pool("pool8", "fire8/concat"),
      *self._fire("fire9", "pool8", 64, 256),
    )

  def _trunk_1_1(self) -> Layers:
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
    )

  def _fire(self, name: str, source: str, squeeze: int, expand: int) -> Layers:
    """Fewer channels, then more: 1x1 and 3x3 filters side by side."""
    squeeze, expand = self._features(squeeze), self._features(expand)
    return (
      *conv(f"{name}/squeeze1x1", source, squeeze, 1),
      *conv(f"{name}/expand1x1", f"{name}/squeeze1x1", expand, 1),
      *conv(f"{name}/expand3x3", f"{name}/squeeze1x1", expand, 3, pad=1),
      *rectified_concat(
        f"{name}/concat", f"{name}/expand1x1", f"{name}/expand3x3"
      ),
    )
