"""Random views: a score wrapper that shows the network the image shaken.

What only raises the score from one exact viewpoint is no feature of the unit;
the expectation over shifts and sizes is what a person can recognise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jdeepvis.types import AnyArray, Image, PRNGKey, Scalar


def random_views(
  score: Callable, *, shift: Scalar = 0.0, scale: Scalar = 1.0
) -> Callable:
  """A score of one random view of the image.

  Args:
    score: `score(key, image)`.
    shift: standard deviation of the shift, as a share of each side.
    scale: largest magnification; its log is uniform between `-log(scale)` and
      `log(scale)`.

  Returns:
    A score of the same form, a pytree as `score` is.
  """
  return Partial(_score_of_view, score, shift, scale)


def view(image: Image, *, shift: Float[AnyArray, "2"], scale: Scalar) -> Image:
  """The image magnified about its centre, then moved; bilinear.

  Made smaller, it is averaged over the cells that fall together. What lies
  outside is the mean colour, zero.

  Args:
    image: centred, `[h, w, c]`.
    shift: downwards and to the right, pixels.
    scale: magnification.
  """
  height, width, _ = image.shape
  rows = _resampling(height, scale, shift[0])
  columns = _resampling(width, scale, shift[1])
  image = jnp.einsum("vh,hwc->vwc", rows, image, precision="highest")
  return jnp.einsum("uw,vwc->vuc", columns, image, precision="highest")


def _score_of_view(score, shift, scale, key: PRNGKey, image: Image):
  shift_key, scale_key, key = jax.random.split(key, 3)
  sides = jnp.array(image.shape[:2], jnp.float32)
  moved = shift * sides * jax.random.normal(shift_key, (2,))
  exponent = jax.random.uniform(scale_key, minval=-1.0, maxval=1.0)
  return score(key, view(image, shift=moved, scale=scale**exponent))


def _resampling(size: int, scale: Scalar, shift: Scalar) -> Float[Array, "n n"]:
  """One axis of `view` as a matrix: which cells make up which.

  A matrix product costs less than gathers, and its gradient is another.
  """
  centre = (size - 1) / 2
  to = jnp.arange(size, dtype=jnp.float32)[:, None]
  of = jnp.arange(size, dtype=jnp.float32)[None, :]
  source = (to - centre - shift) / scale + centre
  reach = jnp.maximum(1, 1 / scale)
  return jnp.maximum(0, 1 - jnp.abs(source - of) / reach) / reach
