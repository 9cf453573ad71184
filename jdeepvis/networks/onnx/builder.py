"""Collects the layers that nodes become, with their weights and shapes."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jdeepvis.networks.graph import INPUT, infer_layer
from jdeepvis.networks.layer_table import check_layer
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.views import (
  Groups,
  Shape,
  View,
  natural_groups,
  plain_axes,
  stored_groups,
  view_of,
)

Value = View | np.ndarray
Results = list[View | np.ndarray | None]


class Builder:
  """Layers so far, and where each ONNX value is.

  Attributes:
    layers: in order of computation.
    params: their weights.
    values: the ONNX values that are known, by name: views and constants.
    readers: for each ONNX value the nodes that read it.
    results: ONNX values that are the graph's outputs.
    batch: how many images the file was made for, 1 where it does not say.
    kept: blobs that are wanted though nothing reads them.
  """

  def __init__(self, shape: Shape, batch: int = 1):
    self.layers: list[LayerInfo] = []
    self.params: dict[str, dict[str, np.ndarray]] = {}
    self.values: dict[str, Value] = {}
    self.readers: dict[str, list[Node]] = defaultdict(list)
    self.results: frozenset[str] = frozenset()
    self.batch = batch
    self.kept: set[str] = set()
    self._stored: dict[str, Shape] = {INPUT: shape}
    self._rearranged: dict[tuple, str] = {}

  def emit(
    self,
    name: str,
    kind: str,
    inputs: Sequence[str],
    options: Mapping[str, Any] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
    outputs: int = 1,
    **fields: Any,
  ) -> tuple[str, ...]:
    """Adds a layer; an activation's input gets a name of its own, `x/pre`.

    Args:
      name: of the layer, made unique.
      kind: a layer type.
      inputs: the blobs that it reads.
      options: its settings.
      weights: its arrays.
      outputs: how many blobs it writes.
      **fields: other fields of `LayerInfo`.

    Returns:
      The blobs that it writes.

    Raises:
      ValueError: its numbers are impossible, or it cannot read these blobs.
    """
    name = self._fresh(name)
    if LAYER_TYPES[kind].activation:
      before = self._fresh(f"{name}/pre")
      self._add(LayerInfo(before, "identity", tuple(inputs), (before,)), {})
      inputs = (before,)
    made = (name,) if outputs == 1 else self._numbered(name, outputs)
    layer = LayerInfo(
      name,
      kind,
      tuple(inputs),
      made,
      options=tuple(sorted((options or {}).items())),
      **fields,
    )
    self._add(layer, weights or {})
    return made

  def stored(self, blob: str) -> Shape:
    """A blob's shape, without the batch."""
    return self._stored[blob]

  def rearranged(
    self, view: View, groups: Groups, dims: Shape | None = None
  ) -> str:
    """The blob with a view's values: an axis for each group of its atoms.

    Args:
      view: what is wanted.
      groups: its atoms, all that are not 1.
      dims: the axes' extents, if there are some of 1 that no group is for.
    """
    dims = dims or tuple(
      math.prod(view.atoms[i] for i in group) for group in groups
    )
    order = tuple(i for group in groups for i in group)
    if sorted(order) == list(order) and dims == view.stored:
      return view.blob
    atoms = tuple(view.atoms[i] for i in sorted(order))
    places = {atom: place for place, atom in enumerate(sorted(order))}
    order = tuple(places[i] for i in order)
    key = view.blob, atoms, order, dims
    if key not in self._rearranged:
      kept = _untouched_positions(view, groups, dims)
      if kept is None:
        kind = "rearrange"
        options = {"atoms": atoms, "order": order, "dims": dims}
      else:
        kind = "rearrange_channels"
        within = order[kept:]
        options = {
          "atoms": atoms[kept:],
          "order": tuple(i - kept for i in within),
        }
      (blob,) = self.emit(view.name, kind, [view.blob], options)
      self._rearranged[key] = blob
    return self._rearranged[key]

  def settled(self, view: View) -> View:
    """The same tensor in a blob whose axes are its own."""
    if plain_axes(view) is not None:
      return view
    return self.placed(view, natural_groups(view))

  def placed(
    self, view: View, groups: Groups, dims: Shape | None = None
  ) -> View:
    """The same tensor in a blob with an axis for each group of atoms."""
    blob = self.rearranged(view, groups, dims)
    if blob == view.blob:
      return view
    order = [i for group in groups for i in group]
    places = {atom: place for place, atom in enumerate(order)}
    return view._replace(
      blob=blob,
      stored=self._stored[blob],
      atoms=tuple(view.atoms[i] for i in order),
      axes=tuple(tuple(places[i] for i in axis) for axis in view.axes),
    )

  def as_map(self, view: View) -> View:
    """A tensor `[1, c, h, w]`, or `[1, c, l]`, as a map `[h, w, c]`.

    Raises:
      CannotRunError: it has another number of axes, or several images.
    """
    rank = len(view.axes)
    if rank not in (3, 4) or view.axes[0]:
      raise CannotRunError(
        f"it reads {list(view.shape)}; only one image's channels, height and "
        "width, or channels and length, are possible"
      )
    height = view.axes[-2] if rank == 4 else ()
    return self.placed(view, (height, view.axes[-1], view.axes[1]))

  def with_last(self, view: View, axes: Sequence[int]) -> View:
    """The tensor in a blob whose last axis is these of its, joined in order."""
    last = tuple(i for axis in axes for i in view.axes[axis])
    groups = stored_groups(view)
    if groups and groups[-1] == last:
      return view
    if groups and last in groups:
      others = tuple(group for group in groups if group and group != last)
    else:
      others = tuple(
        group
        for number, group in enumerate(view.axes)
        if group and number not in axes
      )
      others = tuple(sorted(others, key=lambda group: group[0]))
    return self.placed(view, (*others, last))

  def constant(self, array: np.ndarray, name: str) -> View:
    """A constant as a blob."""
    values = float_array(array)
    dims = tuple(x for x in values.shape if x > 1) or (1,)
    (blob,) = self.emit(
      f"{name}/constant",
      "constant",
      [INPUT],
      {"dims": dims},
      {"value": values.reshape(dims)},
    )
    places = iter(range(len(dims)))
    axes = [next(places) if x > 1 else None for x in values.shape]
    return view_of(blob, dims, axes, blob, kind_of_array(array))

  def view(self, value: Value, name: str) -> View:
    """A value as a view, a constant as a blob."""
    return value if isinstance(value, View) else self.constant(value, name)

  def bias_behind(
    self, node: Node, channels: int, axis: int, rank: int
  ) -> tuple[Node, np.ndarray] | None:
    """The node that adds one constant a channel to this one's only reading."""
    readers = self.readers[node.outputs[0]]
    if node.outputs[0] in self.results or len(readers) != 1:
      return None
    (add,) = readers
    if add.op != "Add" or add.inputs[0] == add.inputs[1]:
      return None
    (other,) = (x for x in add.inputs if x != node.outputs[0])
    value = self.values.get(other)
    if not isinstance(value, np.ndarray) or value.ndim > rank:
      return None
    shape = (1,) * (rank - value.ndim) + value.shape
    if shape[axis] != channels or math.prod(shape) != channels:
      return None
    return add, float_array(value).reshape(-1)

  def _add(self, layer: LayerInfo, weights) -> None:
    check_layer(layer)
    shapes = [self._stored[name] for name in layer.inputs]
    leaves, outputs = infer_layer(layer, shapes)
    found = {name: np.shape(values) for name, values in weights.items()}
    if leaves != found:
      raise ValueError(f"its weights are {found}, not {leaves}")
    self._stored.update(zip(layer.outputs, outputs, strict=True))
    self.layers.append(layer)
    if weights:
      self.params[layer.name] = {
        name: np.ascontiguousarray(values, np.float32)
        for name, values in weights.items()
      }

  def _fresh(self, name: str) -> str:
    taken = self._stored
    while name in taken:
      name += "_"
    return name

  def _numbered(self, name: str, count: int) -> tuple[str, ...]:
    return tuple(self._fresh(f"{name}/{number}") for number in range(count))


def kind_of_array(array: np.ndarray) -> str:
  """`f`loat, `i`nteger or `b`ool."""
  return {"b": "b", "i": "i", "u": "i"}.get(array.dtype.kind, "f")


def float_array(array: np.ndarray) -> np.ndarray:
  """The values as float32.

  Raises:
    CannotRunError: they are texts or complex.
  """
  if array.dtype.kind not in "fiub":
    raise CannotRunError(f"it needs {array.dtype} values")
  with np.errstate(all="ignore"):
    return np.asarray(array, np.float32)


def _untouched_positions(view, groups, dims) -> int | None:
  """How many atoms a map's height and width have, if they stay as they are."""
  own = stored_groups(view)
  if own is None or len(own) != 3 or len(groups) != 3:
    return None
  if len(dims) != 3 or dims[:2] != view.stored[:2] or own[:2] != groups[:2]:
    return None
  return len(own[0]) + len(own[1])
