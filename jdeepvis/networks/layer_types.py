"""Every layer type, by the name that `LayerInfo.kind` gives it.

A type of one's own joins by `LAYER_TYPES["mine"] = LayerType(apply, weights)`;
with `caffe=("Mine",)` Caffe's files may have it too.
"""

from jdeepvis.networks.layers import (
  activations,
  arrangements,
  elementwise,
  normalisations,
  poolings,
  products,
)
from jdeepvis.networks.layers.layer_type import LayerType, Shape, Step, padding
from jdeepvis.networks.network import LayerInfo

__all__ = [
  "LAYER_TYPES",
  "LayerType",
  "Shape",
  "Step",
  "is_relu",
  "kind_of",
  "padding",
]

LAYER_TYPES: dict[str, LayerType] = {
  **products.TYPES,
  **poolings.TYPES,
  **normalisations.TYPES,
  **activations.TYPES,
  **elementwise.TYPES,
  **arrangements.TYPES,
}
"""Theirs and one's own."""


def is_relu(layer: LayerInfo) -> bool:
  """Whether it is a rectifier that lets nothing below 0 through."""
  return layer.kind == "relu" and not layer.option("slope", 0)


def kind_of(caffe: str) -> str | None:
  """The layer type that one of Caffe's becomes, if it is known."""
  for kind, known in LAYER_TYPES.items():
    if caffe in known.caffe:
      return kind
  return None
