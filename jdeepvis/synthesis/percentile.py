"""A percentile without sorting, for the priors that clip."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from jdeepvis.types import AnyArray, Scalar


def percentile(values: Float[AnyArray, "..."], q: Scalar) -> Scalar:
  """`numpy.percentile(values, q)`, interpolated linearly between neighbours.

  The order statistic is found bit by bit from the top, by counting the values
  below a trial 32 times: a sort of an image's pixels takes twenty times as
  long on a CPU.

  Args:
    values: float32, at most 2**24 of them.
    q: 0..100.

  Returns:
    The percentile; NaN where any of the values is.
  """
  index = (values.size - 1) * jnp.asarray(q, jnp.float32) / 100
  rank = jnp.floor(index)
  share = index - rank
  keys = _ordered(lax.bitcast_convert_type(values, jnp.int32))
  key = _key_at(keys, rank)
  lower = lax.bitcast_convert_type(_ordered(key), jnp.float32)
  above = jnp.min(jnp.where(keys > key, values, jnp.inf))
  alone = (_count(keys <= key) == rank + 1) & (share > 0)
  step = jnp.where(alone, above - lower, 0)
  # NumPy's own two forms, exact at either end.
  found = jnp.where(
    share < 0.5, lower + step * share, lower + step - step * (1 - share)
  )
  return jnp.where(jnp.any(jnp.isnan(values)), jnp.nan, found)


def _key_at(keys, rank):
  """The largest key below which there are no more than `rank` of them."""

  def narrow(bit, found):
    # The top bit, the sign, is added by overflow.
    trial = found + (jnp.int32(1) << (31 - bit))
    return jnp.where(_count(keys < trial) <= rank, trial, found)

  return lax.fori_loop(0, 32, narrow, jnp.int32(jnp.iinfo(jnp.int32).min))


def _ordered(bits):
  """Bits of floats as integers of the same order, and back."""
  return jnp.where(bits < 0, bits ^ jnp.int32(0x7FFFFFFF), bits)


def _count(which):
  # XLA's CPU adds floats several times faster than integers, and up to 2**24
  # they are exact.
  return jnp.sum(which, dtype=jnp.float32)
