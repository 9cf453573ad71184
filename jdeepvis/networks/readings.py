"""What a layer graph says of how scores become probabilities."""

from collections.abc import Iterable, Sequence

from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import LayerInfo

SOFTMAX, SIGMOID = "softmax", "sigmoid"
"""What `LayerType.probabilities` may be."""


def reading(
  layers: Sequence[LayerInfo], weighed: Iterable[str] = ()
) -> LayerInfo | None:
  """The softmax, or else the sigmoid, that makes scores probabilities.

  The last one that no layer behind it weighs anything with; None where there is
  none, and nothing is said of probabilities.

  Args:
    layers: a layer graph, in order of computation.
    weighed: blobs that layers which are not in the graph weigh something with.
  """
  mixed = set(weighed)
  found: dict[str, LayerInfo] = {}
  for layer in reversed(layers):
    behind = mixed & set(layer.outputs)
    ours = LAYER_TYPES[layer.kind]
    if ours.probabilities and not behind:
      found.setdefault(ours.probabilities, layer)
    if behind or ours.weighs:
      mixed |= set(layer.inputs)
  return found.get(SOFTMAX) or found.get(SIGMOID)
