"""Every layer type, by the name that `LayerInfo.kind` gives it.

A type of one's own joins by `LAYER_TYPES["mine"] = LayerType(apply, weights)`;
with `caffe={"Mine": no_settings}` Caffe's files may have it too.
"""

from jdeepvis.networks.layers import (
  activations,
  arrangements,
  elementwise,
  normalisation,
  pooling,
  products,
)
from jdeepvis.networks.layers.layer_type import LayerType
from jdeepvis.networks.network import LayerInfo

LAYER_TYPES: dict[str, LayerType] = {
  **products.TYPES,
  **pooling.TYPES,
  **normalisation.TYPES,
  **activations.TYPES,
  **elementwise.TYPES,
  **arrangements.TYPES,
}
"""Ours and one's own."""


def is_relu(layer: LayerInfo) -> bool:
  """Whether it is a rectifier that lets nothing below 0 through."""
  return layer.kind == "relu" and not layer.option("slope", 0)


def kind_of(caffe: str) -> str | None:
  """The layer type that one of Caffe's becomes, if it is known."""
  known = (kind for kind, type in LAYER_TYPES.items() if caffe in type.caffe)
  return next(known, None)
