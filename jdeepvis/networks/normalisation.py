"""Response normalisation, across channels and within one."""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from jdeepvis.networks.ops import Map, Padding
from jdeepvis.networks.pooling import average_pool
from jdeepvis.types import AnyArray


def local_response_normalisation(
  x: Float[AnyArray, "... c"],
  *,
  size: int = 5,
  alpha: float = 1.0,
  beta: float = 0.75,
  k: float = 1.0,
) -> Float[AnyArray, "... c"]:
  """`x / (k + alpha/size * sum of x**2 over `size` channels) ** beta`.

  Channels beyond either end count as zero (Krizhevsky et al. 2012, §3.3, with
  Caffe's alpha divided by the window's size).
  """
  before = (size - 1) // 2
  window = (1,) * (x.ndim - 1) + (size,)
  padding = [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)]
  total = lax.reduce_window(x * x, 0.0, lax.add, window, (1,) * x.ndim, padding)
  return x * _power(k + alpha / size * total, -beta)


def lrn_within_channel(
  x: Map, size: int, padding: Padding, *, alpha: float, beta: float
) -> Map:
  """`x / (1 + alpha * mean of x**2 over a size x size window) ** beta`.

  Positions beyond the border count as zeros. Caffe has no `k` here.
  """
  counts = np.full((1, 1, 1), size * size, np.float32)
  mean = average_pool(x * x, (size, size), (1, 1), padding, counts)
  # In a crop the windows reach over positions that have no output.
  half = (size - 1) // 2
  own = [(0, 0, 0), *((a - half, b - half, 0) for a, b in padding), (0, 0, 0)]
  centres = lax.pad(x, jnp.zeros((), x.dtype), own)
  return centres * _power(1 + alpha * mean, -beta)


def _power(base, exponent: float):
  # A positive base's power; XLA's own takes four times as long on CPU.
  return jnp.exp(exponent * jnp.log(base))
