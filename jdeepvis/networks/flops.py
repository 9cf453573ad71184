"""How much arithmetic a network takes, counted from its layer graph."""

import math
from collections.abc import Iterator

from jdeepvis.networks.graph import averaged_products, infer_shapes
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import LayerInfo, Network
from jdeepvis.types import JdeepvisError


def count_flops(network: Network, layer: str | None = None) -> dict[str, int]:
  """Floating-point operations of one image's forward pass, layer by layer.

  A multiplication and an addition are two. Only the products with weights are
  counted, as all else is linear in the size of the maps. The image's gradient
  takes the same number again, one transposed product for each product.

  Args:
    network: a network with a layer graph.
    layer: the blob that is wanted; what it does not need is not counted. None
      counts all.

  Raises:
    JdeepvisError: there is no such layer, or no layer graph.
  """
  if not network.layers:
    raise JdeepvisError(
      "This network has no layer graph, from which its operations are counted."
    )
  last = None if layer is None else find_layer(network, layer)
  blobs, weights = infer_shapes(network.layers, network.input.shape)
  counts = {}
  for info, once in _needed(network.layers, last):
    if product := LAYER_TYPES[info.kind].product:
      kernel = weights[info.weights_key]["kernel"]
      blob = (info.outputs if product == "output" else info.inputs)[0]
      positions = 1 if once else math.prod(blobs[blob][:-1])
      counts[info.name] = 2 * math.prod(kernel) * positions
  return counts


def _needed(
  layers: tuple[LayerInfo, ...], last: str | None
) -> Iterator[tuple[LayerInfo, bool]]:
  """Layers in order, and whether only the mean over positions is needed."""
  averaged = averaged_products(layers)
  wanted = {name for layer in layers for name in layer.outputs}
  if last is not None:
    wanted = {last}
  means, needed = set(), []
  for layer in reversed(layers):
    if wanted.intersection(layer.outputs):
      if product := averaged.get(layer.name):
        means.add(product)
      else:
        wanted.update(layer.inputs)
      needed.append((layer, False))
    elif layer in means:
      wanted.update(layer.inputs)
      needed.append((layer, True))
  return reversed(needed)
