"""The order in which a function computes what it returns."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import Literal


def computed_in_order(
  function: Callable[..., dict[str, Any]], *arguments: Any
) -> dict[str, jax.ShapeDtypeStruct]:
  """The shapes of what a function returns, in order of computation.

  The place of an array is that of the equation of the function's jaxpr which
  writes it; functions that are called, such as jitted ones, count as inlined.
  Arguments and constants come first. Of several names of one array the deeper
  comes first, `block/conv` before `block`, and `output` and its parts last.

  Args:
    function: returns a dict from name to array.
    *arguments: of it, arrays or their shapes; nothing is computed.
  """
  program, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
  # A jaxpr returns the leaves of a dict, which go by their keys.
  places = _places(program.jaxpr, itertools.count())
  place = dict(zip(sorted(shapes), places, strict=True))

  def rank(name):
    last = name.partition("/")[0] == "output"
    return place[name], last, -name.count("/"), name

  return {name: shapes[name] for name in sorted(shapes, key=rank)}


def _places(jaxpr, clock: Iterator[int]) -> list[int]:
  """When each result of a jaxpr is written, its arguments at its start."""
  start, written = next(clock), {}
  for equation in jaxpr.eqns:
    called = _called(equation)
    places = (
      _places(called, clock)
      if called
      else [next(clock)] * len(equation.outvars)
    )
    written.update(zip(equation.outvars, places, strict=True))
  return [
    start if isinstance(atom, Literal) else written.get(atom, start)
    for atom in jaxpr.outvars
  ]


def _called(equation):
  """The jaxpr that an equation runs from argument to result, if it has one."""
  params = equation.params
  called = params.get("jaxpr", params.get("call_jaxpr"))
  called = getattr(called, "jaxpr", called)
  if called is None or len(called.outvars) != len(equation.outvars):
    return None
  return called
