"""Recipes as plain values, by which a folder recognises its own.

A function of one's own is recorded by its name and a digest of its source, so
that a changed prior is another recipe.
"""

import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import optax

from jdeepvis.synthesis import parameterisations, transforms
from jdeepvis.synthesis.entries import BUILT_IN, RENAMED, STEP, Entry
from jdeepvis.synthesis.recipes import Recipe

_OURS = ("jdeepvis", "optax")


def to_plain(recipe: Recipe) -> dict[str, Any]:
  """Every setting of a recipe by name; equal for recipes that make the same.

  Args:
    recipe: any recipe, its strengths plain numbers.
  """
  plain = {
    name: value if isinstance(value, str | int) else float(value)
    for name, value in recipe.strengths.items()
  }
  plain["step"] = _name(recipe.step.function)
  plain["parameterisation"] = _name(recipe.parameterisation)
  for group in BUILT_IN:
    entries = getattr(recipe, group)
    if entries:
      plain[group] = ", ".join(entry.name for entry in entries)
  functions = {entry.name: entry.function for entry in recipe.entries}
  functions["parameterisation"] = recipe.parameterisation
  for name, function in functions.items():
    if not is_ours(function):
      plain[f"{name}_function"] = _name(function)
      plain[f"{name}_sha256"] = source_sha256(function)
  return plain


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


def is_ours(function: Callable) -> bool:
  """Whether a function is one of jdeepvis's own, or of optax's."""
  module = getattr(function, "__module__", None) or type(function).__module__
  return module.partition(".")[0] in _OURS


def source_sha256(function: Callable) -> str:
  """A digest of a function's source, which changes when the function does.

  Args:
    function: any; what is bound by `functools.partial` counts too. For another
      callable object its class's source and its repr count.
  """
  bare, bound = _bare(function)
  try:
    source = inspect.getsource(bare)
  except (OSError, TypeError):  # typed into an interpreter
    code = getattr(bare, "__code__", None)
    source = repr((code.co_code, code.co_consts)) if code else repr(bare)
  # Addresses differ from process to process.
  text = source + re.sub(r" at 0x[0-9a-f]+", "", "".join(map(repr, bound)))
  return hashlib.sha256(text.encode()).hexdigest()


def _name(function: Callable) -> str:
  if is_ours(function):
    return getattr(function, "__name__", type(function).__name__)
  bare, _ = _bare(function)
  return f"{bare.__module__}:{bare.__qualname__}"


def _bare(function: Any) -> tuple[Any, list[Any]]:
  """The function or class behind a callable, and what is bound to it."""
  bound = []
  while isinstance(function, functools.partial):
    bound += [function.args, function.keywords]
    function = function.func
  function = inspect.unwrap(function)
  if hasattr(function, "__qualname__"):
    return function, bound
  return type(function), [*bound, function]
