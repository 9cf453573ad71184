"""Unpooling by the mask of a maximum: where it is exact."""

from collections.abc import Mapping, Sequence

from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.left_out import LeftOut, without
from jdeepvis.networks.network import LayerInfo


def with_scales(
  layers: tuple[LayerInfo, ...],
) -> tuple[LayerInfo, ...]:
  """Unpooling to a size that is said takes its scale from its pooling.

  As in SegNet, where the mask alone says where values go.
  """
  masks = _masks(layers)
  return tuple(
    _with_scale(layer, masks[layer.inputs[1]].kernel)
    if layer.kind == "unpool"
    and layer.option("to")
    and layer.inputs[1] in masks
    else layer
    for layer in layers
  )


def exact(
  layers: tuple[LayerInfo, ...], shapes: Mapping[str, Shape], file: str
) -> tuple[tuple[LayerInfo, ...], tuple[str, ...]]:
  """Leaves out unpooling that does not undo its pooling cell by cell.

  An unpooled map must be as large as the one that was pooled, whose cells the
  mask counts, and no two windows may share a cell.
  """
  masks, notes = _masks(layers), []
  for layer in layers:
    if layer.kind != "unpool":
      continue
    pool = masks.get(layer.inputs[1])
    undone = (
      pool is not None
      and pool.kernel == pool.stride == layer.option("scale")
      and pool.pad == (0, 0)
      and shapes[pool.inputs[0]][:2] == shapes[layer.outputs[0]][:2]
    )
    if undone or layer not in layers:
      continue
    layers, names = without(layers, layer)
    why = LeftOut(
      f"layer {layer.name!r} cannot be run here and is left out",
      ": its mask is not that of a maximum over windows without overlap or "
      "padding, of a map of the unpooled size",
    )
    notes.append(f"{file}: {why.sentence(names)}.")
  return layers, tuple(notes)


def _masks(layers: Sequence[LayerInfo]) -> dict[str, LayerInfo]:
  return {x.outputs[0]: x for x in layers if x.kind == "max_pooling_mask"}


def _with_scale(layer: LayerInfo, scale: tuple[int, int]) -> LayerInfo:
  options = dict(layer.options) | {"scale": scale}
  return layer._replace(options=tuple(sorted(options.items())))
