"""What an equation reads along an axis to make a range of its output.

For each operand: the axes along which it may be held in part, and for each the
output's axis that it becomes, through a `Window`. Axes that are not named are
read as a whole, so nothing here can make a crop wrong, only larger.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from jdeepvis.networks.jaxpr.program import (
  CUSTOM,
  Equation,
  Program,
  flatten,
)

Range = tuple[int, int]
"""From, and up to, along one axis."""


class Window(NamedTuple):
  """The positions that one output position reads: `extent` of them.

  Attributes:
    stride: from one window to the next.
    before: positions of padding ahead of the first.
    extent: from a window's first position to its last, and one more.
  """

  stride: int = 1
  before: int = 0
  extent: int = 1

  def read(self, made: Range) -> Range:
    """What is read for a range of the output; unclipped."""
    start, last = (
      x * self.stride - self.before for x in (made[0], made[1] - 1)
    )
    return start, last + self.extent


class Path(NamedTuple):
  """Where an operand's axis comes out."""

  axis: int
  window: Window = Window()


Paths = Mapping[int, Path]
_Shapes = Sequence[tuple[int, ...]]


def paths(program: Program, equation: Equation) -> tuple[Paths, ...] | None:
  """For each operand, its axes that come out; None where nothing is known."""
  shapes = [program.shape(x) for x in equation.inputs]
  made = program.shape(equation.outputs[0])
  if equation.name in CUSTOM:
    return _elementwise(None, shapes, made) if _is_pointwise(equation) else None
  known = _PATHS.get(equation.name)
  return known and tuple(known(equation.params, shapes, made))


def _is_pointwise(equation: Equation) -> bool:
  """Whether a custom function's values depend on those at their place alone."""
  body = flatten(equation.params["call_jaxpr"])
  return len({tuple(x.shape) for x in body.shapes} - {()}) <= 1 and all(
    x.name in _ELEMENTWISE
    or (x.name == "broadcast_in_dim" and body.shape(x.inputs[0]) == ())
    or (x.name in CUSTOM and _is_pointwise(x))
    for x in body.equations
  )


def _elementwise(params, shapes: _Shapes, made):
  # A size of 1 is repeated.
  return tuple(
    {
      axis: Path(axis)
      for axis, size in enumerate(shape)
      if len(shape) == len(made) and size == made[axis]
    }
    for shape in shapes
  )


def _transpose(params, shapes, made):
  return [
    {axis: Path(place) for place, axis in enumerate(params["permutation"])}
  ]


def _broadcast(params, shapes, made):
  targets = params["broadcast_dimensions"]
  return [
    {
      axis: Path(int(target))
      for axis, target in enumerate(targets)
      if shapes[0][axis] == made[target]
    },
    *[{}] * (len(shapes) - 1),
  ]


def _reshape(params, shapes, made):
  """Axes that stay, and those of which several positions become one."""
  (shape, *_), found = shapes, {}
  starts = {math.prod(made[:i]): i for i in reversed(range(len(made)))}
  ends = {math.prod(made[: i + 1]) for i in range(len(made))}
  for axis, size in enumerate(shape):
    start = math.prod(shape[:axis])
    # Of the axes that begin there the first that is no 1.
    place = starts.get(start)
    while place is not None and place < len(made) - 1 and made[place] == 1:
      place += 1
    if size > 1 and place is not None and start * size in ends:
      step, rest = divmod(size, made[place])
      if not rest:
        found[axis] = Path(place, Window(step, 0, step))
  return [found, *[{}] * (len(shapes) - 1)]


def _along(*names: str):
  """Every axis but those that a setting names."""

  def paths(params, shapes, made):
    used = set()
    for name in names:
      value = params[name]
      used.update(value if isinstance(value, tuple | list) else (value,))
    return [
      {axis: Path(axis) for axis in range(len(made)) if axis not in used}
      for shape in shapes
    ]

  return paths


def _removed(name: str):
  """Axes that a setting names are gone afterwards."""

  def paths(params, shapes, made):
    gone = {int(axis) for axis in params[name]}
    kept = [x for x in range(len(shapes[0])) if x not in gone]
    return [{axis: Path(place) for place, axis in enumerate(kept)}]

  return paths


def _product(params, shapes, made):
  contracted, batch = params["dimension_numbers"]
  found, place = [], len(batch[0])
  for shape, used, shared in zip(shapes, contracted, batch, strict=True):
    own = {int(axis): Path(i) for i, axis in enumerate(shared)}
    for axis in range(len(shape)):
      if axis not in (*used, *shared):
        own[axis] = Path(place)
        place += 1
    found.append(own)
  return found


def _convolution(params, shapes, made):
  numbers, found = params["dimension_numbers"], {}
  for i, axis in enumerate(numbers.lhs_spec[2:]):
    size = shapes[1][numbers.rhs_spec[2 + i]]
    if params["lhs_dilation"][i] == 1:
      extent = (size - 1) * params["rhs_dilation"][i] + 1
      found[axis] = Path(
        numbers.out_spec[2 + i],
        Window(params["window_strides"][i], params["padding"][i][0], extent),
      )
  return [found, {}]


def _pooling(params, shapes, made):
  return [
    {
      axis: Path(
        axis,
        Window(
          params["window_strides"][axis],
          params["padding"][axis][0],
          (size - 1) * params["window_dilation"][axis] + 1,
        ),
      )
      for axis, size in enumerate(params["window_dimensions"])
      if params["base_dilation"][axis] == 1
    }
  ]


def _slice(params, shapes, made):
  steps = params["strides"] or [1] * len(made)
  return [
    {
      axis: Path(axis, Window(step, -start))
      for axis, (step, start) in enumerate(
        zip(steps, params["start_indices"], strict=True)
      )
    }
  ]


def _pad(params, shapes, made):
  return [
    {
      axis: Path(axis, Window(1, int(low)))
      for axis, (low, _, between) in enumerate(params["padding_config"])
      if between == 0
    },
    {},
  ]


_NAMES = (
  "abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil "
  "clamp convert_element_type copy cos cosh div eq erf erf_inv erfc exp "
  "exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt "
  "max min mul name ne neg nextafter not or pow reduce_precision rem round "
  "rsqrt select_n sign sin sinh sqrt square sub tan tanh xor"
)
_ELEMENTWISE = frozenset(_NAMES.split())


_PATHS: Mapping[str, Callable[..., Sequence[Paths]]] = MappingProxyType(
  dict.fromkeys(_ELEMENTWISE, _elementwise)
  | dict.fromkeys(
    ("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _pooling
  )
  | dict.fromkeys(
    (
      *("reduce_sum", "reduce_max", "reduce_min", "reduce_prod"),
      *("reduce_and", "reduce_or", "argmax", "argmin"),
    ),
    _removed("axes"),
  )
  | dict.fromkeys(
    ("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "split"),
    _along("axis"),
  )
  | {
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _removed("dimensions"),
    "concatenate": _along("dimension"),
    "sort": _along("dimension"),
    "rev": _along("dimensions"),
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "slice": _slice,
    "pad": _pad,
  }
)
