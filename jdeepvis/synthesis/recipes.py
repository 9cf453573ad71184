"""Recipes: what a picture is made with, and the named ones.

A recipe is a pytree. Its strengths are leaves, traced: 0 switches an entry off
within the same program. The functions and all else are static. Any function of
one's own can be an entry, see `Recipe.with_prior`.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import optax

from jdeepvis.networks.names import nearest
from jdeepvis.synthesis import (
  augmentation,
  gradients,
  parameterisations,
  priors,
  transforms,
)
from jdeepvis.types import JdeepvisError, Leaf

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Entry:
  """One function of a recipe, and how strong it is.

  Attributes:
    name: by which it is varied, left out and recorded in files; static.
    function: a prior `(image, strength)`, a gradient preference
      `(grad, strength)`, an augmentation `(key, image, strength)`, or a step
      policy `(strength)` that gives an optax transformation. Keywords `grad`,
      `value` and `step` are passed where a function names them. Static.
    strength: its second argument; 0 is the identity (`off`, if not 0).
    end: the strength at the last step, reached in equal ratios; None keeps it.
    every: steps from one use to the next; static.
    options: further keywords of the function, by name; numbers.
    off: the strength that does nothing; static.
  """

  name: str = dataclasses.field(metadata=_STATIC)
  function: Callable = dataclasses.field(metadata=_STATIC)
  strength: Leaf
  end: Leaf = None
  every: int = dataclasses.field(default=1, metadata=_STATIC)
  options: Mapping[str, Leaf] = dataclasses.field(default_factory=dict)
  off: float = dataclasses.field(default=0.0, metadata=_STATIC)

  @property
  def settings(self) -> dict[str, Any]:
    """Its strength, and what more it has, by the names that `replace` takes."""
    step = self.name == STEP
    more = {
      key if step else f"{self.name}_{key}": value
      for key, value in self.options.items()
    }
    if self.end is not None:
      more[f"{self.name}_end"] = self.end
    if self.every != 1:
      more[f"{self.name}_every"] = self.every
    return {self.name: self.strength, **more}


BUILT_IN: Mapping[str, Mapping[str, Callable]] = MappingProxyType(
  {
    "gradients": gradients.GRADIENTS,
    "priors": priors.PRIORS,
    "augmentations": augmentation.AUGMENTATIONS,
  }
)
"""jdeepvis's own entries, by group, in the order of their use."""

STEP = "rate"
"""The step policy's name among the strengths."""

_FIELDS = ("log_prob_weight", "decay_fraction", "steps", "keep")
_COUNTS = ("steps",)

RENAMED: Mapping[str, str] = {
  "focus": "centre_bias",
  "coarsest": "pyramid_sigma",
  "small_value": "value_percentile",
  "small_norm": "norm_percentile",
  "small_benefit": "benefit_percentile",
  "small_contribution": "contribution_percentile",
  "shift": "jitter",
  "rivals": "log_prob_weight",
  "cool_down": "decay_fraction",
  "decoder": "parameterisation",
  "focus_end": "centre_bias_end",
}
"""Names of version 0.1, and what they are called now."""


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
    default=parameterisations.pixels, metadata=_STATIC
  )
  log_prob_weight: Leaf = None
  decay_fraction: Leaf = None
  steps: int = dataclasses.field(default=500, metadata=_STATIC)
  keep: str = dataclasses.field(default="best", metadata=_STATIC)

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
      value = int(value) if name in _COUNTS else _leaf(value)
      return dataclasses.replace(self, **{name: value})
    for group in ("step", *BUILT_IN):
      held = getattr(self, group)
      for entry in (held,) if group == "step" else held:
        if (other := _change_entry(entry, name, value)) is not None:
          new = (
            other
            if group == "step"
            else tuple(other if x is entry else x for x in held)
          )
          return dataclasses.replace(self, **{group: new})
    for group, functions in BUILT_IN.items():
      if name in functions:
        return self._insert(group, _built_in(group, name, value))
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
    options = {key: _leaf(value) for key, value in options.items()}
    entry = Entry(name, function, _leaf(strength), _leaf(end), every, options)
    return dataclasses.replace(self, **{group: (*getattr(self, group), entry)})


def current_name(name: str) -> str:
  """A strength's new name; old names are accepted for one version more."""
  if name not in RENAMED:
    return name
  new = RENAMED[name]
  warnings.warn(f"{name!r} is called {new!r} now.", FutureWarning, stacklevel=3)
  return new


def _change_entry(entry: Entry, name: str, value: Any) -> Entry | None:
  if name == entry.name:
    return dataclasses.replace(entry, strength=_leaf(value))
  if name == f"{entry.name}_end":
    return dataclasses.replace(entry, end=_leaf(value))
  if name == f"{entry.name}_every":
    return dataclasses.replace(entry, every=int(value))
  for option in entry.options:
    if name in (option, f"{entry.name}_{option}"):
      options = {**entry.options, option: _leaf(value)}
      return dataclasses.replace(entry, options=options)
  return None


def _built_in(group: str, name: str, strength: Leaf, **more) -> Entry:
  off = 1.0 if name == "scale" else 0.0
  return Entry(name, BUILT_IN[group][name], _leaf(strength), off=off, **more)


def _leaf(value: Any) -> Any:
  """As a float, since an int would compile another program."""
  return float(value) if isinstance(value, int) else value


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
    name: _leaf(strengths.pop(name)) for name in taken if name in strengths
  }
  made = Recipe(step=Entry(STEP, step, _leaf(rate), options=options))
  return made.replace(**strengths)


_LOOKS = {
  "jitter": 0.1,
  "scale": 2.0,
  "rotation": 10.0,
  "log_prob_weight": 10.0,
  "steps": 256,
  "keep": "last",
}

RECIPES: Mapping[str, Recipe] = MappingProxyType(
  {
    "default": make_recipe(
      transforms.scale_to_rms,
      8.0,
      colour=0.7,
      centre_bias=6.5,
      centre_bias_end=2.0,
      pyramid_sigma=0.053,
      decay=0.02,
      decay_fraction=0.2,
      **_LOOKS,
    ),
    # Other styles, by other parameterisations.
    "fourier": make_recipe(
      optax.adam,
      0.05,
      decay=0.01,
      decay_fraction=0.5,
      parameterisation=parameterisations.fourier,
      **_LOOKS,
    ),
    "maco": make_recipe(
      optax.adam,
      0.1,
      decay_fraction=0.5,
      parameterisation=parameterisations.maco,
      **_LOOKS,
    ),
    # For images of some thirty pixels, whose strokes are two or three wide:
    # a narrow blur, and a decay towards the mean, LeNet's black paper.
    "small": make_recipe(
      transforms.scale_to_rms,
      8.0,
      decay=0.02,
      blur=1.0,
      blur_end=0.4,
      blur_every=4,
      jitter=0.05,
      scale=1.3,
      steps=256,
      keep="last",
    ),
    # The rows of table 1, from the top left of the figure's gorillas.
    "paper_a": make_recipe(
      transforms.scale_by_progress,
      2.0,
      max_rate=100.0,
      blur=0.5,
      blur_every=4,
      norm_percentile=50.0,
      steps=500,
    ),
    "paper_b": make_recipe(
      optax.scale_by_learning_rate,
      100.0,
      decay=0.3,
      norm_percentile=20.0,
      steps=750,
    ),
    "paper_c": make_recipe(
      optax.scale_by_learning_rate,
      100.0,
      decay=1e-4,
      blur=1.0,
      blur_every=4,
      steps=1000,
    ),
    "paper_d": make_recipe(
      transforms.scale_by_progress,
      2.0,
      max_rate=1e8,
      blur=0.5,
      blur_every=4,
      contribution_percentile=90.0,
      steps=1000,
    ),
    # Erhan et al. 2009: no prior at all, which gives fooling images.
    "none": make_recipe(transforms.scale_to_rms, 4.0, steps=256),
    # Simonyan et al. 2013, §2: L2 alone.
    "simonyan": make_recipe(
      transforms.scale_to_rms, 4.0, decay=1e-2, steps=256
    ),
  }
)


def recipe(name: "str | Recipe") -> Recipe:
  """The recipe called `name`; a recipe is returned as it is.

  >>> import jdeepvis
  >>> jdeepvis.recipe("paper_c").steps
  1000

  Args:
    name: a key of `RECIPES`, or a recipe.

  Returns:
    The recipe.

  Raises:
    JdeepvisError: there is none; the message names the nearest.
  """
  if isinstance(name, Recipe):
    return name
  if name not in RECIPES:
    raise JdeepvisError(
      f"There is no recipe {name!r}; {nearest(name, RECIPES)}."
    )
  return RECIPES[name]
