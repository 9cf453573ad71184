"""Networks with random weights that have every geometry there is."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np

from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.network import InputSpec, LayerInfo, Network
from jdeepvis.networks.own import from_function
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.networks.tables import conv, layer, max_pool


def random_network(layers, shape, *, mean=None, seed=0) -> Network:
  """A network of `layers` whose activations keep their scale."""
  output = layers[-1].outputs[0]
  rng = np.random.default_rng(seed)
  params = {
    name: {leaf: _weights(rng, leaf, size) for leaf, size in leaves.items()}
    for name, leaves in infer_shapes(layers, shape).weights.items()
  }
  mean = np.zeros(shape[-1], np.float32) if mean is None else mean
  spec = InputSpec(shape, mean)
  return Network(GraphApply(layers), params, spec, layers, (), output)


def _weights(rng, leaf, size):
  scale = (2 / np.prod(size[:-1])) ** 0.5 if leaf == "kernel" else 0.1
  return np.float32(rng.normal(0, scale, size))


def pool(kind, name, source, kernel=(3, 3), stride=(2, 2), pad=(0, 0)):
  return (LayerInfo(name, kind, (source,), (name,), kernel, stride, pad),)


@functools.cache
def caffenet() -> Network:
  """CaffeNet's table, a 24th as wide."""
  table = (
    *conv("conv1", "data", 4, 11, stride=4),
    *max_pool("pool1", "conv1"),
    *layer("norm1", "lrn", "pool1", alpha=1e-4),
    *conv("conv2", "norm1", 12, 5, pad=2, groups=2),
    *max_pool("pool2", "conv2"),
    *layer("norm2", "lrn", "pool2", alpha=1e-4),
    *conv("conv3", "norm2", 16, 3, pad=1),
    *conv("conv4", "conv3", 16, 3, pad=1, groups=2),
    *conv("conv5", "conv4", 12, 3, pad=1, groups=2),
    *max_pool("pool5", "conv5"),
    *layer("fc6/pre", "inner_product", "pool5", features=20),
    *layer("fc6", "relu", "fc6/pre"),
    *layer("fc8", "inner_product", "fc6", features=10),
  )
  network = random_network(table, (227, 227, 3))
  prob = layer("prob", "softmax", "fc8")
  table = (*table, *prob)
  return network.replace(apply=GraphApply(table), layers=table)


@functools.cache
def branching() -> Network:
  """An Inception module on a stem with a ceil window, not square."""
  table = (
    *conv("stem", "data", 6, 5, stride=2, pad=2),
    *max_pool("pool", "stem"),
    *conv("1x1", "pool", 4, 1),
    *conv("3x3_reduce", "pool", 4, 1),
    *conv("3x3", "3x3_reduce", 5, 3, pad=1),
    *conv("5x5", "pool", 3, 5, pad=2),
    *pool("max_pooling", "pool3", "pool", stride=(1, 1), pad=(1, 1)),
    *conv("pool_proj", "pool3", 3, 1),
    *layer("joined", "concat", "1x1", "3x3", "5x5", "pool_proj"),
    *layer("concat", "lrn", "joined", alpha=0.1),
  )
  mean = np.random.default_rng(0).uniform(0, 255, (42, 51, 3))
  return random_network(table, (42, 51, 3), mean=np.float32(mean))


@functools.cache
def residual() -> Network:
  """Blocks with 1x1 shortcuts, one of them strided, joined by channels."""
  table = (
    *conv("stem", "data", 4, 3, pad=1),
    *conv("a1", "stem", 4, 3, stride=2, pad=1),
    *conv("a2", "a1", 4, 3, pad=1),
    *conv("a_short", "stem", 4, 1, stride=2),
    *layer("a", "concat", "a2", "a_short"),
    *conv("b1", "a", 4, 3, pad=1),
    *conv("b2", "b1", 4, 3, pad=1),
    *layer("b", "concat", "b2", "a"),
    *conv("c1", "b", 4, 3, stride=2, pad=1),
    *conv("c_short", "b", 4, 1, stride=2),
    *pool("max_pooling", "c_pool", "b", (1, 1)),
    *layer("c", "concat", "c1", "c_short", "c_pool"),
  )
  return random_network(table, (37, 30, 3))


@functools.cache
def padded_average() -> Network:
  """Average pools with padding whose last windows are partial."""
  table = (
    *conv("conv1", "data", 4, 3),
    *pool("average_pooling", "pool1", "conv1", (3, 3), (2, 2), (1, 1)),
    *conv("conv2", "pool1", 4, 3, pad=1),
    *pool("average_pooling", "pool2", "conv2", (4, 2), (3, 1), (2, 1)),
  )
  return random_network(table, (27, 24, 1))


@functools.cache
def with_rim() -> Network:
  """A 1x1 convolution with padding, as conv10 of SqueezeNet 1.0."""
  # As wide as XLA needs them to choose another algorithm.
  table = (*conv("conv", "data", 64, 3), *conv("rim", "conv", 64, 1, pad=1))
  return random_network(table, (9, 8, 3))


@functools.cache
def squeezenet() -> Network:
  """SqueezeNet 1.1, an eighth as wide, up to fire5."""
  table = SqueezeNet(width=1 / 8).layers()
  last = next(i for i, info in enumerate(table) if info.name == "fire5/concat")
  return random_network(table[: last + 1], (67, 67, 3))


@functools.cache
def classifier() -> Network:
  """Nine classes by SqueezeNet's first and last layers."""
  return _classifier(0, 33, 12)


@functools.cache
def features() -> Network:
  """The classifier's convolutions alone: no class scores."""
  network = classifier()
  layers = network.layers[:5]
  params = {name: network.params[name] for name in ("conv1", "conv2")}
  return network.replace(
    apply=GraphApply(layers),
    params=params,
    layers=layers,
    labels=(),
    output=None,
  )


@functools.cache
def judge() -> Network:
  """The same classes by another network, of another size."""
  return _classifier(1, 27, 10)


def _classifier(seed: int, side: int, width: int) -> Network:
  table = (
    *conv("conv1", "data", 8, 3, stride=2),
    *max_pool("pool1", "conv1"),
    *conv("conv2", "pool1", width, 3, pad=1),
    *conv("conv10", "conv2", 9, 1),
    *layer("scores", "global_average", "conv10/pre"),
    *layer("pool10", "global_average", "conv10"),
    *layer("prob", "softmax", "pool10"),
  )
  mean = np.array([123, 117, 104], np.float32)
  network = random_network(table, (side, side, 3), mean=mean, seed=seed)
  # Small weights in the end: no class is certain.
  params = {**network.params}
  params["conv10"] = {
    name: leaf / 30 for name, leaf in network.params["conv10"].items()
  }
  labels = tuple(f"thing {i}, or so" for i in range(9))
  return network.replace(params=params, labels=labels, output="scores")


@functools.cache
def own(activation: Callable = jax.nn.relu) -> Network:
  """A model of somebody's own, without a layer graph."""
  rng = np.random.default_rng(0)
  shapes = {"conv": (5, 5, 3, 6), "scores": (6, 4)}
  params = {name: _weights(rng, "kernel", x) for name, x in shapes.items()}
  spec = InputSpec((21, 21, 3), np.full(3, 120, np.float32))
  return from_function(_Own(activation), params, spec, output="scores")


def gelu() -> Network:
  """As `own`, without any ReLU."""
  return own(jax.nn.gelu)


@dataclasses.dataclass(frozen=True)
class _Own:
  activation: Callable

  def __call__(self, params, images):
    x = jax.lax.conv_general_dilated(
      images,
      params["conv"],
      (2, 2),
      "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    x = self.activation(x)
    return {"conv": x, "scores": x.mean((1, 2)) @ params["scores"]}
