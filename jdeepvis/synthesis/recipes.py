"""Named combinations of priors: the paper's four, its rivals', the default.

A recipe is a pytree. Its strengths are leaves, traced: 0 switches a prior off
within the same program, None leaves it out of the program. All else is static.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import optax

from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import priors, transforms, views
from jdeepvis.synthesis.objectives import Objective, log_probability, neuron
from jdeepvis.types import (
  Index,
  JdeepvisError,
  Leaf,
  Scalar,
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


def _static(default):
  return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """How a picture is made: step policy, priors, views, length.

  Attributes:
    rate: for policy `constant` the learning rate, for `progress` the wanted
      rise of the score a step, for `rms` the step's root mean square in grey
      levels.
    max_rate: largest learning rate of policy `progress`.
    decay: share taken from every value at each step, 0..1.
    blur: standard deviation of the Gaussian, pixels.
    blur_end: where the blur's standard deviation gets to, from `blur`, in
      equal ratios; None keeps it.
    total_variation: step down the total variation, grey levels.
    small_value: percentile of |x| below which entries are zeroed, 0..100.
    small_norm: percentile of the pixels' norms, 0..100.
    small_benefit: percentile of the pixels' signed contributions, 0..100.
    small_contribution: percentile of the pixels' contributions, 0..100.
    shift: standard deviation of the views' shift, a share of the side.
    scale: largest magnification of the views.
    rotation: largest rotation of the views, degrees.
    rivals: weight of a class's log-probability, which is added to its score:
      it must beat the others too. Values of other layers are no logits, so
      there it does nothing.
    cool_down: share of the steps, at the end, over which the step shrinks
      evenly to nothing.
    policy: `constant`, `progress` or `rms`; static.
    blur_every: steps from blur to blur; static.
    steps: how many; static.
    keep: which image is the picture, `best` or `last`; static.
  """

  rate: Leaf
  max_rate: Leaf = None
  decay: Leaf = None
  blur: Leaf = None
  blur_end: Leaf = None
  total_variation: Leaf = None
  small_value: Leaf = None
  small_norm: Leaf = None
  small_benefit: Leaf = None
  small_contribution: Leaf = None
  shift: Leaf = None
  scale: Leaf = None
  rotation: Leaf = None
  rivals: Leaf = None
  cool_down: Leaf = None
  policy: str = _static("constant")
  blur_every: int = _static(1)
  steps: int = _static(500)
  keep: str = _static("best")


RECIPES: Mapping[str, Recipe] = MappingProxyType(
  {
    "default": Recipe(
      rate=4.0,
      decay=1e-4,
      blur=2.0,
      blur_end=0.6,
      shift=0.07,
      scale=1.3,
      rotation=10.0,
      rivals=10.0,
      cool_down=0.2,
      policy="rms",
      blur_every=4,
      steps=256,
      keep="last",
    ),
    # For images of some thirty pixels, whose strokes are two or three wide:
    # a narrow blur, and a decay towards the mean, LeNet's black paper.
    "small": Recipe(
      rate=8.0,
      decay=0.02,
      blur=1.0,
      blur_end=0.4,
      shift=0.05,
      scale=1.3,
      policy="rms",
      blur_every=4,
      steps=256,
      keep="last",
    ),
    # The rows of table 1, from the top left of the figure's gorillas.
    "paper_a": Recipe(
      rate=2.0,
      max_rate=100.0,
      blur=0.5,
      small_norm=50.0,
      policy="progress",
      blur_every=4,
      steps=500,
    ),
    "paper_b": Recipe(rate=100.0, decay=0.3, small_norm=20.0, steps=750),
    "paper_c": Recipe(
      rate=100.0, decay=1e-4, blur=1.0, blur_every=4, steps=1000
    ),
    "paper_d": Recipe(
      rate=2.0,
      max_rate=1e8,
      blur=0.5,
      small_contribution=90.0,
      policy="progress",
      blur_every=4,
      steps=1000,
    ),
    # Erhan et al. 2009: no prior at all. What comes out fools the network.
    "none": Recipe(rate=4.0, policy="rms", steps=256),
    # Simonyan et al. 2013, §2: L2 alone.
    "simonyan": Recipe(rate=4.0, decay=1e-2, policy="rms", steps=256),
  }
)


def find_recipe(name: str) -> Recipe:
  """The recipe called `name`.

  Raises:
    JdeepvisError: there is none; the message names the nearest.
  """
  if name not in RECIPES:
    raise JdeepvisError(
      f"There is no recipe {name!r}; {nearest(name, RECIPES)}."
    )
  return RECIPES[name]


def transform(recipe: Recipe, spec: InputSpec) -> transforms.Transform:
  """The recipe's optax chain: step, priors in the original's order, box.

  Args:
    recipe: any recipe; its strengths may be traced.
    spec: the network's input, whose bounds the box keeps.

  Raises:
    JdeepvisError: the recipe's policy is none of the three.
  """
  chain = [_policy(recipe)]
  if recipe.cool_down is not None:
    chain.append(optax.scale_by_schedule(_cooling(recipe)))
  for name, prior, extra in _PRIORS:
    strength = getattr(recipe, name)
    if strength is None:
      continue
    if name == "blur":
      link = transforms.project(_annealed_blur(recipe), extra=("step",))
      chain.append(transforms.every(recipe.blur_every, link))
    else:
      prior = _at_strength(prior, strength)
      chain.append(transforms.project(prior, extra=extra))
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


def _at_strength(prior: Callable, strength: Scalar) -> Callable:
  return lambda image, **extra: prior(image, strength, **extra)


def _annealed_blur(recipe: Recipe) -> Callable:
  def blur(image, *, step):
    if recipe.blur_end is None:
      return priors.blur(image, recipe.blur)
    done = step / max(recipe.steps - 1, 1)
    # Off is off: a blur of 0 has no ratio to its end.
    ratio = (recipe.blur_end / jnp.maximum(recipe.blur, 1e-6)) ** done
    return priors.blur(image, recipe.blur * ratio)

  return blur
