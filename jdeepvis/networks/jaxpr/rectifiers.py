"""The ReLUs of a function, found in its jaxpr and replaced.

A rectifier is

  * `jax.nn.relu` and `jax.nn.relu6`, which are custom derivatives around
    `max(x, 0)` and `min(max(x, 0), 6)`;
  * `jnp.maximum(x, 0)`, and so `jnp.clip(x, 0, ...)`.

It is none in a hard sigmoid, a hard swish or a CELU, where it is a part, nor
where a root, a logarithm or a quotient is taken of it, as of a variance that
must not be negative.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr

from jdeepvis.networks.jaxpr.program import (
  CUSTOM,
  RESHAPED,
  Atom,
  Equation,
  Program,
  bind,
  evaluate,
  flatten,
  key,
  known_scalars,
)
from jdeepvis.types import JdeepvisError

Relu = Callable[[jax.Array], jax.Array]

_GATES = ("hard_sigmoid", "hard_silu", "celu")
_LOOPS = ("scan", "while", "cond")
_PASSED = ("add", *RESHAPED)
_GUARDED = ("rsqrt", "sqrt", "log", "pow")


class Rectifier(NamedTuple):
  """What a rectifier does with its input.

  Attributes:
    operand: which of the equation's inputs it rectifies.
    most: where it is cut off above, 6 for relu6; None is nowhere.
    custom: whether it has a derivative of its own, 0 at 0.
  """

  operand: int
  most: float | None = None
  custom: bool = False

  def __call__(self, x: jax.Array, relu: Relu) -> jax.Array:
    """The rectified value, by another rectifier below its upper end."""
    return (
      relu(x)
      if self.most is None
      else jnp.where(x < self.most, relu(x), jnp.asarray(self.most, x.dtype))
    )


def find_rectifiers(program: Program) -> dict[int, Rectifier]:
  """The rectifiers among a program's equations, by place; not within loops."""
  constants = known_scalars(program)
  guards = _guards(program)
  found = {}
  for place, equation in enumerate(program.equations):
    if equation.within in _GATES:
      continue
    rectifier = _rectifier(equation, constants)
    if rectifier and (
      rectifier.custom
      or (
        _is_float(program.aval(equation.outputs[0]))
        and guards.isdisjoint(equation.outputs)
      )
    ):
      found[place] = rectifier
  return found


def require_rectifier(program: Program) -> None:
  """Refuses a program without any rectifier.

  Raises:
    JdeepvisError: there is none.
  """
  if not _has_rectifier(program):
    raise JdeepvisError(
      "This model has no ReLU (jax.nn.relu, jax.nn.relu6 or jnp.maximum(x, "
      "0)), so there is nothing that deconvnet and guided backpropagation "
      "would replace; use the rule gradient."
    )


def evaluate_with(
  program: Program, arguments: Any, wanted: Sequence[Atom], relu: Relu
) -> list[Any]:
  """Values of a program, its rectifiers replaced.

  With `jax.nn.relu` values and derivatives are the program's own. Another one
  is put in the place of every rectifier, those in the bodies of scans, loops
  and branches too. A function with a derivative of its own and rectifiers
  within it is differentiated as it is computed. Above its upper end relu6
  passes nothing back under any rectifier.

  Args:
    program: which.
    arguments: of its function, as a tuple.
    wanted: the values; only what they depend on is computed.
    relu: the rectifier.

  Raises:
    JdeepvisError: there is none to be replaced, or one that cannot be.
  """
  return evaluate(program, arguments, wanted, application(program, relu))


def application(
  program: Program, relu: Relu
) -> Callable[[int, Equation, Sequence[Any]], Sequence[Any]]:
  """How each equation is applied under a rectifier, for `evaluate`.

  Raises:
    JdeepvisError: there is none to be replaced.
  """
  if relu is jax.nn.relu:
    return lambda place, equation, inputs: bind(equation, inputs)
  require_rectifier(program)
  return _replacing(program, relu)


def _replacing(program, relu):
  rectifiers = find_rectifiers(program)

  def apply(place, equation, inputs):
    if rectifier := rectifiers.get(place):
      return [rectifier(inputs[rectifier.operand], relu)]
    return _bind_replacing(equation, inputs, relu)

  return apply


def _bind_replacing(
  equation: Equation, inputs: Sequence[Any], relu: Relu
) -> Sequence[Any]:
  """The outputs of an equation, the rectifiers within it replaced.

  Raises:
    JdeepvisError: there are some in it that cannot be reached.
  """
  inner = {
    name: value
    for name, value in equation.params.items()
    if any(_has_rectifier(flatten(x)) for x in _jaxprs(value))
  }
  if not inner:
    return bind(equation, inputs)
  if equation.name in CUSTOM:
    (body,) = map(flatten, inner.values())
    return evaluate(body, inputs, body.outputs, _replacing(body, relu))
  if equation.name not in _LOOPS:
    raise JdeepvisError(
      f"This model has a ReLU inside {equation.name}, where deconvnet and "
      "guided backpropagation cannot replace it; use the rule gradient."
    )
  changed = {
    name: tuple(_rewritten(x, relu) for x in value)
    if isinstance(value, tuple)
    else _rewritten(value, relu)
    for name, value in inner.items()
  }
  return bind(equation, inputs, **changed)


def _rectifier(equation: Equation, constants) -> Rectifier | None:
  if equation.name == "custom_jvp_call":
    return _custom_rectifier(equation)
  if equation.name != "max":
    return None
  for operand, other in ((0, 1), (1, 0)):
    if constants.get(key(equation.inputs[other])) == 0:
      return Rectifier(operand)
  return None


def _custom_rectifier(equation: Equation) -> Rectifier | None:
  """`max(x, 0)` alone in a custom derivative, or `min(max(x, 0), most)`."""
  body = flatten(equation.params["call_jaxpr"])
  names = [x.name for x in body.equations]
  if len(body.inputs) != 1 or names not in (["max"], ["max", "min"]):
    return None
  constants = known_scalars(body)
  first, *rest = body.equations
  if _rectifier(first, constants) is None:
    return None
  ends = [constants.get(key(x)) for last in rest for x in last.inputs]
  ends = [float(x) for x in ends if x is not None]
  return Rectifier(0, min(ends, default=None), custom=True)


def _guards(program: Program) -> set[int]:
  """Values of which a root, a logarithm or a quotient is taken."""
  found = set()
  for equation in reversed(program.equations):
    read = equation.inputs
    if equation.name in _GUARDED:
      found.update(x for x in read[:1] if isinstance(x, int))
    elif equation.name == "div":
      found.update(x for x in read[1:] if isinstance(x, int))
    elif not found.isdisjoint(equation.outputs) and equation.name in _PASSED:
      found.update(x for x in read if isinstance(x, int))
  return found


def _is_float(aval: Any) -> bool:
  return jnp.issubdtype(aval.dtype, jnp.floating)


def _has_rectifier(program: Program) -> bool:
  return bool(find_rectifiers(program)) or any(
    _has_rectifier(flatten(inner))
    for equation in program.equations
    if equation.within not in _GATES
    for value in equation.params.values()
    for inner in _jaxprs(value)
  )


def _jaxprs(value: Any) -> Iterator[ClosedJaxpr]:
  if isinstance(value, ClosedJaxpr):
    yield value
  elif isinstance(value, tuple | list):
    for one in value:
      yield from _jaxprs(one)


def _rewritten(closed: ClosedJaxpr, relu: Relu) -> ClosedJaxpr:
  program = flatten(closed)

  def run(*arguments):
    apply = _replacing(program, relu)
    return evaluate(program, arguments, program.outputs, apply)

  shapes = [
    jax.ShapeDtypeStruct(x.shape, x.dtype, weak_type=x.weak_type)
    for x in closed.in_avals
  ]
  return jax.make_jaxpr(run)(*shapes)
