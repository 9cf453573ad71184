"""From a recipe to the functions that `render` takes."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import optax

from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import gradients, priors, transforms, views
from jdeepvis.synthesis.objectives import Objective, log_probability, neuron
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import Index, JdeepvisError, Scalar

_GRADIENTS = (
  ("colour", gradients.mix_colours),
  ("focus", gradients.focus),
  ("coarsest", gradients.balance_octaves),
)
_PRIORS = (
  # The original's order, which matters; total variation is ours.
  ("decay", priors.decay, ()),
  ("blur", priors.blur, ()),
  ("total_variation", priors.total_variation, ()),
  ("small_value", priors.clip_small_values, ()),
  ("small_norm", priors.clip_small_norm, ()),
  ("small_benefit", priors.clip_small_benefit, ("grad",)),
  ("small_contribution", priors.clip_small_contribution, ("grad",)),
)


def transform(recipe: Recipe, spec: InputSpec) -> transforms.Transform:
  """The recipe's optax chain: gradient, step, priors in their order, box.

  Args:
    recipe: any recipe; its strengths may be traced.
    spec: the network's input, whose bounds the box keeps.

  Raises:
    JdeepvisError: the recipe's policy is none of the three.
  """
  chain = [
    transforms.precondition(_at(recipe, name, function), extra=("step",))
    for name, function in _GRADIENTS
    if getattr(recipe, name) is not None
  ]
  chain.append(_policy(recipe))
  if recipe.cool_down is not None:
    chain.append(optax.scale_by_schedule(_cooling(recipe)))
  for name, prior, extra in _PRIORS:
    if getattr(recipe, name) is None:
      continue
    prior = _at(recipe, name, prior)
    link = transforms.project(prior, extra=("step", *extra))
    often = recipe.blur_every if name == "blur" else 1
    chain.append(transforms.every(often, link))
  lower, upper = spec.bounds
  box = functools.partial(priors.box, lower=lower, upper=upper)
  return optax.chain(*chain, transforms.project(box))


def objective(
  recipe: Recipe,
  layer: str,
  unit: Index,
  position: tuple[Index, Index] | None = None,
  *,
  direction: Scalar = 1.0,
) -> Objective:
  """What the recipe asks of a unit: its value; of a class, to win as well.

  Args:
    recipe: any recipe.
    layer: a blob's name; the class scores must be called `output`.
    unit: the channel.
    position: row and column, cells; None is the centre.
    direction: 1 looks for what excites the unit, -1 for what inhibits it.
  """
  asked = neuron(layer, unit, position, direction=direction)
  if recipe.rivals is None or layer != "output":
    return asked
  share = log_probability(unit, layer, position, direction=direction)
  return asked + recipe.rivals * share


def with_views(recipe: Recipe, score: Callable) -> Callable:
  """The score as the recipe looks at it: through random views, or straight."""
  told = {
    "shift": recipe.shift,
    "scale": recipe.scale,
    "rotation": recipe.rotation,
  }
  told = {name: value for name, value in told.items() if value is not None}
  return views.random_views(score, **told) if told else score


def _policy(recipe: Recipe) -> optax.GradientTransformation:
  match recipe.policy:
    case "constant":
      return optax.scale_by_learning_rate(recipe.rate)
    case "progress":
      return transforms.scale_by_progress(recipe.rate, recipe.max_rate)
    case "rms":
      return transforms.scale_to_rms(recipe.rate)
  raise JdeepvisError(
    f"There is no step policy {recipe.policy!r}; use constant, progress or rms."
  )


def _cooling(recipe: Recipe) -> Callable:
  def factor(step):
    left = 1 - step / recipe.steps
    return jnp.minimum(1, left / jnp.maximum(recipe.cool_down, 1e-6))

  return factor


def _at(recipe: Recipe, name: str, function: Callable) -> Callable:
  """`function` at the recipe's strength, which may change with the step."""
  first = getattr(recipe, name)
  last = getattr(recipe, f"{name}_end", None)

  def call(image, *, step, **extra):
    if last is None:
      return function(image, first, **extra)
    done = step / max(recipe.steps - 1, 1)
    # Off is off: a strength of 0 has no ratio to its end.
    ratio = (last / jnp.maximum(first, 1e-6)) ** done
    return function(image, first * ratio, **extra)

  return call
