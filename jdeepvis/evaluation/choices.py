"""Whether a unit's pictures tell which of two photographs excites it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jdeepvis.types import AnyArray, JdeepvisError

_RESAMPLES = 2000


class TwoChoices(NamedTuple):
  """How a judge chose between two photographs, for each of u units.

  Attributes:
    right: 1 where the judge chose the photograph that excites the unit, 0
      where the other, 1/2 where it saw no difference; of each unit's n pairs.
    share: the mean of `right`; by chance 1/2.
    error: its standard error, by a bootstrap over units.
  """

  right: Float[np.ndarray, "u n"]
  share: float
  error: float


def two_choices(
  strong: Float[AnyArray, "_ _ _"],
  weak: Float[AnyArray, "_ _ _"],
  exciting: Float[AnyArray, "_ _ _"],
  inhibiting: Float[AnyArray, "_ _ _"],
) -> TwoChoices:
  """A machine's choice which of two photographs excites a unit.

  A judge sees pictures for and against the unit and chooses, of the
  photographs s and w, the strong one where

      mean_e(s . e) - mean_i(s . i)  >  mean_e(w . e) - mean_i(w . i)

  over the exciting pictures e and the inhibiting ones i.

  >>> import numpy as np, jdeepvis
  >>> red, blue = np.eye(2, dtype=np.float32)
  >>> for_, against = red[None, None], blue[None, None]
  >>> photos = np.stack([red, blue])[None]
  >>> jdeepvis.two_choices(photos, photos[:, ::-1], for_, against).right
  array([[1., 0.]], dtype=float32)

  Args:
    strong: the judge's features of photographs that excite each unit, `[u, n,
      d]`; of length 1 as of `perceptual_features`, so products are cosines.
    weak: of photographs that do not; pair i is `strong[:, i]`, `weak[:, i]`.
    exciting: of each unit's pictures, synthetic or natural, none of them among
      the photographs, `[u, k, d]`.
    inhibiting: of pictures against it, `[u, l, d]`.

  Returns:
    What was chosen, the share that is right and its error bar.

  Raises:
    JdeepvisError: their units, pairs or features differ in number, or there
      are none of one kind.

  Source: the task of Borowski et al. 2021, *Exemplary natural images explain
  CNN activations better than state-of-the-art feature visualization*; chosen
  after Zimmermann et al. 2024, *Measuring per-unit interpretability at scale
  without humans*, without their sigmoid: what is counted is which of the two
  is chosen.
  """
  kinds = [np.shape(one) for one in (strong, weak, exciting, inhibiting)]
  alike = len({(shape[0], shape[2]) for shape in kinds}) == 1
  if not alike or kinds[0] != kinds[1] or 0 in np.concatenate(kinds):
    raise JdeepvisError(
      "Choices need features [units, pictures, d] of the same units and d, as "
      f"many strong as weak and some of each; these are {kinds}."
    )
  right = np.asarray(_choose(strong, weak, exciting, inhibiting))
  by_unit = right.mean(axis=1, dtype=np.float64)
  return TwoChoices(right, float(by_unit.mean()), standard_error(by_unit))


def standard_error(values: Float[np.ndarray, " n"]) -> float:
  """The standard deviation of the mean over resamples with replacement.

  Always by the same random numbers, so that a table is the same each time.

  Args:
    values: of each unit, or of each picture.

  Returns:
    NaN for fewer than two values.

  Source: Efron 1979, *Bootstrap methods: another look at the jackknife*.
  """
  if len(values) < 2:
    return float("nan")
  random = np.random.default_rng(0)
  draws = random.integers(0, len(values), (_RESAMPLES, len(values)))
  return float(np.std(values[draws].mean(axis=1), ddof=1))


@jax.jit
def _choose(strong, weak, exciting, inhibiting) -> Float[Array, "u n"]:
  def of_unit(strong, weak, exciting, inhibiting):
    axis = exciting.mean(axis=0) - inhibiting.mean(axis=0)
    return (jnp.sign((strong - weak) @ axis) + 1) / 2

  return jax.vmap(of_unit)(strong, weak, exciting, inhibiting)
