"""Recipes as plain values, by which a folder knows again what it was made with.

A function of somebody's own is told by its name and a digest of its source, so
that a prior that was changed is another recipe.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax

from jdeepvis.synthesis import parameterisations, transforms
from jdeepvis.synthesis.recipes import (
  BUILT_IN,
  RENAMED,
  STEP,
  Entry,
  Recipe,
)

_OURS = ("jdeepvis", "optax")


def to_plain(recipe: Recipe) -> dict[str, Any]:
  """Every setting of a recipe by name; equal for recipes that make the same.

  Args:
    recipe: any recipe, its strengths plain numbers.
  """
  told = {
    name: value if isinstance(value, str | int) else float(value)
    for name, value in recipe.strengths.items()
  }
  told["step"] = _name(recipe.step.function)
  told["parameterisation"] = _name(recipe.parameterisation)
  for group in BUILT_IN:
    entries = getattr(recipe, group)
    if entries:
      told[group] = ", ".join(entry.name for entry in entries)
  functions = {entry.name: entry.function for entry in recipe.entries}
  functions["parameterisation"] = recipe.parameterisation
  for name, function in functions.items():
    if not _is_ours(function):
      told[f"{name}_function"] = _name(function)
      told[f"{name}_sha256"] = _digest(function)
  return told


def from_version_1(fields: Mapping[str, Any]) -> Recipe:
  """A recipe as version 0.1 of this package wrote it into manifests.

  Args:
    fields: the attributes of its dataclass, a flat table of all the priors.
  """
  fields = {name: x for name, x in fields.items() if x is not None}
  policy = fields.pop("policy")
  steps = {
    "constant": optax.scale_by_learning_rate,
    "progress": transforms.scale_by_progress,
    "rms": transforms.scale_to_rms,
    "adam": optax.adam,
  }
  options = {name: fields.pop(name) for name in ("max_rate",) if name in fields}
  if policy != "progress":
    options = {}
  step = Entry(STEP, steps[policy], fields.pop("rate"), options=options)
  made = parameterisations.find_parameterisation(fields.pop("decoder"))
  if "blur" not in fields:
    fields.pop("blur_every", None)
  renamed = {RENAMED.get(name, name): x for name, x in fields.items()}
  return Recipe(step=step, parameterisation=made).replace(**renamed)


def _name(function: Callable) -> str:
  if _is_ours(function):
    return getattr(function, "__name__", type(function).__name__)
  return f"{function.__module__}:{function.__qualname__}"


def _is_ours(function: Callable) -> bool:
  module = getattr(function, "__module__", None) or type(function).__module__
  return module.partition(".")[0] in _OURS


def _digest(function: Callable) -> str:
  try:
    source = inspect.getsource(function)
  except (OSError, TypeError):  # typed into an interpreter
    code = getattr(function, "__code__", None)
    source = repr((code.co_code, code.co_consts)) if code else repr(function)
  return hashlib.sha256(source.encode()).hexdigest()
