"""Both sides of an activation are blobs, `x/pre` and `x`, also of concats."""

from collections.abc import Sequence

from jdeepvis.networks.layer_types import is_relu
from jdeepvis.networks.network import LayerInfo


def with_sides_of_concats(
  layers: Sequence[LayerInfo],
) -> tuple[LayerInfo, ...]:
  """Joins rectified maps before their ReLU, so that both sides are known."""
  relus = {x.outputs[0]: x.inputs[0] for x in layers if is_relu(x)}
  taken = {name for layer in layers for name in layer.outputs}
  done = []
  for layer in layers:
    before = f"{layer.outputs[0]}/pre" if layer.outputs else ""
    joins = layer.kind == "concat" and relus.keys() >= set(layer.inputs)
    if not joins or before in taken:
      done.append(layer)
      continue
    inputs = tuple(relus[name] for name in layer.inputs)
    done.append(LayerInfo(before, "concat", inputs, (before,)))
    done.append(LayerInfo(layer.name, "relu", (before,), layer.outputs))
  return tuple(done)
