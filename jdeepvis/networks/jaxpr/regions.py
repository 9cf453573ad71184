"""Which part of each value of a program a unit depends on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jdeepvis.networks.jaxpr.program import Atom, Program, needed
from jdeepvis.networks.jaxpr.reach import Paths, Range, paths
from jdeepvis.networks.regions import Rectangle

Axes = tuple[int | None, int | None]
"""The axes along which a value is held in part: the image's rows, columns.

None stands for no such axis: all is held.
"""

Part = tuple[Range | None, Range | None]
"""What is held of a value along those axes."""

_WHOLE: Axes = (None, None)
_IMAGE: Axes = (1, 2)


class Regions(NamedTuple):
  """What some outputs of a program depend on.

  Attributes:
    image: the number of the image.
    places: the equations that they depend on.
    axes: of every value, by number.
    paths: of the operands of each equation, by place.
    parts: of the values that are needed, by number.
    unknown: primitives that read part of the image and of whose reach nothing
      is known.
  """

  image: int
  places: tuple[int, ...]
  axes: Mapping[int, Axes]
  paths: Mapping[int, tuple[Paths, ...]]
  parts: Mapping[int, Part]
  unknown: frozenset[str]

  def made(self, output: int) -> Mapping[int, Range]:
    """What is made of a value, by axis."""
    both = zip(self.axes[output], self.parts[output], strict=True)
    return {axis: part for axis, part in both if axis is not None}


def find_regions(
  program: Program,
  image: int,
  outputs: Sequence[Atom],
  unit: Rectangle,
  *,
  clip: bool = True,
) -> Regions:
  """Walks a program back from one position of a map.

  Args:
    program: of a function of an image `[1, h, w, c]`.
    image: the number of that argument.
    outputs: maps `[1, h, w, c]` of one size, or anything else, of which all is
      wanted.
    unit: the position in the maps.
    clip: whether what lies beyond a map is left out.
  """
  places = needed(program, outputs)
  axes, reaches, unknown = _follow(program, image, places)
  parts: dict[int, Part] = {}

  def need(value: Atom, part: Part) -> None:
    if isinstance(value, int):
      own = [
        _need(old, new, axis, program.shape(value), clip)
        for axis, old, new in zip(
          axes[value], parts.get(value, part), part, strict=True
        )
      ]
      parts[value] = (own[0], own[1])

  for output in outputs:
    at = {1: (unit[0], unit[2]), 2: (unit[1], unit[3])}
    if len(program.shape(output)) != 4 or not isinstance(output, int):
      at = {}
    need(output, tuple(at.get(axis) for axis in axes.get(output, _WHOLE)))
  for place in reversed(places):
    equation = program.equations[place]
    made = _join([parts[x] for x in equation.outputs if x in parts])
    parts |= {x: made for x in equation.outputs if x in parts}
    for operand, value in enumerate(equation.inputs):
      part: list[Range | None] = [None, None]
      if isinstance(value, int) and place in reaches:
        for side, axis in enumerate(axes[value]):
          if axis is not None and made[side] is not None:
            part[side] = reaches[place][operand][axis].window.read(made[side])
      need(value, (part[0], part[1]))
  return Regions(image, places, axes, reaches, parts, unknown)


def _need(old, new, axis, shape, clip) -> Range | None:
  """What is needed along one axis of a value, by all that read it."""
  if axis is None:
    return None
  whole = (0, shape[axis])
  both = [whole if part is None else part for part in (old, new)]
  return _union([_clip(part, whole) if clip else part for part in both])


def _clip(part: Range, whole: Range) -> Range:
  """As `Rectangle.clip`: what lies beyond the map needs its nearest row."""
  start = min(max(part[0], whole[0]), whole[1] - 1)
  return start, max(min(part[1], whole[1]), start + 1)


def _join(parts: Sequence[Part]) -> Part:
  """What is made at once of an equation's outputs, all held alike."""
  rows, columns = zip(*parts, strict=True)
  return (
    None if None in rows else _union(rows),
    None if None in columns else _union(columns),
  )


def _union(parts: Sequence[Range]) -> Range:
  return min(x for x, _ in parts), max(x for _, x in parts)


def _follow(program: Program, image: int, places: Sequence[int]):
  """Follows the image's rows and columns through a program."""
  axes: dict[int, Axes] = dict.fromkeys(range(len(program.shapes)), _WHOLE)
  axes[image] = _IMAGE
  reaches, unknown = {}, set()
  for place in places:
    equation = program.equations[place]
    read = [axes[x] if isinstance(x, int) else _WHOLE for x in equation.inputs]
    if all(x == _WHOLE for x in read):
      continue
    reach = paths(program, equation)
    if reach is None:
      unknown.add(equation.name)
      continue
    made = [_made(reach, [x[side] for x in read]) for side in (0, 1)]
    if made[0] != made[1]:
      reaches[place] = reach
      axes |= dict.fromkeys(equation.outputs, (made[0], made[1]))
  return axes, reaches, frozenset(unknown)


def _made(reach: Sequence[Paths], held: Sequence[int | None]) -> int | None:
  """The output's axis that all operands' held axes become, if there is one."""
  found = {
    own[axis].axis if axis in own else None
    for own, axis in zip(reach, held, strict=True)
    if axis is not None
  }
  return found.pop() if len(found) == 1 else None
