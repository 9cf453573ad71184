"""Sums, means and largest values along axes."""

from collections.abc import Sequence

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  counted_axis,
  numbers_at,
  single,
  view_at,
)
from jdeepvis.networks.onnx.views import (
  View,
  natural_groups,
  stored_groups,
)


def reduction(operation: str):
  """A reduction over the axes that an attribute or an input names."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    view = view_at(inputs, 0)
    rank = len(view.axes)
    axes = numbers_at(node, "axes", inputs, 1) or ()
    if not axes and not node.get("noop_with_empty_axes", 0):
      axes = range(rank)
    axes = [counted_axis(axis, rank) for axis in axes]
    keep = bool(node.get("keepdims", 1))
    return [reduced(build, node.name, view, axes, operation, keep)]

  return run


def reduced(
  build: Builder,
  name: str,
  view: View,
  axes: Sequence[int],
  operation: str,
  keep: bool,
) -> View:
  """A tensor with some of its axes summed up."""
  atoms = {i for axis in axes for i in view.axes[axis]}
  groups = stored_groups(view)
  mixed = groups is None or any(
    set(group) & atoms and not set(group) <= atoms for group in groups
  )
  if mixed:
    view = build.placed(view, natural_groups(view))
    groups = stored_groups(view)
    atoms = {i for axis in axes for i in view.axes[axis]}
  along = [place for place, group in enumerate(groups) if set(group) & atoms]
  rank = len(groups)
  if rank == 3 and all(place in along or not groups[place] for place in (0, 1)):
    # Places of 1 are summed up too: the mean of a map is a global average.
    along = [0, 1, *(place for place in along if place == 2)]
  if operation == "mean" and along == [0, 1] and rank == 3:
    (made,) = build.emit(name, "global_average", [view.blob])
  elif not along and operation in ("sum", "mean", "max", "min", "prod"):
    made = view.blob
  else:
    kept = rank == 3
    kind = "reduce_channels" if along == [rank - 1] and kept else "reduce"
    options = {"operation": operation, "along": tuple(along)}
    if not kept:
      options["keep"] = False
    (made,) = build.emit(name, kind, [view.blob], options)
  left = [i for i in range(len(view.atoms)) if i not in atoms]
  if made != view.blob and rank != 3:
    left = [i for i in left if view.atoms[i] > 1]
  places = {atom: place for place, atom in enumerate(left)}
  axes_left = [
    () if number in axes else tuple(places[i] for i in axis)
    for number, axis in enumerate(view.axes)
    if keep or number not in axes
  ]
  return View(
    made,
    build.stored(made),
    tuple(view.atoms[i] for i in left),
    tuple(axes_left),
    name,
    view.kind,
  )


def place(operation: str):
  """ArgMax and ArgMin."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    view = view_at(inputs, 0)
    number = counted_axis(int(node.get("axis", 0)), len(view.axes))
    axis = along(build, view, number)
    options = {"operation": operation, "axis": axis.place}
    if node.get("select_last_index", 0):
      options["last"] = True
    last = axis.place == len(axis.view.stored) - 1
    kind = "place_channels" if last else "place"
    (made,) = build.emit(node.name, kind, [axis.view.blob], options)
    result = axis.result(build, made, node.name, 1)._replace(kind="i")
    if not node.get("keepdims", 1):
      axes = list(result.axes)
      del axes[number]
      result = result._replace(axes=tuple(axes))
    return [result]

  return run


def top(build: Builder, node: Node, inputs: Inputs) -> Results:
  """TopK: the largest, in order, and where they are."""
  count = node.get("k")
  if count is None:
    count = int(single(constant_at(inputs, 1)))
  if not node.get("sorted", 1):
    raise CannotRunError("it may give them in any order")
  view = view_at(inputs, 0)
  number = counted_axis(int(node.get("axis", -1)), len(view.axes))
  axis = along(build, view, number)
  options = {"axis": axis.place, "count": count}
  if not node.get("largest", 1):
    options["operation"] = "min"
  values, places = build.emit(
    node.name, "top", [axis.view.blob], options, outputs=2
  )
  return [
    axis.result(build, values, node.name, count),
    axis.result(build, places, node.name, count)._replace(kind="i"),
  ]


def cumulative_sum(build: Builder, node: Node, inputs: Inputs) -> Results:
  """CumSum."""
  view = view_at(inputs, 0)
  number = int(single(np.asarray(constant_at(inputs, 1))))
  axis = along(build, view, counted_axis(number, len(view.axes)))
  options = {"axis": axis.place}
  if node.get("exclusive", 0):
    options["exclusive"] = True
  if node.get("reverse", 0):
    options["backwards"] = True
  (made,) = build.emit(node.name, "cumulate", [axis.view.blob], options)
  return [axis.view._replace(blob=made, name=node.name)]


class Along:
  """A tensor in whose blob one of its axes is one of the blob's.

  Attributes:
    view: the tensor.
    place: the blob's axis.
  """

  def __init__(self, view: View, number: int, place: int):
    self.view, self.place, self._number = view, place, number

  def result(self, build: Builder, blob: str, name: str, extent: int) -> View:
    """The tensor of a layer that changed that axis to `extent`."""
    view = self.view
    own = set(view.axes[self._number])
    groups = stored_groups(view)
    atoms, places = [], {}
    for place_, group in enumerate(groups):
      if place_ == self.place:
        new = len(atoms)
        atoms.append(extent)
        continue
      for atom in group:
        places[atom] = len(atoms)
        atoms.append(view.atoms[atom])
    axes = tuple(
      ((new,) if extent > 1 else ())
      if number == self._number
      else tuple(places[i] for i in axis if i not in own)
      for number, axis in enumerate(view.axes)
    )
    return View(blob, build.stored(blob), tuple(atoms), axes, name, view.kind)


def along(build: Builder, view: View, number: int) -> Along:
  """The tensor with its axis `number` in one piece, wherever it lies."""
  axis = view.axes[number]
  groups = stored_groups(view)
  if axis and groups and axis in groups:
    return Along(view, number, groups.index(axis))
  if axis:
    others = [x for x in view.axes if x and x != axis]
    order = sorted([*others, axis], key=lambda group: group[0])
    view = build.placed(view, tuple(order))
    return Along(view, number, stored_groups(view).index(view.axes[number]))
  # An axis of 1: the one of the blob that nothing else is for, or a new one.
  if groups and () in groups:
    if len(groups) == 3 and len(view.axes) == 4:
      wanted = {1: 2, 2: 0, 3: 1}.get(number)
      if wanted is not None and not groups[wanted]:
        return Along(view, number, wanted)
    return Along(view, number, groups.index(()))
  groups = groups or natural_groups(view)
  before = [
    place
    for place, group in enumerate(groups)
    if any(group == view.axes[n] for n in range(number))
  ]
  at = max(before, default=-1) + 1
  groups = (*groups[:at], (), *groups[at:])
  dims = tuple(int(np.prod([view.atoms[i] for i in group])) for group in groups)
  view = build.placed(view, groups, dims)
  return Along(view, number, at)
