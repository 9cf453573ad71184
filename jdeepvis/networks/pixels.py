"""Networks that take RGB pixels, 0..255, whatever they were trained on."""

import numpy as np

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import Params


def fold_pixels(
  layers: tuple[LayerInfo, ...],
  params: Params,
  shape: tuple[int, int, int],
  *,
  reverse: bool,
  scale: float | int | np.ndarray = 1.0,
) -> tuple[tuple[LayerInfo, ...], Params]:
  """Makes a network take RGB pixels, whatever it was trained on.

  The channel order and the scale go into the weights that read the images;
  where other layers read them too, into a layer of their own in front.

  Args:
    layers: the graph.
    params: its weights.
    shape: the input's height, width, channels.
    reverse: the weights expect the channels in the opposite order.
    scale: what the weights expect pixels multiplied by; one number, or one a
      channel in our order.
  """
  if not reverse and np.all(np.asarray(scale) == 1):
    return layers, params
  readers = [layer for layer in layers if INPUT in layer.inputs]
  keys = {layer.weights_key for layer in readers}
  foldable = all(
    LAYER_TYPES[layer.kind].product == "output"
    and layer.option("groups", 1) == 1
    and layer.option("axis", 1) == 1
    for layer in readers
  ) and not any(
    layer.weights_key in keys for layer in layers if layer not in readers
  )
  if not foldable:
    return _with_pixels_layer(layers, reverse, float(scale)), params
  params = dict(params)
  for key in keys:
    kernel = params[key]["kernel"]
    folded = kernel.reshape(-1, shape[2], kernel.shape[-1])
    folded = folded[:, ::-1] if reverse else folded
    folded = folded * np.float32(scale).reshape(-1, 1)
    kernel = np.ascontiguousarray(folded, np.float32).reshape(kernel.shape)
    params[key] = {**params[key], "kernel": kernel}
  return layers, params


def _with_pixels_layer(layers, reverse: bool, scale: float):
  name = "data/pixels"
  options = (("reverse", reverse), ("scale", scale))
  first = LayerInfo(name, "pixels", (INPUT,), (name,), options=options)
  others = (
    layer._replace(
      inputs=tuple(name if x == INPUT else x for x in layer.inputs)
    )
    for layer in layers
  )
  return (first, *others)
