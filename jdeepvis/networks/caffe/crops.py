"""Crops that say no offset: BVLC's Caffe takes 0, the fork of FCN finds it.

Long, Shelhamer and Darrell's fork, with which FCN and HED were trained, lays
both blobs over the image (its coord_map.py) and crops so that they meet.
"""

from typing import NamedTuple

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.arrangements import FOUND
from jdeepvis.networks.network import LayerInfo


class _Map(NamedTuple):
  """Where cells lie in the image, an axis: `step * cell + first`, pixels."""

  step: float
  first: float


_Maps = tuple[_Map, _Map]


def with_offsets(
  layers: tuple[LayerInfo, ...], file: str
) -> tuple[tuple[LayerInfo, ...], tuple[str, ...]]:
  """Crops with their offsets, and a sentence where forks would differ."""
  maps: dict[str, _Maps | None] = {INPUT: (_Map(1, 0), _Map(1, 0))}
  done, notes = [], []
  for layer in layers:
    origin = layer.option("origin")
    if origin:
      found = _offsets(maps.get(layer.inputs[0]), maps.get(layer.inputs[1]))
      options = {k: v for k, v in layer.options if k != "origin"}
      if origin == FOUND and found:
        options["offsets"] = found
      elif found and any(found):
        said = " ".join(f"offset: {x}" for x in found)
        notes.append(
          f"{file}: layer {layer.name!r} (Crop) says no offset, so it is 0 as "
          "in BVLC's Caffe; in the fork that FCN and HED were trained with it "
          f"is found, so write crop_param {{ axis: 2 {said} }} if this net was."
        )
      layer = layer._replace(options=tuple(sorted(options.items())))
    done.append(layer)
    maps |= dict.fromkeys(layer.outputs, _map_of(layer, maps))
  return tuple(done), tuple(notes)


def _offsets(cut: _Maps | None, reference: _Maps | None):
  """By how many cells the reference begins later, where that is whole."""
  if cut is None or reference is None:
    return None
  offsets = []
  for ours, theirs in zip(cut, reference, strict=True):
    offset = (theirs.first - ours.first) / ours.step
    if ours.step != theirs.step or offset < 0 or offset != int(offset):
      return None
    offsets.append(int(offset))
  return tuple(offsets)


def _map_of(layer: LayerInfo, maps) -> _Maps | None:
  before = maps.get(layer.inputs[0]) if layer.inputs else None
  if before is None:
    return None
  if layer.kind == "crop":
    offsets = layer.option("offsets") or (0,)
    offsets = offsets * 2 if len(offsets) == 1 else offsets[-2:]
    if layer.option("axis", 2) != 2:
      return None
    return tuple(
      _Map(x.step, x.first + x.step * offset)
      for x, offset in zip(before, offsets, strict=True)
    )
  reach = LAYER_TYPES[layer.kind].reach
  if reach == "map" and layer.kind != "deconvolution":
    return None
  moved = []
  for axis, x in enumerate(before):
    span = layer.dilation[axis] * (layer.kernel[axis] - 1)
    middle, stride = span / 2 - layer.pad[axis], layer.stride[axis]
    if layer.kind == "deconvolution":
      moved.append(_Map(x.step / stride, x.first - x.step / stride * middle))
    else:
      moved.append(_Map(x.step * stride, x.first + x.step * middle))
  return tuple(moved)
