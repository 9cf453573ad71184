"""The named recipes."""

from collections.abc import Mapping
from types import MappingProxyType

import optax

from jdeepvis.networks.names import nearest
from jdeepvis.synthesis import parameterisations, transforms
from jdeepvis.synthesis.recipes import Recipe, make_recipe
from jdeepvis.types import JdeepvisError

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
