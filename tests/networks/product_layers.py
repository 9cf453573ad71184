"""Layers with a kernel as functions of arrays, plain and as on a CPU."""

from jdeepvis.networks import cpu
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import LayerInfo


def run(
  kind,
  x,
  kernel,
  bias=None,
  *,
  fast=False,
  transpose=None,
  stride=(1, 1),
  pad=(0, 0),
  dilation=(1, 1),
  **options,
):
  """One layer's output; `options` are those of `LayerInfo`."""
  window = (kernel[0] if isinstance(kernel, tuple) else kernel).shape[:2]
  window = window if x.ndim == 4 and kind != "inner_product" else (1, 1)
  named = tuple(sorted(options.items()))
  layer = LayerInfo(
    "x", kind, ("a",), ("b",), window, stride, pad, dilation, named
  )
  weights = {"kernel": kernel, "bias": bias, "transpose": transpose}
  weights = {name: leaf for name, leaf in weights.items() if leaf is not None}
  apply = LAYER_TYPES[kind].apply
  apply = cpu.implementation(kind, apply) if fast else apply
  return apply(layer, weights, (x,), None)
