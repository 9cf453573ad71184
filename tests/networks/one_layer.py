"""A layer as a function of arrays, plain and as on a CPU."""

from jdeepvis.networks import cpu
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import LayerInfo


def run(
  kind,
  x,
  kernel=None,
  bias=None,
  *,
  fast=False,
  transpose=None,
  window=(1, 1),
  stride=(1, 1),
  pad=(0, 0),
  dilation=(1, 1),
  **options,
):
  """Its output; `kernel`, `bias` and `transpose` are its weights."""
  if kernel is not None and kernel.ndim == 4:
    window = kernel.shape[:2]
  named = tuple(sorted(options.items()))
  layer = LayerInfo(
    "x", kind, ("a",), ("b",), window, stride, pad, dilation, named
  )
  weights = {"kernel": kernel, "bias": bias, "transpose": transpose}
  weights = {name: leaf for name, leaf in weights.items() if leaf is not None}
  apply = LAYER_TYPES[kind].apply
  apply = cpu.implementation(kind, apply) if fast else apply
  return apply(layer, weights, (x,), None)
