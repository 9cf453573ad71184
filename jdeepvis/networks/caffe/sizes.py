"""The size of a net's images against what its units look at."""

from collections.abc import Mapping

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.network import LayerInfo


def small_size(
  layers: tuple[LayerInfo, ...], shapes: Mapping[str, Shape], file: str
) -> tuple[str, ...]:
  """A sentence where the image is smaller than what a unit looks at.

  Of a net with a classifier only where a window is larger than its map: its
  file says the size that it was trained on.
  """
  height, width, _ = shapes[INPUT]
  free = not any(_sees_all(layer, shapes) for layer in layers)
  # Of each blob: how much of the image a unit sees, and from one to the next.
  fields = {INPUT: ((1, 1), (1, 1))}
  largest, where = (1, 1), ""
  for layer in layers:
    read = [fields[name] for name in layer.inputs if name in fields]
    if LAYER_TYPES[layer.kind].reach == "map" or len(read) < len(layer.inputs):
      continue
    seen = tuple(max(field[i] for field, _ in read) for i in (0, 1))
    step = read[0][1]
    spans = tuple(layer.dilation[i] * (layer.kernel[i] - 1) + 1 for i in (0, 1))
    seen = tuple(seen[i] + (spans[i] - 1) * step[i] for i in (0, 1))
    step = tuple(step[i] * layer.stride[i] for i in (0, 1))
    fields |= dict.fromkeys(layer.outputs, (seen, step))
    over = [
      spans[i] > shapes[layer.inputs[0]][i] and spans[i] > 1
      for i in (0, 1)
      if len(shapes[layer.inputs[0]]) == 3
    ]
    if (free or any(over)) and max(seen) > max(largest):
      largest, where = seen, layer.outputs[0]
  if largest[0] <= height and largest[1] <= width:
    return ()
  return (
    f"{file}: the input of {height} x {width} pixels is smaller than the "
    f"{largest[0]} x {largest[1]} that a unit of {where!r} looks at; "
    "size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH gives a larger one.",
  )


def _sees_all(layer: LayerInfo, shapes: Mapping[str, Shape]) -> bool:
  if LAYER_TYPES[layer.kind].reach == "map" and layer.kind != "deconvolution":
    return True
  shape = shapes[layer.inputs[0]] if layer.inputs else ()
  return (
    layer.kind == "average_pooling"
    and layer.kernel == shape[:2]
    and layer.kernel != (1, 1)
  )
