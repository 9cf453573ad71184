"""Variation of bounded numbers."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jdeepvis.types import AnyArray, Scalar

ETA = 15.0
"""Nguyen, Yosinski and Clune's mutation strength; the larger, the smaller."""


def mutate_polynomially(
  values: Float[AnyArray, "..."],
  uniform: Float[AnyArray, "..."],
  *,
  rate: Scalar,
  low: float,
  high: float,
  eta: float = ETA,
) -> Float[Array, "..."]:
  """Moves some of the values a little, each with probability `rate`.

  `x + (high - low) d`, kept within the bounds, with `d = (2 r)^(1 / (eta + 1))
  - 1` for r < 1/2 and mirrored above, r uniform over [0, 1).

  Args:
    values: any numbers between the bounds.
    uniform: for each a random number in [0, 1). One decides both: below `rate`
      the value is mutated, and where below is again uniform.
    rate: probability of a mutation, 0..1.
    low: the smallest value.
    high: the largest value.
    eta: distribution index; `d` has a mean size of `1 / (eta + 2)`.

  Source: Deb and Agrawal 1999, "A niched-penalty approach for constraint
  handling in genetic algorithms", the form without regard to the bounds.
  """
  amount = uniform / jnp.maximum(rate, 1e-30)
  tail = 2 * jnp.minimum(amount, 1 - amount)
  size = 1 - jnp.maximum(tail, 0) ** (1 / (eta + 1))
  moved = values + (high - low) * jnp.where(amount < 0.5, -size, size)
  return jnp.where(uniform < rate, jnp.clip(moved, low, high), values)
