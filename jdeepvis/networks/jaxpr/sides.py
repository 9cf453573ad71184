"""The sides before the ReLUs of what a function returns."""

from collections.abc import Mapping

from jdeepvis.networks.jaxpr.program import (
  RESHAPED,
  Atom,
  Program,
  key,
  known_scalars,
)
from jdeepvis.networks.jaxpr.rectifiers import find_rectifiers

_ARRANGED = (*RESHAPED, "transpose", "copy")


def with_sides(
  program: Program, blobs: Mapping[str, Atom]
) -> tuple[Program, dict[str, Atom]]:
  """The blobs with the sides before their ReLUs, `x/pre`.

  A blob has one where it is what a rectifier returned, be it in another shape
  or another order of axes.

  Args:
    program: which.
    blobs: values of it, by name; one that is called `x/pre` stays.

  Returns:
    The program, which computes those sides too, and all blobs.
  """
  rectifiers = find_rectifiers(program)
  writers = {
    atom: place
    for place, equation in enumerate(program.equations)
    for atom in equation.outputs
  }
  constants = known_scalars(program)
  equations, shapes = list(program.equations), list(program.shapes)
  found = dict(blobs)
  for name, blob in blobs.items():
    arranged, atom, before = [], blob, None
    while before is None and isinstance(atom, int) and atom in writers:
      place = writers[atom]
      equation = program.equations[place]
      if rectifier := rectifiers.get(place):
        before = equation.inputs[rectifier.operand]
      elif equation.name in _ARRANGED:
        arranged.append(equation)
        atom = equation.inputs[0]
      elif equation.name == "min":  # the upper end of a clip
        varied = [x for x in equation.inputs if key(x) not in constants]
        atom = varied[0] if len(varied) == 1 else None
      else:
        break
    if before is None or f"{name}/pre" in blobs:
      continue
    for equation in reversed(arranged):
      shapes.append(program.shapes[equation.outputs[0]])
      inputs = (before, *equation.inputs[1:])
      before = len(shapes) - 1
      equations.append(equation._replace(inputs=inputs, outputs=(before,)))
    found[f"{name}/pre"] = before
  program = program._replace(equations=tuple(equations), shapes=tuple(shapes))
  return program, found
