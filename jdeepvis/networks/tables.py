"""Networks written as the papers' tables have them."""

import flax.linen as nn
import jax

from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import Images

Layers = tuple[LayerInfo, ...]


class GraphModule(nn.Module):
  """A Linen module that is its table of layers; the tables subclass it.

  Attributes:
    classes: how many there are, where the network has classes.
    width: factor on the number of features of every layer but the last.
  """

  classes: int = 1000
  width: float = 1.0

  def layers(self) -> Layers:
    """The table, in order of computation."""
    raise TypeError(f"{type(self).__name__} has no table of layers")

  @nn.compact
  def __call__(self, images: Images, *, until=None, relu=jax.nn.relu):
    """The activations of `images`, as `Network.apply` gives them."""
    layers = self.layers()
    weights = infer_shapes(layers, images.shape[1:]).weights
    params = {
      name: _Weights(tuple(leaves.items()), name=name)()
      for name, leaves in weights.items()
    }
    return GraphApply(layers)(params, images, until=until, relu=relu)

  def _features(self, features: int) -> int:
    return max(1, round(features * self.width))


def conv(
  name: str,
  source: str,
  features: int,
  kernel: int,
  *,
  stride: int = 1,
  pad: int = 0,
  groups: int = 1,
) -> Layers:
  """A convolution and its ReLU: blobs `name/pre` and `name`."""
  options = (("features", features), ("groups", groups))
  window = (kernel,) * 2, (stride,) * 2, (pad,) * 2
  return _rectified(name, "convolution", source, *window, options=options)


def dense(name: str, source: str, features: int) -> Layers:
  """A fully connected layer and its ReLU: blobs `name/pre` and `name`."""
  options = (("features", features),)
  return _rectified(name, "inner_product", source, options=options)


def max_pool(
  name: str,
  source: str,
  kernel: int = 3,
  stride: int = 2,
  *,
  pad: int = 0,
  ceil: bool = True,
) -> Layers:
  """Overlapping max pooling, by default in Caffe's ceil mode."""
  options = () if ceil else (("ceil", False),)
  window = (kernel,) * 2, (stride,) * 2, (pad,) * 2
  ends = (source,), (name,)
  return (LayerInfo(name, "max_pooling", *ends, *window, options=options),)


def average_pool(name: str, source: str, kernel: int) -> Layers:
  """Average pooling with a stride of 1."""
  ends = (source,), (name,)
  return (LayerInfo(name, "average_pooling", *ends, (kernel,) * 2),)


def rectified_concat(name: str, *sources: str) -> Layers:
  """Rectified maps side by side: blobs `name/pre` and `name`.

  They are joined before their ReLU, so that both sides of it are known.
  """
  before = f"{name}/pre"
  sides = tuple(f"{source}/pre" for source in sources)
  return (
    LayerInfo(before, "concat", sides, (before,)),
    LayerInfo(name, "relu", (before,), (name,)),
  )


def lrn(name: str, source: str) -> Layers:
  """Local response normalisation with AlexNet's constants."""
  return layer(name, "lrn", source, size=5, alpha=1e-4, beta=0.75, k=1.0)


def layer(name: str, kind: str, *sources: str, **options) -> Layers:
  """Any layer that has neither window nor ReLU."""
  options = tuple(sorted(options.items()))
  return (LayerInfo(name, kind, sources, (name,), options=options),)


def _rectified(name, kind, source, *window, options) -> Layers:
  before = (f"{name}/pre",)
  return (
    LayerInfo(name, kind, (source,), before, *window, options=options),
    LayerInfo(f"{name}/relu", "relu", before, (name,)),
  )


class _Weights(nn.Module):
  """One layer's weights, as a Linen parameter group."""

  shapes: tuple[tuple[str, Shape], ...]

  @nn.compact
  def __call__(self):
    return {
      name: self.param(name, _initialiser(name), shape)
      for name, shape in self.shapes
    }


def _initialiser(name: str):
  return nn.initializers.he_normal() if name == "kernel" else nn.zeros
