"""A recipe: what a picture is made with.

A recipe is a pytree. Its strengths are leaves, traced: 0 switches an entry off
within the same program. The functions and all else are static. Any function of
one's own can be an entry, see `Recipe.with_prior`.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax

from jdeepvis.networks.names import nearest
from jdeepvis.synthesis import parameterisations
from jdeepvis.synthesis.entries import (
  BUILT_IN,
  STATIC,
  STEP,
  Entry,
  as_leaf,
  built_in,
  current_name,
)
from jdeepvis.types import JdeepvisError, Leaf

_FIELDS = ("log_prob_weight", "decay_fraction", "steps", "keep")
_COUNTS = ("steps",)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """How a picture is made: step, gradient preferences, priors, augmentation.

  >>> import jdeepvis
  >>> def fade(image, strength):
  ...   return image * (1 - strength)
  >>> recipe = jdeepvis.recipe("default").with_prior(fade, strength=0.1)
  >>> recipe.without("decay").replace(steps=64).strengths["fade"]
  0.1

  Attributes:
    step: the step policy, an entry called `rate`.
    gradients: what is done to the gradient before the step, in order.
    priors: what is done to the image after the step, in order.
    augmentations: random changes of the image that the network sees, in order.
    parameterisation: what gradient ascent moves, `parameterisations.pixels`,
      `fourier`, `maco` or one's own `(InputSpec) -> Parameterisation`; static.
      Priors act on these parameters: other than for pixels only decay makes
      sense.
    log_prob_weight: weight of a class's log-probability, which is added to
      its score: it must beat the other classes. None leaves it out; hidden
      layers ignore it, since their values are no logits.
    decay_fraction: share of the steps, at the end, over which the step size
      falls linearly to 0; None keeps it.
    steps: how many; static.
    keep: which image to return, `best` or `last`; static.
  """

  step: Entry
  gradients: tuple[Entry, ...] = ()
  priors: tuple[Entry, ...] = ()
  augmentations: tuple[Entry, ...] = ()
  parameterisation: Callable = dataclasses.field(
    default=parameterisations.pixels, metadata=STATIC
  )
  log_prob_weight: Leaf = None
  decay_fraction: Leaf = None
  steps: int = dataclasses.field(default=500, metadata=STATIC)
  keep: str = dataclasses.field(default="best", metadata=STATIC)

  @property
  def entries(self) -> tuple[Entry, ...]:
    """All of them, the step first."""
    return (self.step, *self.gradients, *self.priors, *self.augmentations)

  @property
  def strengths(self) -> dict[str, Any]:
    """Everything that `replace` can change, by name."""
    found = {}
    for entry in self.entries:
      found |= entry.settings
    fields = {name: getattr(self, name) for name in _FIELDS}
    return found | {name: x for name, x in fields.items() if x is not None}

  def with_prior(
    self,
    function: Callable,
    strength: Leaf = 1.0,
    *,
    end: Leaf = None,
    every: int = 1,
    name: str | None = None,
    **options: Leaf,
  ) -> "Recipe":
    """The recipe with one more prior, after the others.

    Args:
      function: `function(image, strength)` gives an image; the identity at 0.
        It may take keywords `grad`, `value` and `step` too.
      strength: any number, traced.
      end: the strength at the last step; None keeps it.
      every: steps from one use to the next.
      name: by which it is varied and recorded; by default the function's own.
      **options: further keywords of the function; numbers.

    Raises:
      JdeepvisError: there is an entry of this name.
    """
    return self._with("priors", function, strength, name, end, every, options)

  def with_gradient(
    self,
    function: Callable,
    strength: Leaf = 1.0,
    *,
    end: Leaf = None,
    every: int = 1,
    name: str | None = None,
    **options: Leaf,
  ) -> "Recipe":
    """As `with_prior`, for a function from gradient to gradient."""
    return self._with(
      "gradients", function, strength, name, end, every, options
    )

  def with_augmentation(
    self,
    function: Callable,
    strength: Leaf = 1.0,
    *,
    name: str | None = None,
    **options: Leaf,
  ) -> "Recipe":
    """As `with_prior`, for a function `(key, image, strength)` to an image."""
    return self._with(
      "augmentations", function, strength, name, None, 1, options
    )

  def without(self, *names: str) -> "Recipe":
    """The recipe without the entries of these names.

    Raises:
      JdeepvisError: it has no such entry.
    """
    known = [entry.name for entry in self.entries[1:]]
    gone = {*map(current_name, names)}
    for name in gone:
      if name in ("log_prob_weight", "decay_fraction"):
        continue
      if name not in known:
        raise JdeepvisError(
          f"The recipe has no entry {name!r} to leave out; "
          f"{nearest(name, known)}."
        )
    groups = {
      group: tuple(x for x in getattr(self, group) if x.name not in gone)
      for group in BUILT_IN
    }
    off = {x: None for x in ("log_prob_weight", "decay_fraction") if x in gone}
    return dataclasses.replace(self, **groups, **off)

  def replace(self, **changes: Any) -> "Recipe":
    """The recipe with other strengths, by the names of `strengths`.

    One of jdeepvis's own priors that the recipe does not have is inserted in
    their order: `replace(blur=0.5, blur_every=4)`. `steps`, `keep`,
    `parameterisation`, `log_prob_weight` and `decay_fraction` change too.

    Raises:
      JdeepvisError: there is no strength of such a name.
    """
    changes = {current_name(name): value for name, value in changes.items()}
    recipe = self
    # Entries before their ends and periods.
    for name in sorted(changes, key=len):
      recipe = recipe._changed(name, changes[name])
    return recipe

  def _changed(self, name: str, value: Any) -> "Recipe":
    if name in (*_FIELDS, "parameterisation"):
      if isinstance(value, str) and name == "parameterisation":
        value = parameterisations.find_parameterisation(value)
      value = int(value) if name in _COUNTS else as_leaf(value)
      return dataclasses.replace(self, **{name: value})
    for group in ("step", *BUILT_IN):
      held = getattr(self, group)
      for entry in (held,) if group == "step" else held:
        if (other := entry.changed(name, value)) is not None:
          new = (
            other
            if group == "step"
            else tuple(other if x is entry else x for x in held)
          )
          return dataclasses.replace(self, **{group: new})
    for group, functions in BUILT_IN.items():
      if name in functions:
        return self._insert(group, built_in(group, name, value))
    known = [
      *self.strengths,
      *(x for names in BUILT_IN.values() for x in names),
    ]
    raise JdeepvisError(
      f"A recipe has no strength {name!r}; {nearest(name, known)}."
    )

  def _insert(self, group: str, entry: Entry) -> "Recipe":
    """Puts one of our own before the first that comes later in their order."""
    order = list(BUILT_IN[group])
    held = list(getattr(self, group))
    later = order[order.index(entry.name) + 1 :]
    place = next(
      (i for i, x in enumerate(held) if x.name in later),
      sum(x.name in order for x in held),
    )
    held.insert(place, entry)
    return dataclasses.replace(self, **{group: tuple(held)})

  def _with(self, group, function, strength, name, end, every, options):
    name = name or getattr(function, "__name__", type(function).__name__)
    if name in self.strengths:
      raise JdeepvisError(
        f"The recipe has an entry {name!r} already; give this one another "
        "name=."
      )
    options = {key: as_leaf(value) for key, value in options.items()}
    entry = Entry(
      name, function, as_leaf(strength), as_leaf(end), every, options
    )
    return dataclasses.replace(self, **{group: (*getattr(self, group), entry)})


def make_recipe(step: Callable, rate: Leaf, **strengths: Any) -> Recipe:
  """A recipe from nothing: a step policy, and some of jdeepvis's own entries.

  >>> import optax, jdeepvis
  >>> recipe = jdeepvis.make_recipe(optax.adam, 0.5, decay=0.01, steps=64)

  Args:
    step: `step(rate, ...)` gives an optax transformation.
    rate: its first argument, traced.
    **strengths: of entries and of all else that `Recipe.replace` takes; those
      that the step takes too, such as `max_rate`, are the step's.

  Returns:
    The recipe, without augmentation.

  Raises:
    JdeepvisError: there is no such strength.
  """
  taken = list(inspect.signature(step).parameters)[1:]
  options = {
    name: as_leaf(strengths.pop(name)) for name in taken if name in strengths
  }
  made = Recipe(step=Entry(STEP, step, as_leaf(rate), options=options))
  return made.replace(**strengths)
