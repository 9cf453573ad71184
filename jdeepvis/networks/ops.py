"""Where windows lie on maps, and what is added around these.

Maps are `[n, h, w, c]`. Padding is explicit, `((top, bottom), (left, right))`,
so that the same function serves a whole map and a window cut from one;
`windows` computes it the way Caffe does.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from jdeepvis.types import AnyArray

Map = Float[AnyArray, "n _ _ _"]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


class Windows(NamedTuple):
  """Where the windows of one axis lie: how many, and zeros at either end."""

  count: int
  before: int
  after: int


def windows(
  size: int,
  kernel: int,
  stride: int,
  pad: int,
  dilation: int = 1,
  *,
  ceil: bool = False,
) -> Windows:
  """Places windows along one axis as Caffe does.

  Args:
    size: positions along the axis.
    kernel: positions in a window.
    stride: step from window to window.
    pad: positions added at either end.
    dilation: distance between a window's positions.
    ceil: count a last, partial window too, as pooling does, unless it would
      begin beyond the input and what is added before it.

  Returns:
    The number of windows and the padding to add before and after.
  """
  extent = dilation * (kernel - 1) + 1
  room = size + 2 * pad - extent
  count = (math.ceil if ceil else math.floor)(room / stride) + 1
  if ceil and (count - 1) * stride >= size + pad:
    count -= 1
  after = (count - 1) * stride + extent - size - pad
  return Windows(count, pad, max(after, 0))


def trimmed(x: Map, padding: Padding) -> tuple[Map, Padding]:
  """Maps padded beforehand where that cuts some off, and what is left to add.

  On CPU, XLA takes a 1x1 convolution padded by (1, -1) for a matrix product,
  and forgets the padding.
  """
  if min(min(edges) for edges in padding) >= 0:
    return x, padding
  around = [(0, 0, 0), *((*edges, 0) for edges in padding), (0, 0, 0)]
  return lax.pad(x, jnp.zeros((), x.dtype), around), ((0, 0), (0, 0))
