"""Brings operands of one operation into blobs with the same axes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdeepvis.networks.onnx.builder import Builder, Value, float_array
from jdeepvis.networks.onnx.views import (
  Groups,
  View,
  natural_groups,
  split,
  stored_groups,
  view_of,
)


class Aligned(NamedTuple):
  """Operands that broadcast as they are.

  Attributes:
    operands: a blob's name, or a constant of as many axes as the blobs have,
      without the batch.
    result: how the result, in a blob like these, makes the ONNX tensor.
  """

  operands: tuple[str | np.ndarray, ...]
  result: View


def aligned(
  build: Builder, values: Sequence[Value], name: str, kind: str
) -> Aligned:
  """Operands of an operation that broadcasts, in blobs of the same axes.

  As they lie in the first that is as large as the result.
  """
  rank = max(_rank(value) for value in values)
  values = [_with_rank(value, rank) for value in values]
  shape = np.broadcast_shapes(*(value.shape for value in values))
  views = [value for value in values if isinstance(value, View)]
  whole = next((view for view in views if view.shape == shape), None)
  if whole is None:
    # No blob is as large: constants that span more become blobs themselves.
    values = [
      build.constant(value, name)
      if not isinstance(value, View) and value.size > 1
      else value
      for value in values
    ]
    views = [value for value in values if isinstance(value, View)]
    return _by_whole_axes(build, values, shape, range(rank), name, kind)
  pieces = _common_pieces(whole, [v for v in views if v is not whole])
  if pieces is not None:
    found = _as_the_first(build, values, whole, pieces, kind, name)
    if found is not None:
      return found
  groups = natural_groups(whole)
  order = [whole.axes.index(group) for group in groups if group]
  return _by_whole_axes(build, values, shape, order, name, kind)


def _common_pieces(whole: View, others: Sequence[View]):
  """For each axis extents into which it is cut in all of them."""
  for _ in range(2):
    for other in others:
      pieces = [
        tuple(other.atoms[i] for i in axis)
        or tuple(whole.atoms[i] for i in mine)
        for axis, mine in zip(other.axes, whole.axes, strict=True)
      ]
      whole = split(whole, pieces)
      if whole is None:
        return None
  pieces = [tuple(whole.atoms[i] for i in axis) for axis in whole.axes]
  if any(split(other, pieces) is None for other in others):
    return None
  return pieces


def _as_the_first(build, values, whole, pieces, kind, name) -> Aligned | None:
  """All as the largest lies; None where one broadcasts a part of an axis."""
  whole = split(whole, pieces)
  groups = stored_groups(whole)
  if groups is None:
    return None
  places = {
    atom: (axis, number)
    for axis, atoms in enumerate(whole.axes)
    for number, atom in enumerate(atoms)
  }
  parts = [[places[atom] for atom in group] for group in groups]
  plans = []
  for value in values:
    if isinstance(value, View):
      cut = split(value, pieces)
      wanted = []
      for part in parts:
        here = [cut.axes[axis] != () for axis, _ in part]
        if any(here) and not all(here):
          return None
        atoms = [cut.axes[axis][number] for axis, number in part if all(here)]
        wanted.append(tuple(atoms))
      plans.append((cut, tuple(wanted)))
    else:
      plans.append((_like(value, pieces, parts), None))
  operands = tuple(
    plan if groups is None else build.rearranged(plan, groups)
    for plan, groups in plans
  )
  return Aligned(operands, whole._replace(kind=kind, name=name))


def _like(array: np.ndarray, pieces, parts) -> np.ndarray:
  """A constant laid out as a blob whose axes have these parts of ONNX axes."""
  full = [
    size if array.shape[axis] > 1 else 1
    for axis, extents in enumerate(pieces)
    for size in [int(np.prod(extents))]
  ]
  for part in parts:
    axes = {axis for axis, _ in part}
    if any(full[axis] > 1 for axis in axes):
      for axis in axes:
        full[axis] = int(np.prod(pieces[axis]))
  array = np.broadcast_to(array, full)
  cut, where, at = [], {}, 0
  for axis, extents in enumerate(pieces):
    extents = extents if full[axis] > 1 else (1,) * len(extents)
    for number, extent in enumerate(extents):
      where[axis, number] = at
      cut.append(extent)
      at += 1
  array = array.reshape(cut)
  order = [where[one] for part in parts for one in part]
  array = array.transpose(order)
  dims, at = [], 0
  for part in parts:
    dims.append(int(np.prod(array.shape[at : at + len(part)])))
    at += len(part)
  return array.reshape(dims)


def _by_whole_axes(build, values, shape, order, name, kind) -> Aligned:
  """All with an axis for each ONNX axis of the result that is not 1."""
  order = [axis for axis in order if shape[axis] > 1]
  operands = []
  for value in values:
    if isinstance(value, View):
      groups: Groups = tuple(value.axes[axis] for axis in order) or ((),)
      operands.append(build.rearranged(value, groups))
    else:
      kept = value.transpose(
        [*order, *(a for a in range(value.ndim) if a not in order)]
      )
      operands.append(kept.reshape(kept.shape[: len(order)] or (1,)))
  stored = tuple(shape[axis] for axis in order) or (1,)
  axes = [
    order.index(axis) if axis in order else None for axis in range(len(shape))
  ]
  return Aligned(tuple(operands), view_of("", stored, axes, name, kind))


def _rank(value: Value) -> int:
  return len(value.axes) if isinstance(value, View) else value.ndim


def _with_rank(value: Value, rank: int) -> Value:
  """With axes of 1 in front."""
  if isinstance(value, View):
    return value._replace(axes=((),) * (rank - len(value.axes)) + value.axes)
  array = float_array(value)
  return array.reshape((1,) * (rank - array.ndim) + array.shape)
