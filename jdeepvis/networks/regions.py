"""Which region of each blob a unit depends on, from the layer graph alone."""

import functools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import Shape, padding
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

Position = tuple[int, int]


class Rectangle(NamedTuple):
  """Rows `top:bottom` and columns `left:right` of a map or an image."""

  top: int
  left: int
  bottom: int
  right: int

  @property
  def size(self) -> tuple[int, int]:
    """Height and width."""
    return self.bottom - self.top, self.right - self.left

  @property
  def slices(self) -> tuple[slice, slice]:
    """Cuts the rectangle from an array `[h, w, ...]`."""
    return slice(self.top, self.bottom), slice(self.left, self.right)

  def union(self, other: "Rectangle") -> "Rectangle":
    """The smallest rectangle around both."""
    return Rectangle(
      *map(min, self[:2], other[:2]), *map(max, self[2:], other[2:])
    )

  def clip(self, whole: "Rectangle") -> "Rectangle":
    """The part within `whole`; if empty, the nearest position to it."""
    first = [
      min(max(start, low), high - 1)
      for start, low, high in zip(self[:2], whole[:2], whole[2:], strict=True)
    ]
    last = [
      max(min(end, high), start + 1)
      for end, high, start in zip(self[2:], whole[2:], first, strict=True)
    ]
    return Rectangle(*first, *last)


def needed_regions(
  layers: Iterable[LayerInfo],
  shapes: Mapping[str, Shape],
  blob: str,
  region: Rectangle,
  *,
  clip: bool = True,
) -> dict[str, Rectangle]:
  """Walks a layer graph back from a region of a blob.

  Args:
    layers: the graph, in order of computation.
    shapes: of each blob, `(h, w, c)` or `(c,)`.
    blob: where to begin.
    region: the part of it that is wanted.
    clip: whether what lies beyond a map is left out.

  Returns:
    The region that is needed of `blob` and of every blob it depends on.
  """
  needed = {blob: region}
  for layer in reversed(tuple(layers)):
    wanted = [needed[name] for name in layer.outputs if name in needed]
    if not wanted:
      continue
    made = functools.reduce(Rectangle.union, wanted)
    for name in layer.inputs:
      read = region_read(layer, made, shapes[name])
      read = read.clip(whole(shapes[name])) if clip else read
      needed[name] = read.union(needed.get(name, read))
    if _reach(layer) == "map":
      needed[INPUT] = whole(shapes[INPUT])
  return needed


def region_read(layer: LayerInfo, made: Rectangle, shape: Shape) -> Rectangle:
  """What a layer reads, of a blob of `shape`, to make a region; unclipped."""
  reach = _reach(layer)
  if reach == "position":
    return made
  if reach != "window":
    return whole(shape)
  starts, ends = [], []
  for axis, (before, _) in enumerate(padding(layer, shape[:2])):
    stride, extent = layer.stride[axis], layer.kernel[axis] - 1
    starts.append(made[axis] * stride - before)
    last = (made[axis + 2] - 1) * stride - before
    ends.append(last + layer.dilation[axis] * extent + 1)
  return Rectangle(*starts, *ends)


def whole(shape: Shape) -> Rectangle:
  """All of a blob; a vector counts as a map of 1 x 1."""
  return Rectangle(0, 0, *(shape[:2] if len(shape) == 3 else (1, 1)))


def locate(layer: str, shape: Shape, position: Position | None) -> Rectangle:
  """The one position of a layer's map that `position` names.

  Raises:
    JdeepvisError: it lies outside the map.
  """
  _, _, height, width = whole(shape)
  row, column = position or (height // 2, width // 2)
  if not (0 <= row < height and 0 <= column < width):
    raise JdeepvisError(
      f"Layer {layer!r} has {height} x {width} positions, so "
      f"({row}, {column}) is not among them."
    )
  return Rectangle(row, column, row + 1, column + 1)


def _reach(layer: LayerInfo) -> str:
  return LAYER_TYPES[layer.kind].reach
