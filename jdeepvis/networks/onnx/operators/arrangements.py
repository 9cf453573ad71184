"""Shapes, parts and joints: what moves values and computes nothing."""

import math
from collections.abc import Sequence

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  counted_axis,
  needed,
  numbers_at,
  view_at,
  whole_numbers,
)
from jdeepvis.networks.onnx.operators.reductions import along
from jdeepvis.networks.onnx.views import (
  View,
  natural_groups,
  reshaped,
  stored_groups,
  transposed,
  view_of,
)


def shape_of(build: Builder, node: Node, inputs: Inputs) -> Results:
  """A constant: every shape is known, of one image."""
  shape = view_at(inputs, 0).shape
  rank = len(shape)
  start, end = int(node.get("start", 0)), int(node.get("end", rank))
  return [np.asarray(shape[start:end] if rank else (), np.int64)]


def size_of_all(build: Builder, node: Node, inputs: Inputs) -> Results:
  """A constant as well."""
  return [np.asarray(math.prod(view_at(inputs, 0).shape), np.int64)]


def reshape(build: Builder, node: Node, inputs: Inputs) -> Results:
  """0 keeps an extent, -1 is whatever is left."""
  view = view_at(inputs, 0)
  said = numbers_at(node, "shape", inputs, 1)
  said = list(needed(said, "a shape"))
  if not node.get("allowzero", 0):
    said = [
      view.shape[i] if x == 0 and i < len(view.shape) else x
      for i, x in enumerate(said)
    ]
  size = math.prod(view.shape)
  # The file's own number of images; ours come one by one.
  whole = -1 not in said and math.prod(said) == size * build.batch
  if whole and build.batch in said:
    said[said.index(build.batch)] = 1
  known = math.prod(x for x in said if x != -1)
  said = [size // max(known, 1) if x == -1 else x for x in said]
  return [as_shape(build, node, view, said)]


def flatten(build: Builder, node: Node, inputs: Inputs) -> Results:
  """To a matrix."""
  view = view_at(inputs, 0)
  axis, rank = int(node.get("axis", 1)), len(view.axes)
  axis = axis + rank if axis < 0 else axis
  if not 0 <= axis <= rank:
    raise ValueError(f"its axis {axis} is none of {rank}")
  shape = math.prod(view.shape[:axis]), math.prod(view.shape[axis:])
  return [as_shape(build, node, view, shape)]


def squeeze(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Axes of extent 1 left out."""
  view = view_at(inputs, 0)
  said = numbers_at(node, "axes", inputs, 1)
  rank = len(view.axes)
  if said is None:
    gone = [axis for axis, extent in enumerate(view.shape) if extent == 1]
  else:
    gone = [counted_axis(axis, rank) for axis in said]
  if any(view.shape[axis] != 1 for axis in gone):
    raise ValueError(f"its axes {gone} of {list(view.shape)} are not all 1")
  axes = [x for axis, x in enumerate(view.axes) if axis not in gone]
  return [view._replace(axes=tuple(axes), name=node.name)]


def unsqueeze(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Axes of extent 1 added."""
  view = view_at(inputs, 0)
  said = needed(numbers_at(node, "axes", inputs, 1), "axes")
  rank = len(view.axes) + len(said)
  new = {counted_axis(axis, rank) for axis in said}
  have = iter(view.axes)
  axes = tuple(() if axis in new else next(have) for axis in range(rank))
  return [view._replace(axes=axes, name=node.name)]


def transpose(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Another order of the axes."""
  view = view_at(inputs, 0)
  order = node.get("perm") or tuple(range(len(view.axes)))[::-1]
  return [transposed(view, order)._replace(name=node.name)]


def depth_to_space(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Channels to places."""
  view, block = view_at(inputs, 0), int(node.get("blocksize", 1))
  n, c, h, w = view.shape
  if block < 1 or c % block**2:
    raise ValueError(f"its {c} channels are not {block} x {block} places")
  rows_first = node.get("mode", "DCR") == "DCR"
  if rows_first:
    cut, order = (n, block, block, c // block**2, h, w), (0, 3, 4, 1, 5, 2)
  else:
    cut, order = (n, c // block**2, block, block, h, w), (0, 1, 4, 2, 5, 3)
  view = transposed(as_shape(build, node, view, cut), order)
  shape = n, c // block**2, h * block, w * block
  return [as_shape(build, node, view, shape)]


def space_to_depth(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Places to channels."""
  view, block = view_at(inputs, 0), int(node.get("blocksize", 1))
  n, c, h, w = view.shape
  if block < 1 or h % block or w % block:
    raise ValueError(f"a map of {h} x {w} is not blocks of {block}")
  cut = n, c, h // block, block, w // block, block
  rows_first = node.get("mode", "DCR") == "DCR"
  order = (0, 3, 5, 1, 2, 4) if rows_first else (0, 1, 3, 5, 2, 4)
  view = transposed(as_shape(build, node, view, cut), order)
  shape = n, c * block**2, h // block, w // block
  return [as_shape(build, node, view, shape)]


def as_shape(
  build: Builder, node: Node, view: View, shape: Sequence[int]
) -> View:
  """The tensor in another shape, row by row."""
  shape = tuple(shape)
  if math.prod(shape) != math.prod(view.shape) or min(shape, default=1) < 1:
    raise ValueError(
      f"it reshapes {list(view.shape)} to {list(shape)}, of another size"
    )
  found = reshaped(view, shape)
  if found is None:
    groups = (tuple(i for axis in view.axes for i in axis),)
    view = build.placed(view, groups)
    flat = view_of(view.blob, view.stored, [0], node.name, view.kind)
    found = reshaped(flat, shape)
  return found._replace(name=node.name)


def concat(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Along any axis; constants are blobs."""
  views = [
    build.view(value, node.name)
    for value in inputs
    if isinstance(value, View) or value.size
  ]
  number = counted_axis(
    int(needed(node.get("axis"), "an axis")), len(views[0].axes)
  )
  if len(views) == 1:
    return [views[0]]
  first = max(views, key=lambda view: bool(view.axes[number]))
  first = along(build, first, number)
  order = _order_of(first.view, first.place, number)
  blobs = []
  for view in views:
    groups = tuple(
      view.axes[axis] if axis is not None else () for axis in order
    )
    dims = tuple(math.prod(view.atoms[i] for i in group) for group in groups)
    blobs.append(build.rearranged(view, groups, dims))
  last = first.place == len(order) - 1
  kind, options = "concat", {}
  if not last:
    kind, options = "concat_axis", {"axis": first.place + 2}
  (made,) = build.emit(node.name, kind, blobs, options)
  axes = [
    order.index(axis) if axis in order else None
    for axis in range(len(views[0].axes))
  ]
  kind = views[0].kind
  return [view_of(made, build.stored(made), axes, node.name, kind)]


def _order_of(view: View, place: int, number: int) -> list[int | None]:
  """The ONNX axis of each of a blob's axes."""
  order: list[int | None] = []
  for at, group in enumerate(stored_groups(view)):
    if at == place:
      order.append(number)
    elif group and group in view.axes:
      order.append(view.axes.index(group))
    elif not group:
      order.append(None)
    else:
      break
  else:
    return order
  groups = natural_groups(view)
  return [view.axes.index(group) for group in groups]


def split(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Into parts of one axis."""
  view = view_at(inputs, 0)
  number = counted_axis(int(node.get("axis", 0)), len(view.axes))
  extent = view.shape[number]
  sizes = numbers_at(node, "split", inputs, 1)
  if sizes is None:
    count = int(node.get("num_outputs", len(node.outputs)))
    size = -(-extent // max(count, 1))
    sizes = (*(size for _ in range(count - 1)), extent - size * (count - 1))
  if sum(sizes) != extent or min(sizes) < 0 or len(sizes) != len(node.outputs):
    raise ValueError(f"its parts {list(sizes)} are not those of {extent}")
  if extent in sizes:
    shape = [0 if i == number else x for i, x in enumerate(view.shape)]
    empty = np.zeros(shape, np.float32)
    return [view if size else empty for size in sizes]
  if min(sizes) < 1:
    raise CannotRunError("some of its parts are empty")
  axis = along(build, view, number)
  options = {"points": tuple(int(x) for x in np.cumsum(sizes)[:-1])}
  kind = "slice"
  if axis.place != len(axis.view.stored) - 1:
    kind, options = "slice_axis", options | {"axis": axis.place + 2}
  made = build.emit(
    node.name, kind, [axis.view.blob], options, outputs=len(sizes)
  )
  return [
    axis.result(build, blob, blob, size)
    for blob, size in zip(made, sizes, strict=True)
  ]


def expand(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Repeats what is of extent 1."""
  view = view_at(inputs, 0)
  shape = whole_numbers(needed(constant_at(inputs, 1), "a shape"))
  shape = np.broadcast_shapes(shape, view.shape)
  view = view._replace(axes=((),) * (len(shape) - len(view.axes)) + view.axes)
  if shape == view.shape:
    return [view]
  order = [axis for axis, extent in enumerate(shape) if extent > 1]
  groups = tuple(view.axes[axis] for axis in order)
  blob = build.rearranged(view, groups)
  options = {"dims": tuple(shape[axis] for axis in order)}
  (made,) = build.emit(node.name, "expand", [blob], options)
  axes = [order.index(i) if i in order else None for i in range(len(shape))]
  return [view_of(made, build.stored(made), axes, node.name, view.kind)]


def tile(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Repeats whole axes."""
  view = view_at(inputs, 0)
  counts = whole_numbers(needed(constant_at(inputs, 1), "repeats"))
  if len(counts) != len(view.axes) or min(counts, default=1) < 1:
    raise CannotRunError(
      f"its repeats {list(counts)} are not one for each axis"
    )
  order = [
    axis
    for axis, extent in enumerate(view.shape)
    if extent > 1 or counts[axis] > 1
  ]
  if not order:
    return [view]
  blob = build.rearranged(view, tuple(view.axes[axis] for axis in order))
  options = {"counts": tuple(counts[axis] for axis in order)}
  (made,) = build.emit(node.name, "repeat", [blob], options)
  axes = [order.index(i) if i in order else None for i in range(len(counts))]
  return [view_of(made, build.stored(made), axes, node.name, view.kind)]
