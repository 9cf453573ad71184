"""From a recipe to the functions that `render` takes."""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import decoders, gradients, priors, transforms, views
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
  if recipe.decoder == "pixels":
    lower, upper = spec.bounds
    box = functools.partial(priors.box, lower=lower, upper=upper)
    chain.append(transforms.project(box))
  return optax.chain(*chain)


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


def decoder(recipe: Recipe, spec: InputSpec) -> decoders.Decoder:
  """From images to what the recipe climbs, and back.

  Raises:
    JdeepvisError: the recipe's decoder is none of `decoders.DECODERS`.
  """
  if recipe.decoder not in decoders.DECODERS:
    raise JdeepvisError(
      f"There is no decoder {recipe.decoder!r}; "
      f"{nearest(recipe.decoder, decoders.DECODERS)}."
    )
  return decoders.DECODERS[recipe.decoder](spec)


def with_views(recipe: Recipe, score: Callable, spec: InputSpec) -> Callable:
  """A score of what the recipe climbs: decoded, and seen through its views.

  Args:
    recipe: any recipe.
    score: of an image.
    spec: the network's input.
  """
  told = {
    "shift": recipe.shift,
    "scale": recipe.scale,
    "rotation": recipe.rotation,
  }
  told = {name: value for name, value in told.items() if value is not None}
  seen = views.random_views(score, **told) if told else score
  if recipe.decoder == "pixels":
    return seen
  return Partial(_Decoded(recipe.decoder, spec.shape), spec.mean, seen)


@dataclasses.dataclass(frozen=True)
class _Decoded:
  """What is static of a score behind a decoder; equals share a compilation."""

  name: str
  shape: tuple[int, int, int]

  def __call__(self, mean, score, key, parameters):
    spec = InputSpec(self.shape, mean)
    return score(key, decoders.DECODERS[self.name](spec).decode(parameters))


def _policy(recipe: Recipe) -> optax.GradientTransformation:
  match recipe.policy:
    case "constant":
      return optax.scale_by_learning_rate(recipe.rate)
    case "progress":
      return transforms.scale_by_progress(recipe.rate, recipe.max_rate)
    case "rms":
      return transforms.scale_to_rms(recipe.rate)
    case "adam":
      return optax.adam(recipe.rate)
  raise JdeepvisError(
    f"There is no step policy {recipe.policy!r}; use constant, progress, rms "
    "or adam."
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
