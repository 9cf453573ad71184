"""A function's jaxpr as a flat list of equations, and its evaluation."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import (
  ClosedJaxpr,
  Jaxpr,
  JaxprEqn,
  Literal,
  Var,
  jaxpr_as_fun,
)

Atom = int | Literal
"""A value's number in its program, or a constant written into it."""

# What runs its inner jaxpr as if that stood in its place.
_INLINED = {
  "jit": "jaxpr",
  "pjit": "jaxpr",
  "closed_call": "call_jaxpr",
  "core_call": "call_jaxpr",
  "remat2": "jaxpr",
  "checkpoint": "jaxpr",
}

CUSTOM = ("custom_jvp_call", "custom_vjp_call")
"""Primitives of functions with a derivative of their own."""

RESHAPED = ("convert_element_type", "broadcast_in_dim", "reshape", "squeeze")
"""Primitives that hand their input's values on in the same order."""


class Equation(NamedTuple):
  """One operation.

  Attributes:
    source: the jaxpr's equation.
    inputs: what it reads.
    outputs: the numbers of what it writes.
    within: the name of the jitted function that it is a part of, or empty.
  """

  source: JaxprEqn
  inputs: tuple[Atom, ...]
  outputs: tuple[int, ...]
  within: str = ""

  @property
  def name(self) -> str:
    """The primitive's."""
    return self.source.primitive.name

  @property
  def params(self) -> Mapping[str, Any]:
    """Its settings."""
    return self.source.params


class Program(NamedTuple):
  """A function as equations, those of the jitted functions it calls inlined.

  Attributes:
    inputs: the numbers of its arguments' leaves.
    constants: values that it closes over, by number.
    equations: in order of computation.
    outputs: of its result's leaves.
    shapes: of every value, by number: `.shape` and `.dtype`.
    structure: of its result.
  """

  inputs: tuple[int, ...]
  constants: Mapping[int, Any]
  equations: tuple[Equation, ...]
  outputs: tuple[Atom, ...]
  shapes: tuple[Any, ...]
  structure: Any = None

  @property
  def result(self) -> Any:
    """The outputs in the structure of the function's result."""
    return jax.tree.unflatten(self.structure, self.outputs)

  def shape(self, atom: Atom) -> tuple[int, ...]:
    """An atom's shape."""
    return tuple(self.aval(atom).shape)

  def aval(self, atom: Atom) -> Any:
    """An atom's shape and type."""
    return atom.aval if isinstance(atom, Literal) else self.shapes[atom]


def trace(function: Callable[..., Any], *arguments: Any) -> Program:
  """The program of a function; nothing is computed.

  A function and arguments of the same shapes are traced once.

  Args:
    function: hashable, from pytrees of arrays to a pytree of arrays.
    *arguments: of it, arrays or their shapes.
  """
  leaves, structure = jax.tree.flatten(arguments)
  leaves = map(_shape, leaves)
  # A precision set by a context is a part of the jaxpr.
  precision = jax.config.jax_default_matmul_precision
  return _trace(function, structure, tuple(leaves), precision)


@functools.lru_cache(maxsize=32)
def _trace(function, structure, leaves, precision) -> Program:
  del precision
  arguments = jax.tree.unflatten(structure, leaves)
  closed, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
  return flatten(closed)._replace(structure=jax.tree.structure(result))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
  if isinstance(leaf, jax.ShapeDtypeStruct):
    return leaf
  aval = jax.typeof(leaf)
  return jax.ShapeDtypeStruct(
    aval.shape, aval.dtype, weak_type=getattr(aval, "weak_type", False)
  )


def flatten(closed: ClosedJaxpr) -> Program:
  """A jaxpr as a program."""
  shapes: list[Any] = []
  constants: dict[int, Any] = {}
  equations: list[Equation] = []

  def new(aval) -> int:
    shapes.append(aval)
    return len(shapes) - 1

  def walk(jaxpr, known, atoms, within) -> list[Atom]:
    values = dict(zip(jaxpr.invars, atoms, strict=True))
    for variable, value in zip(jaxpr.constvars, known, strict=True):
      values[variable] = new(variable.aval)
      constants[values[variable]] = value

    def read(atom):
      return atom if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
      inputs = tuple(map(read, equation.invars))
      if key := _INLINED.get(equation.primitive.name):
        inner = equation.params[key]
        outputs = walk(
          getattr(inner, "jaxpr", inner),
          getattr(inner, "consts", ()),
          inputs,
          equation.params.get("name", within),
        )
      else:
        outputs = tuple(new(variable.aval) for variable in equation.outvars)
        equations.append(Equation(equation, inputs, outputs, within))
      values.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]

  inputs = tuple(new(variable.aval) for variable in closed.jaxpr.invars)
  outputs = walk(closed.jaxpr, closed.consts, inputs, "")
  return Program(
    inputs, constants, tuple(equations), tuple(outputs), tuple(shapes)
  )


def needed(program: Program, wanted: Sequence[Atom]) -> tuple[int, ...]:
  """The places of the equations that some values depend on, in order."""
  alive = {atom for atom in wanted if isinstance(atom, int)}
  kept = []
  for place in reversed(range(len(program.equations))):
    equation = program.equations[place]
    if alive.intersection(equation.outputs):
      alive.update(x for x in equation.inputs if isinstance(x, int))
      kept.append(place)
  return tuple(reversed(kept))


def known_scalars(program: Program) -> dict[Any, Any]:
  """The numbers that are known, by `key`; also as all values of an array."""
  found = {}
  for equation in program.equations:
    for atom in equation.inputs:
      if isinstance(atom, Literal) and np.ndim(atom.val) == 0:
        found[key(atom)] = atom.val
    first = key(equation.inputs[0]) if equation.inputs else None
    if equation.name in RESHAPED and first in found:
      found[equation.outputs[0]] = found[first]
  return found


def key(atom: Atom) -> Any:
  """What tells an atom from others."""
  # Literals compare by what they are, and some have no hash.
  return atom if isinstance(atom, int) else ("literal", id(atom))


def evaluate(
  program: Program,
  arguments: Any,
  wanted: Sequence[Atom],
  apply: Callable[[int, Equation, Sequence[Any]], Sequence[Any]],
) -> list[Any]:
  """Values of a program.

  Args:
    program: which.
    arguments: of its function, as a tuple.
    wanted: the values; only what they depend on is computed.
    apply: `apply(place, equation, inputs)` gives the outputs of an equation.
  """
  leaves = jax.tree.leaves(arguments)
  values = dict(zip(program.inputs, leaves, strict=True))
  values |= program.constants

  def read(atom):
    return atom.val if isinstance(atom, Literal) else values[atom]

  for place in needed(program, wanted):
    equation = program.equations[place]
    found = apply(place, equation, list(map(read, equation.inputs)))
    values.update(zip(equation.outputs, found, strict=True))
  return list(map(read, wanted))


def bind(
  equation: Equation, inputs: Sequence[Any], **changes: Any
) -> Sequence[Any]:
  """The outputs of an equation.

  Args:
    equation: which.
    inputs: its operands' values.
    **changes: of its settings.
  """
  source = equation.source
  variables = tuple(Var(x.aval) for x in source.invars)
  source = source.replace(
    invars=list(variables), params=source.params | changes
  )
  alone = _empty().replace(
    invars=list(variables),
    outvars=source.outvars,
    eqns=[source],
    effects=source.effects,
  )
  return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*inputs)


@functools.cache
def _empty() -> Jaxpr:
  return jax.make_jaxpr(lambda: ())().jaxpr
