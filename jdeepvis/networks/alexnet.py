"""AlexNet (Krizhevsky et al. 2012) in the forms that have weights."""

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.tables import (
  GraphModule,
  Layers,
  conv,
  dense,
  layer,
  lrn,
  max_pool,
)


class _AlexNet(GraphModule):
  """What all AlexNets have in common."""

  def _classifier(self, source: str) -> Layers:
    return (
      *dense("fc6", source, self._features(4096)),
      *dense("fc7", "fc6", self._features(4096)),
      *layer("fc8", "inner_product", "fc7", features=self.classes),
      *layer("prob", "softmax", "fc8"),
    )

  def _features(self, features: int) -> int:
    # Even, since the convolutions in two groups halve them.
    return 2 * max(1, round(features * self.width / 2))


class CaffeNet(_AlexNet):
  """Caffe's reference network: AlexNet with each pooling before its LRN.

  Serves `bvlc_reference_caffenet` and the paper's own `caffenet-yos`.
  """

  def layers(self) -> Layers:
    """The released deploy.prototxt, line by line."""
    features = self._features
    return (
      *conv("conv1", INPUT, features(96), 11, stride=4),
      *max_pool("pool1", "conv1"),
      *lrn("norm1", "pool1"),
      *conv("conv2", "norm1", features(256), 5, pad=2, groups=2),
      *max_pool("pool2", "conv2"),
      *lrn("norm2", "pool2"),
      *conv("conv3", "norm2", features(384), 3, pad=1),
      *conv("conv4", "conv3", features(384), 3, pad=1, groups=2),
      *conv("conv5", "conv4", features(256), 3, pad=1, groups=2),
      *max_pool("pool5", "conv5"),
      *self._classifier("pool5"),
    )


class AlexNet(_AlexNet):
  """AlexNet as in the paper and in `bvlc_alexnet`: LRN, then pooling."""

  def layers(self) -> Layers:
    """Table and figure 2 of the paper, as Caffe's deploy.prototxt has them."""
    features = self._features
    return (
      *conv("conv1", INPUT, features(96), 11, stride=4),
      *lrn("norm1", "conv1"),
      *max_pool("pool1", "norm1"),
      *conv("conv2", "pool1", features(256), 5, pad=2, groups=2),
      *lrn("norm2", "conv2"),
      *max_pool("pool2", "norm2"),
      *conv("conv3", "pool2", features(384), 3, pad=1),
      *conv("conv4", "conv3", features(384), 3, pad=1, groups=2),
      *conv("conv5", "conv4", features(256), 3, pad=1, groups=2),
      *max_pool("pool5", "conv5"),
      *self._classifier("pool5"),
    )


class TorchvisionAlexNet(_AlexNet):
  """torchvision's AlexNet, on one tower (Krizhevsky 2014, arXiv:1404.5997).

  Pooling is in floor mode, and there is no LRN. Its adaptive pooling does
  nothing at 224 pixels, the size it was trained for. The division of pixels
  by their standard deviation is part of conv1's weights here.
  """

  def layers(self) -> Layers:
    """`features` and `classifier`, line by line, with Caffe's names."""
    return (
      *self._convolutions(),
      *max_pool("pool5", "conv5", ceil=False),
      *self._classifier("pool5"),
    )

  def _convolutions(self) -> Layers:
    features = self._features
    return (
      *conv("conv1", INPUT, features(64), 11, stride=4, pad=2),
      *max_pool("pool1", "conv1", ceil=False),
      *conv("conv2", "pool1", features(192), 5, pad=2),
      *max_pool("pool2", "conv2", ceil=False),
      *conv("conv3", "pool2", features(384), 3, pad=1),
      *conv("conv4", "conv3", features(256), 3, pad=1),
      *conv("conv5", "conv4", features(256), 3, pad=1),
    )


class AlexNetConvolutions(TorchvisionAlexNet):
  """torchvision's AlexNet up to conv5: features, and no classes."""

  def layers(self) -> Layers:
    """`features` without the pooling at its end, with Caffe's names."""
    return self._convolutions()
