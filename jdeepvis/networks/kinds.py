"""What each kind of layer does: the vocabulary of a layer graph.

A kind of one's own joins by `KINDS["mine"] = Kind(apply, weights)`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdeepvis.networks import ops
from jdeepvis.networks.network import LayerInfo

Shape = tuple[int, ...]


class Kind(NamedTuple):
  """A layer's operation and its weights.

  Attributes:
    apply: `apply(layer, weights, inputs, relu)` gives the one output, or a
      tuple of them. `inputs` are the blobs read, with the batch axis;
      `weights` the layer's own, by leaf name; `relu` the rectifier in force.
    weights: `weights(layer, shapes)` gives each leaf's shape from the shapes
      of the inputs, without the batch axis.
    reach: which cells of a map one output cell reads: `cell`, the one at its
      own place; `window`, those under the layer's kernel, with what
      `padding` tells around the map; `map`, all.
  """

  apply: Callable
  weights: Callable[[LayerInfo, Sequence[Shape]], Mapping[str, Shape]] = (
    lambda layer, shapes: {}
  )
  reach: str = "map"


def _convolution(layer, weights, inputs, relu):
  (x,) = inputs
  kernel, bias = weights["kernel"], weights.get("bias")
  return ops.convolution(
    x,
    kernel,
    bias,
    stride=layer.stride,
    padding=padding(layer, x.shape[1:3]),
    dilation=layer.dilation,
    groups=layer.option("groups", 1),
  )


def _convolution_weights(layer, shapes):
  features = layer.option("features")
  channels = shapes[0][-1] // layer.option("groups", 1)
  kernel = {"kernel": (*layer.kernel, channels, features)}
  return kernel | _bias(layer, features)


def _inner_product(layer, weights, inputs, relu):
  (x,) = inputs
  return ops.inner_product(x, weights["kernel"], weights.get("bias"))


def _inner_product_weights(layer, shapes):
  features = layer.option("features")
  size = 1
  for extent in shapes[0]:
    size *= extent
  return {"kernel": (size, features)} | _bias(layer, features)


def _bias(layer, features):
  return {"bias": (features,)} if layer.option("bias", True) else {}


def _max_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  where = padding(layer, x.shape[1:3], ceil=layer.option("ceil", True))
  return ops.max_pool(x, layer.kernel, layer.stride, where)


def _average_pooling(layer, weights, inputs, relu):
  (x,) = inputs
  size = x.shape[1:3]
  where = padding(layer, size, ceil=True)
  divisor = ops.average_divisor(
    size, layer.kernel, layer.stride, layer.pad, where
  )
  return ops.average_pool(x, layer.kernel, layer.stride, where, divisor)


def _global_average(layer, weights, inputs, relu):
  (x,) = inputs
  return jnp.mean(x, axis=(1, 2), keepdims=True)


def _relu(layer, weights, inputs, relu):
  (x,) = inputs
  return relu(x)


def _lrn(layer, weights, inputs, relu):
  (x,) = inputs
  return ops.local_response_normalisation(x, **dict(layer.options))


def _softmax(layer, weights, inputs, relu):
  (x,) = inputs
  return jax.nn.softmax(x, axis=-1)


def _concat(layer, weights, inputs, relu):
  return jnp.concatenate(inputs, axis=-1)


def _trim(layer, weights, inputs, relu):
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  return jax.lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))


def padding(
  layer: LayerInfo, size: ops.Pair, *, ceil: bool = False
) -> ops.Padding:
  """What a windowed layer adds around a map of `size` (height, width).

  The option `padding`, `((top, bottom), (left, right))`, goes before what
  follows from `pad`; negative numbers take cells away. It is how the layers
  of a crop know which of their edges are edges of the whole map.
  """
  if explicit := layer.option("padding"):
    return explicit
  return tuple(
    ops.windows(*axis, ceil=ceil)[1:]
    for axis in zip(
      size, layer.kernel, layer.stride, layer.pad, layer.dilation, strict=True
    )
  )


KINDS: dict[str, Kind] = {
  "convolution": Kind(_convolution, _convolution_weights, reach="window"),
  "inner_product": Kind(_inner_product, _inner_product_weights),
  "max_pooling": Kind(_max_pooling, reach="window"),
  "average_pooling": Kind(_average_pooling, reach="window"),
  "global_average": Kind(_global_average),
  "relu": Kind(_relu, reach="cell"),
  "lrn": Kind(_lrn, reach="cell"),
  "softmax": Kind(_softmax, reach="cell"),
  "concat": Kind(_concat, reach="cell"),
  "trim": Kind(_trim, reach="window"),
}
