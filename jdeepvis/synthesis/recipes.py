"""Named combinations of priors: the paper's four, its rivals', the default.

A recipe is a pytree. Its strengths are leaves, traced: 0 switches a prior off
within the same program, None leaves it out of the program. All else is static.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import jax

from jdeepvis.networks.names import nearest
from jdeepvis.types import JdeepvisError, Leaf


def _static(default):
  return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """How a picture is made: step policy, priors, views, length.

  Attributes:
    rate: for policy `constant` the learning rate, for `progress` the wanted
      rise of the score a step, for `rms` the step's root mean square in grey
      levels, for `adam` its learning rate.
    max_rate: largest learning rate of policy `progress`.
    colour: how far the gradient is mixed into colours that vary as those of
      photographs do, 0..1.
    focus: preference for the middle of the image, 1 over the width of its
      Gaussian as a share of the side.
    focus_end: where that gets to, in equal ratios; None keeps it.
    coarsest: width of the widest of the five octaves of the gradient that are
      brought to equal strength, a share of the side.
    decay: share taken from every value at each step, 0..1.
    blur: standard deviation of the Gaussian, pixels.
    blur_end: where that gets to, in equal ratios; None keeps it.
    total_variation: step down the total variation, grey levels.
    small_value: percentile of |x| below which entries are zeroed, 0..100; it
      and the next three count over the canvas, a unit's field or the image.
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
    policy: `constant`, `progress`, `rms` or `adam`; static.
    decoder: what is climbed, `pixels`, `fourier` or `maco`; static. Priors act
      on what is climbed, so beyond pixels decay alone has a meaning.
    blur_every: steps from blur to blur; static.
    steps: how many; static.
    keep: which image is the picture, `best` or `last`; static.
  """

  rate: Leaf
  max_rate: Leaf = None
  colour: Leaf = None
  focus: Leaf = None
  focus_end: Leaf = None
  coarsest: Leaf = None
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
  decoder: str = _static("pixels")
  blur_every: int = _static(1)
  steps: int = _static(500)
  keep: str = _static("best")


RECIPES: Mapping[str, Recipe] = MappingProxyType(
  {
    "default": Recipe(
      rate=8.0,
      colour=0.7,
      focus=6.5,
      focus_end=2.0,
      coarsest=0.053,
      decay=0.02,
      shift=0.1,
      scale=2.0,
      rotation=10.0,
      rivals=10.0,
      cool_down=0.2,
      policy="rms",
      steps=256,
      keep="last",
    ),
    # Other styles, in something like a landscape: a spectrum is climbed.
    "fourier": Recipe(
      rate=0.05,
      decay=0.01,
      shift=0.1,
      scale=2.0,
      rotation=10.0,
      rivals=10.0,
      cool_down=0.5,
      policy="adam",
      decoder="fourier",
      steps=256,
      keep="last",
    ),
    "maco": Recipe(
      rate=0.1,
      shift=0.1,
      scale=2.0,
      rotation=10.0,
      rivals=10.0,
      cool_down=0.5,
      policy="adam",
      decoder="maco",
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
