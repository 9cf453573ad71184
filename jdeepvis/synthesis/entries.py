"""Entries: the functions that recipes are made of, with their strengths."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax

from jdeepvis.synthesis import augmentation, gradients, priors
from jdeepvis.types import Leaf

STATIC: Mapping[str, Any] = MappingProxyType({"static": True})
"""Marks a field of a pytree whose values are compiled in."""


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

  name: str = dataclasses.field(metadata=STATIC)
  function: Callable = dataclasses.field(metadata=STATIC)
  strength: Leaf
  end: Leaf = None
  every: int = dataclasses.field(default=1, metadata=STATIC)
  options: Mapping[str, Leaf] = dataclasses.field(default_factory=dict)
  off: float = dataclasses.field(default=0.0, metadata=STATIC)

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

  def changed(self, name: str, value: Any) -> "Entry | None":
    """The entry with one of its `settings` changed; None if it has no such."""
    if name == self.name:
      return dataclasses.replace(self, strength=as_leaf(value))
    if name == f"{self.name}_end":
      return dataclasses.replace(self, end=as_leaf(value))
    if name == f"{self.name}_every":
      return dataclasses.replace(self, every=int(value))
    for option in self.options:
      if name in (option, f"{self.name}_{option}"):
        options = {**self.options, option: as_leaf(value)}
        return dataclasses.replace(self, options=options)
    return None


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


def built_in(group: str, name: str, strength: Leaf, **more: Any) -> Entry:
  """One of `BUILT_IN` as an entry.

  Args:
    group: a key of `BUILT_IN`.
    name: a key of that group.
    strength: the function's second argument.
    **more: further fields of `Entry`.

  Returns:
    The entry.
  """
  off = 1.0 if name == "scale" else 0.0
  return Entry(name, BUILT_IN[group][name], as_leaf(strength), off=off, **more)


def current_name(name: str) -> str:
  """A strength's new name; old names are accepted for one version more."""
  if name not in RENAMED:
    return name
  new = RENAMED[name]
  warnings.warn(f"{name!r} is called {new!r} now.", FutureWarning, stacklevel=3)
  return new


def as_leaf(value: Any) -> Any:
  """As a float, since an int would compile another program."""
  return float(value) if isinstance(value, int) else value
