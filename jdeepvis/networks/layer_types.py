"""Every layer type, by the name that `LayerInfo.kind` gives it.

A type of one's own joins by `LAYER_TYPES["mine"] = LayerType(apply, weights)`;
with `caffe={"Mine": no_settings}` Caffe's files may have it too.
"""

from jdeepvis.networks.layers import (
  activations,
  arithmetic,
  arrangements,
  axes,
  elementwise,
  normalisation,
  pooling,
  products,
  resizing,
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
  **resizing.TYPES,
  **arithmetic.TYPES,
  **axes.TYPES,
}
"""Ours and one's own."""

BUILT_IN = frozenset(
  pair for ours in LAYER_TYPES.values() for pair in ours.caffe.items()
)
"""Caffe's names with our readers of them, in place of which may be others."""


def is_relu(layer: LayerInfo) -> bool:
  """Whether it is a rectifier that lets nothing below 0 through."""
  return layer.kind == "relu" and not layer.option("slope", 0)


def kind_of(caffe: str) -> str | None:
  """The layer type that one of Caffe's becomes, if it is known.

  Where several have that name it is the one that came last, one's own.
  """
  last_first = reversed(LAYER_TYPES.items())
  return next((kind for kind, type in last_first if caffe in type.caffe), None)
