"""The flags of scripts that make pictures by recipes, and what they ask for."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from absl import flags

from jdeepvis.networks.names import imported
from jdeepvis.synthesis import assembly, named_recipes, parameterisations
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import JdeepvisError

# The flags defined here are those of the script that asks for them.
flags.disclaim_key_flags()


class RecipeFlags:
  """The flags of every script that makes pictures by recipes.

  A function of one's own is `package.module:function@STRENGTH`, and behind it
  may stand `,every=4`, `,end=0.1` and further numbers that it takes.
  """

  def __init__(self, default: str | None, more: str = ""):
    """Defines the flags.

    Args:
      default: the recipe where none is named.
      more: to be said of --recipe besides the recipes' names.
    """
    names = ", ".join(named_recipes.RECIPES)
    self._names = flags.DEFINE_list(
      "recipe", default, f"One or several of {names}.{more}"
    )
    self._priors = flags.DEFINE_multi_string(
      "prior", [], "A prior of one's own: package.module:function@STRENGTH."
    )
    self._augmentations = flags.DEFINE_multi_string(
      "augment",
      [],
      "Likewise a function (key, image, strength).",
    )
    self._parameterisation = flags.DEFINE_string(
      "parameterise", None, "pixels, fourier, maco or package.module:function."
    )
    self._steps = flags.DEFINE_integer(
      "steps", None, "Steps; each recipe has its own.", lower_bound=1
    )
    self._keep = flags.DEFINE_enum(
      "keep", None, ["best", "last"], "Which image; each recipe has its own."
    )

  @property
  def names(self) -> list[str]:
    """The recipes that are asked for."""
    return self._names.value or []

  @property
  def steps(self) -> int | None:
    """Steps that all of them shall have."""
    return self._steps.value

  @property
  def changed(self) -> str | None:
    """A flag other than --steps that changes the named recipes."""
    flags_ = self._priors, self._augmentations, self._parameterisation
    given = [flag.name for flag in (*flags_, self._keep) if flag.value]
    return given[0] if given else None

  def made(
    self, names: Sequence[str] | None = None, steps: int | None = None
  ) -> dict[str, Recipe]:
    """The recipes by what they are called in files.

    Args:
      names: recipes, by default those of the flag.
      steps: of each, by default those of the flag.

    Raises:
      JdeepvisError: there is no such recipe or function.
    """
    return dict(map(functools.partial(self._make, steps), names or self.names))

  def _make(self, steps: int | None, name: str) -> tuple[str, Recipe]:
    recipe, called = named_recipes.recipe(name), name
    for text in self._priors.value:
      entry = _own_entry(text, "prior")
      recipe = recipe.with_prior(**entry)
      called += f"+{entry['name']}"
    for text in self._augmentations.value:
      entry = _own_entry(text, "augment")
      recipe = recipe.with_augmentation(**entry)
      called += f"+{entry['name']}"
    if (function := self._parameterisation.value) is not None:
      if ":" in function:
        found = own_function(function, "parameterise", ("spec",))
      else:
        found = parameterisations.find_parameterisation(function)
      recipe = recipe.replace(parameterisation=found)
      called += f"+{function.rpartition(':')[2]}"
    changes = {"steps": steps or self._steps.value, "keep": self._keep.value}
    changes = {name: value for name, value in changes.items() if value}
    return called, recipe.replace(**changes)


def own_function(
  name: str, flag: str, takes: Sequence[str], options: Iterable[str] = ()
) -> Callable:
  """The function that `package.module:function` behind a flag stands for.

  Args:
    name: a module and a function in it.
    flag: the flag's name, for the message.
    takes: what it is called with, in order.
    options: keywords that it is called with too.

  Raises:
    JdeepvisError: there is no such function, or it does not take that.
  """
  function = imported(name, f"function for --{flag}:")
  try:
    signature = inspect.signature(function)
    handed = assembly.EXTRAS if flag == "prior" else ()
    handed = [extra for extra in handed if extra in signature.parameters]
    signature.bind(*takes, **dict.fromkeys([*options, *handed]))
  except (TypeError, ValueError):
    raise JdeepvisError(
      f"--{flag}={name} is no function of ({', '.join([*takes, *options])})."
    ) from None
  return function


def _own_entry(text: str, flag: str) -> dict[str, Any]:
  """Parses `package.module:function@0.3,every=4` to `with_prior`'s arguments.

  Raises:
    JdeepvisError: it is not of this form, or there is no such function.
  """
  name, _, numbers = text.partition("@")
  strength, *more = (numbers or "1").split(",")
  entry: dict[str, Any] = {}
  try:
    entry["strength"] = float(strength)
    for item in more:
      key, _, value = item.partition("=")
      entry[key] = int(value) if key == "every" else float(value)
    fine = entry.get("every", 1) >= 1
  except ValueError:
    fine = False
  if not fine:
    raise JdeepvisError(
      f"--{flag}={text} is not package.module:function@STRENGTH, behind which "
      "may stand every=, end= and further numbers, such as @0.3,every=4."
    )
  takes, ours = ("key", "image", "strength"), {"strength"}
  if flag == "prior":
    takes, ours = takes[1:], {"strength", "every", "end"}
  own = [key for key in entry if key not in ours]
  entry["function"] = own_function(name, flag, takes, own)
  return {**entry, "name": name.rpartition(":")[2]}
