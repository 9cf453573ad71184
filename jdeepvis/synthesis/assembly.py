"""From a recipe to the functions that `ascend` takes."""

import functools
import inspect
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import (
  augmentation,
  parameterisations,
  priors,
  transforms,
)
from jdeepvis.synthesis.entries import Entry
from jdeepvis.synthesis.objective import Objective
from jdeepvis.synthesis.objectives import log_probability, neuron
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import Index, Scalar

EXTRAS = ("grad", "value", "step")


def optimizer(recipe: Recipe, spec: InputSpec) -> transforms.Transform:
  """The recipe's optax chain: gradient, step, priors in their order, box.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> chain = jdeepvis.optimizer(jdeepvis.recipe("paper_c"), network.input)

  Args:
    recipe: any recipe; its strengths may be traced.
    spec: the network's input, whose bounds the box keeps.

  Returns:
    A transformation that wants `value=`, `grad=` and `step=`, see `ascend`.
  """
  chain = [
    transforms.every(
      entry.every, transforms.precondition(*_link(entry, recipe.steps))
    )
    for entry in recipe.gradients
  ]
  step = recipe.step
  chain.append(step.function(step.strength, **step.options))
  if recipe.decay_fraction is not None:
    chain.append(optax.scale_by_schedule(_decaying(recipe)))
  for entry in recipe.priors:
    link = transforms.project(*_link(entry, recipe.steps))
    chain.append(transforms.every(entry.every, link))
  if recipe.parameterisation is parameterisations.pixels:
    lower, upper = spec.bounds
    box = functools.partial(priors.box, lower=lower, upper=upper)
    chain.append(transforms.project(box))
  return optax.chain(*chain)


def unit_objective(
  recipe: Recipe,
  layer: str,
  unit: Index,
  position: tuple[Index, Index] | None = None,
  *,
  direction: Scalar = 1.0,
) -> Objective:
  """The recipe's objective for a unit: its value; for a class plus its log p.

  Args:
    recipe: any recipe.
    layer: a blob's name; the class scores must be called `output`.
    unit: the channel.
    position: row and column in the map; None is the centre.
    direction: 1 looks for what excites the unit, -1 for what inhibits it.
  """
  asked = neuron(layer, unit, position, direction=direction)
  if recipe.log_prob_weight is None or layer != "output":
    return asked
  share = log_probability(unit, layer, position=position, direction=direction)
  return asked + recipe.log_prob_weight * share


def encode(recipe: Recipe, image, spec: InputSpec):
  """A centred image `[h, w, c]` as the recipe's parameters.

  >>> import numpy as np, jdeepvis
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.full(3, 128, np.float32))
  >>> image = np.zeros(spec.shape, np.float32)
  >>> jdeepvis.encode(jdeepvis.recipe("fourier"), image, spec).shape
  (2, 8, 5, 3)

  Args:
    recipe: whose parameterisation.
    image: centred, `[h, w, c]`, grey levels.
    spec: of the image.

  Returns:
    What gradient ascent moves; for `pixels` the image itself.
  """
  return recipe.parameterisation(spec).encode(image)


def decode(recipe: Recipe, parameters, spec: InputSpec):
  """The centred image `[h, w, c]` of the recipe's parameters.

  >>> import numpy as np, jdeepvis
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.full(3, 128, np.float32))
  >>> coefficients = np.zeros((2, 8, 5, 3), np.float32)
  >>> jdeepvis.decode(jdeepvis.recipe("fourier"), coefficients, spec).shape
  (8, 8, 3)

  Args:
    recipe: whose parameterisation.
    parameters: what gradient ascent moves.
    spec: of the image.

  Returns:
    The centred image, `[h, w, c]`, grey levels.
  """
  return recipe.parameterisation(spec).decode(parameters)


def augmented(recipe: Recipe, score: Callable, spec: InputSpec) -> Callable:
  """A score of the recipe's parameters: decoded, then augmented.

  >>> import jax, numpy as np, jdeepvis
  >>> from jax.tree_util import Partial
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> brightness = Partial(lambda key, image: image.mean())
  >>> score = jdeepvis.augmented(jdeepvis.recipe("default"), brightness, spec)
  >>> score(jax.random.key(0), np.zeros(spec.shape, np.float32)).item()
  0.0

  Args:
    recipe: any recipe.
    score: `score(key, image)`, a pytree as `bind` makes it.
    spec: the network's input.

  Returns:
    A score of the same form.
  """
  return Partial(_score, recipe, spec, score)


def _score(recipe, spec, score, key, parameters):
  image = decode(recipe, parameters, spec)
  groups = itertools.groupby(
    recipe.augmentations, lambda x: x.function in augmentation.GEOMETRIC
  )
  for number, (geometric, group) in enumerate(groups):
    each = key if number == 0 else jax.random.fold_in(key, number)
    if geometric:
      words = {augmentation.GEOMETRIC[x.function]: x.strength for x in group}
      image = augmentation.random_affine(each, image, **words)
      continue
    for place, entry in enumerate(group):
      drawn = jax.random.fold_in(each, place)
      image = entry.function(drawn, image, entry.strength, **entry.options)
  return score(key, image)


def _decaying(recipe: Recipe) -> Callable:
  def factor(step):
    left = 1 - jnp.float32(step) / recipe.steps
    return jnp.minimum(1, left / jnp.maximum(recipe.decay_fraction, 1e-6))

  return factor


def _link(entry: Entry, steps: int) -> tuple[Callable, tuple[str, ...]]:
  """The entry at its strength, and which extra arguments it wants."""
  named = list(inspect.signature(entry.function).parameters)[2:]
  wanted = tuple(name for name in EXTRAS if name in named)

  def call(image, *, step, **extra):
    extra = {**extra, "step": step} if "step" in wanted else extra
    strength = entry.strength
    if entry.end is not None:
      done = jnp.float32(step) / max(steps - 1, 1)
      # Off is off: a strength of 0 has no ratio to its end.
      ratio = (entry.end / jnp.maximum(strength, 1e-6)) ** done
      strength = strength * ratio
    return entry.function(image, strength, **extra, **entry.options)

  return call, tuple(dict.fromkeys(("step", *wanted)))
