"""Parts of axes, padding and resampling."""

import math

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results
from jdeepvis.networks.onnx.folding import fold
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.arrangements import as_shape
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  counted_axis,
  needed,
  numbers_at,
  single,
  view_at,
  whole_numbers,
)
from jdeepvis.networks.onnx.operators.reductions import along
from jdeepvis.networks.onnx.views import (
  View,
  plain_axes,
  stored_groups,
  view_of,
)

_MODES = ("constant", "reflect", "edge", "wrap")


def slice_(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Ranges of several axes, in steps."""
  view = view_at(inputs, 0)
  rank = len(view.axes)
  starts = needed(numbers_at(node, "starts", inputs, 1), "starts")
  ends = needed(numbers_at(node, "ends", inputs, 2), "ends")
  axes = numbers_at(node, "axes", inputs, 3) or tuple(range(len(starts)))
  steps = numbers_at(node, "steps", inputs, 4) or (1,) * len(starts)
  cuts = {}
  for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
    axis = counted_axis(axis, rank)
    if step == 0:
      raise ValueError("its step is 0")
    found = range(*slice(start, end, step).indices(view.shape[axis]))
    if not found:
      raise CannotRunError("nothing is left of what it cuts")
    if found != range(view.shape[axis]):
      cuts[axis] = found
  if window := _as_window(build, node, view, cuts):
    return [window]
  for axis, found in cuts.items():
    view = _selected(build, node.name, view, axis, found)
  return [view._replace(name=node.name)]


def _as_window(build: Builder, node: Node, view: View, cuts) -> View | None:
  """Height and width of a map, of which a unit still sees its own part."""
  plain = plain_axes(view)
  if plain is None or len(view.stored) != 3 or not cuts:
    return None
  by_place = {plain[axis]: found for axis, found in cuts.items()}
  if not by_place.keys() <= {0, 1} or any(
    x.step < 0 for x in by_place.values()
  ):
    return None
  stride, edges = [], []
  for place in (0, 1):
    extent = view.stored[place]
    found = by_place.get(place, range(extent))
    stride.append(found.step)
    edges.append((-found[0], found[-1] + 1 - extent))
  if max(stride) > 4096:
    return None
  options = {"padding": tuple(edges)}
  (made,) = build.emit(
    node.name, "cut_window", [view.blob], options, stride=tuple(stride)
  )
  return view_of(made, build.stored(made), plain, node.name, view.kind)


def _selected(build: Builder, name, view: View, number: int, found: range):
  axis = along(build, view, number)
  last = axis.place == len(axis.view.stored) - 1
  kind = "select_channels" if last else "select"
  options = {
    "axis": axis.place,
    "start": found.start,
    "stop": found.stop,
  }
  if found.step != 1:
    options["step"] = found.step
  (made,) = build.emit(name, kind, [axis.view.blob], options)
  return axis.result(build, made, name, len(found))


def gather(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Places of one axis that are known beforehand."""
  view = view_at(inputs, 0)
  indices = needed(constant_at(inputs, 1), "indices")
  number = counted_axis(int(node.get("axis", 0)), len(view.axes))
  extent = view.shape[number]
  places = [int(x) % extent for x in indices.reshape(-1)]
  if any(not -extent <= int(x) < extent for x in indices.reshape(-1)):
    raise ValueError(f"its indices are not within {extent}")
  if not places:
    raise CannotRunError("it gathers nothing")
  if extent == 1 and len(places) == 1:
    made = view
  else:
    axis = along(build, view, number)
    last = axis.place == len(axis.view.stored) - 1
    kind = "take_channels" if last else "take"
    options = {"axis": axis.place, "indices": tuple(places)}
    (blob,) = build.emit(node.name, kind, [axis.view.blob], options)
    made = axis.result(build, blob, node.name, len(places))
  before, after = made.shape[:number], made.shape[number + 1 :]
  shape = (*before, *indices.shape, *after)
  return [as_shape(build, node, made, shape)]


def pad(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Around any axes; zeros around a map keep what a unit sees."""
  view = view_at(inputs, 0)
  rank = len(view.axes)
  pads = numbers_at(node, "pads", inputs, 1)
  pads = node.get("paddings") if pads is None else pads
  pads = whole_numbers(needed(pads, "pads"))
  mode = node.get("mode", "constant")
  if mode not in _MODES:
    raise CannotRunError(f"its mode {mode!r} is not known here")
  number = constant_at(inputs, 2) if len(inputs) > 2 else None
  number = float(node.get("value", 0.0)) if number is None else single(number)
  axes = numbers_at(node, "axes", inputs, 3)
  axes = [counted_axis(x, rank) for x in axes] if axes else list(range(rank))
  if len(pads) != 2 * len(axes):
    raise ValueError(f"its pads {list(pads)} are not two for each axis")
  edges = {
    axis: (pads[i], pads[i + len(axes)])
    for i, axis in enumerate(axes)
    if pads[i] or pads[i + len(axes)]
  }
  if not edges:
    return [view]
  view = build.settled(view)
  for axis in edges:
    if not view.axes[axis]:
      view = along(build, view, axis).view
  plain = _places(build, view, edges)
  by_place = {plain[axis]: edge for axis, edge in edges.items()}
  stored = len(view.stored)
  zeros = mode == "constant" and number == 0
  if zeros and stored == 3 and by_place.keys() <= {0, 1}:
    padding = tuple(by_place.get(i, (0, 0)) for i in (0, 1))
    options = {"padding": padding}
    (made,) = build.emit(node.name, "trim", [view.blob], options)
  else:
    options = {
      "before": tuple(by_place.get(i, (0, 0))[0] for i in range(stored)),
      "after": tuple(by_place.get(i, (0, 0))[1] for i in range(stored)),
    }
    if mode != "constant":
      options["mode"] = mode
    elif number:
      options["number"] = number
    (made,) = build.emit(node.name, "pad_axes", [view.blob], options)
  return [view_of(made, build.stored(made), plain, node.name, view.kind)]


def _places(build: Builder, view: View, edges) -> list[int | None]:
  """The blob's axis for each ONNX axis, of those of 1 that grow too."""
  plain = list(plain_axes(view))
  groups = stored_groups(view)
  spare = [place for place, group in enumerate(groups) if not group]
  is_map = len(groups) == 3 and len(plain) == 4
  for axis in edges:
    if plain[axis] is None:
      wanted = {1: 2, 2: 0, 3: 1}.get(axis) if is_map else None
      place = wanted if wanted in spare else spare[0]
      spare.remove(place)
      plain[axis] = place
  return plain


def resize(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Height and width of a map, each by sums that are known beforehand."""
  view = view_at(inputs, 0)
  arguments = [constant_at(inputs, place) for place in range(1, len(inputs))]
  view = build.as_map(view)
  stored = build.stored(view.blob)
  rank = len(view.axes)
  shape = _resized(node, view, arguments)
  if shape[:2] != view.shape[:2] or math.prod(shape) > 2**28:
    raise CannotRunError("it resizes more than height and width")
  to = (shape[2], shape[3]) if rank == 4 else (1, shape[2])
  weights = {}
  for place, name in enumerate(("rows", "columns")):
    axis = place + 2 if rank == 4 else 2
    if rank == 3 and place == 0:
      weights[name] = np.ones((1, 1), np.float32)
    else:
      weights[name] = _sums(node, view, arguments, axis, stored[place])
    if weights[name].shape != (to[place], stored[place]):
      raise CannotRunError("its axes are not resized one by one")
  options = {"to": to}
  (made,) = build.emit(node.name, "resample", [view.blob], options, weights)
  axes = (None, 2, 0, 1) if rank == 4 else (None, 2, 1)
  return [view_of(made, build.stored(made), axes, node.name)]


def _resized(node: Node, view: View, arguments) -> tuple[int, ...]:
  scales, sizes = _scales_and_sizes(node, arguments)
  axes = node.get("axes")
  rank = len(view.axes)
  shape = list(view.shape)
  axes = [counted_axis(x, rank) for x in axes] if axes else range(rank)
  if node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
    raise CannotRunError("it keeps the ratio of the sides")
  for place, axis in enumerate(axes):
    if sizes is not None:
      shape[axis] = int(sizes[place])
    else:
      shape[axis] = math.floor(shape[axis] * float(scales[place]))
  return tuple(shape)


def _scales_and_sizes(node: Node, arguments):
  if node.op == "Upsample" or node.opset < 11:
    scales = node.get("scales", arguments[0] if arguments else None)
    return needed(scales, "scales"), None
  _, scales, sizes = (*arguments, None, None, None)[:3]
  scales = None if scales is None or not np.size(scales) else scales
  sizes = None if sizes is None or not np.size(sizes) else sizes
  if scales is None and sizes is None:
    raise ValueError("it has neither scales nor sizes")
  return scales, sizes


def _sums(node: Node, view: View, arguments, axis: int, extent: int):
  """What each new place is made of: the operator on an identity matrix."""
  from onnx import helper

  scales, sizes = _scales_and_sizes(node, arguments)
  axes = node.get("axes")
  rank = len(view.axes)
  said = [counted_axis(x, rank) for x in axes] if axes else list(range(rank))
  if axis not in said:
    return np.eye(extent, dtype=np.float32)
  place = said.index(axis)
  kept = {
    name: value
    for name, value in node.attributes.items()
    if name not in ("axes", "scales")
  }
  if kept.get("coordinate_transformation_mode") == "tf_crop_and_resize":
    raise CannotRunError("it cuts out a region of its own")
  if node.op == "Upsample" or node.opset < 11:
    kept |= {
      "coordinate_transformation_mode": "asymmetric",
      "nearest_mode": "floor",
    }
  if sizes is not None:
    given = {"sizes": np.asarray([extent, int(sizes[place])], np.int64)}
  else:
    given = {"scales": np.float32([1, scales[place]])}
  names = ["x", "", *(x if x in given else "" for x in ("scales", "sizes"))]
  proto = helper.make_node("Resize", names, ["y"], **kept)
  one = Node(node.name, "Resize", tuple(names), ("y",), kept, 19, proto)
  values = {"x": np.eye(extent, dtype=np.float32), **given}
  (found,) = fold(one, values, "its axis")
  return np.ascontiguousarray(found.T)
