"""Where an ONNX tensor is in our blobs, and how reshapes move its axes.

An ONNX tensor is held for each image by itself, as a batch of one. Its blob is
cut into *atoms*, and each axis of the tensor is made of some: a map
`[1, c, h, w]` in a blob `[h, w, c]` has the axes `((), (2,), (0,), (1,))`, and
Flatten makes of it `((), (2, 0, 1))`, in the same blob. Nothing is computed
until a layer needs the values in one order.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

Shape = tuple[int, ...]
Groups = tuple[tuple[int, ...], ...]


class View(NamedTuple):
  """An ONNX tensor in a blob.

  Attributes:
    blob: the blob's name.
    stored: the blob's shape, without the batch.
    atoms: extents that the blob is cut into, in its order.
    axes: for each axis of the tensor its atoms; none of extent 1 is named.
    name: what a blob with the tensor's own order is called.
    kind: `f`loat, `i`nteger or `b`ool; blobs hold floats all the same.
  """

  blob: str
  stored: Shape
  atoms: Shape
  axes: Groups
  name: str
  kind: str = "f"

  @property
  def shape(self) -> Shape:
    """The ONNX shape."""
    return tuple(math.prod(self.atoms[i] for i in axis) for axis in self.axes)


def view_of(
  blob: str, stored: Shape, axes: Sequence[int | None], name: str, kind="f"
) -> View:
  """A blob as it is: for each ONNX axis that of the blob, or None for 1."""
  return View(
    blob,
    stored,
    stored,
    tuple(
      () if axis is None or stored[axis] == 1 else (axis,) for axis in axes
    ),
    name,
    kind,
  )


def transposed(view: View, order: Sequence[int]) -> View:
  """The same values with the axes in another order."""
  if sorted(order) != list(range(len(view.axes))):
    raise ValueError(f"{list(order)} is no order of {len(view.axes)} axes")
  return view._replace(axes=tuple(view.axes[i] for i in order))


def reshaped(view: View, shape: Shape) -> View | None:
  """The same values in another shape; None where atoms would be cut askew."""
  pieces = [(i, view.atoms[i]) for axis in view.axes for i in axis]
  cuts: dict[int, list[int]] = {i: [] for i, _ in pieces}
  axes, at = [], 0
  rest = pieces[0][1] if pieces else 1
  for extent in shape:
    axis = []
    while extent > 1:
      if at == len(pieces):
        return None
      atom = pieces[at][0]
      if extent % rest and rest % extent:
        return None
      took = min(extent, rest)
      axis.append((atom, len(cuts[atom])))
      cuts[atom].append(took)
      extent, rest = extent // took, rest // took
      if rest == 1:
        at += 1
        rest = pieces[at][1] if at < len(pieces) else 1
    axes.append(axis)
  return _cut(view, cuts, axes)


def split(view: View, pieces: Sequence[Shape]) -> View | None:
  """The same view, each axis cut into at least these extents."""
  cuts: dict[int, list[int]] = {}
  axes = []
  for axis, wanted in zip(view.axes, pieces, strict=True):
    wanted, made = list(wanted), []
    for atom in axis:
      rest = view.atoms[atom]
      cuts[atom] = []
      while rest > 1:
        if not wanted or (rest % wanted[0] and wanted[0] % rest):
          return None
        took = min(rest, wanted[0])
        made.append((atom, len(cuts[atom])))
        cuts[atom].append(took)
        rest //= took
        wanted[0] //= took
        if wanted[0] == 1:
          del wanted[0]
    axes.append(made)
  return _cut(view, cuts, axes)


def _cut(view, cuts, axes) -> View:
  """The view with atoms cut; `axes` name each as (atom, number of its cut)."""
  atoms, place = [], {}
  for atom, extent in enumerate(view.atoms):
    for number, part in enumerate(cuts.get(atom) or [extent]):
      place[atom, number] = len(atoms)
      atoms.append(part)
  return view._replace(
    atoms=tuple(atoms),
    axes=tuple(tuple(place[one] for one in axis) for axis in axes),
  )


def stored_groups(view: View) -> Groups | None:
  """The atoms of each axis of the blob; None where atoms span several."""
  groups, at = [], 0
  for extent in view.stored:
    group, rest = [], extent
    while rest > 1:
      while at < len(view.atoms) and view.atoms[at] == 1:
        at += 1
      if at == len(view.atoms) or rest % view.atoms[at]:
        return None
      rest //= view.atoms[at]
      group.append(at)
      at += 1
    groups.append(tuple(group))
  return tuple(groups)


def plain_axes(view: View) -> tuple[int | None, ...] | None:
  """For each ONNX axis the blob's own; None where they do not correspond."""
  groups = stored_groups(view)
  if groups is None:
    return None
  found = []
  for axis in view.axes:
    if axis and axis not in groups:
      return None
    found.append(groups.index(axis) if axis else None)
  return tuple(found)


def natural_groups(view: View) -> Groups:
  """Each ONNX axis in one piece, in the order in which the blob has them."""
  axes = [axis for axis in view.axes if axis]
  return tuple(sorted(axes, key=lambda axis: axis[0])) or ((),)
