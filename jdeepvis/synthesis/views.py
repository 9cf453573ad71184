"""Random views: a score wrapper that shows the network the image shaken.

What only raises the score from one exact viewpoint is no feature of the unit;
the expectation over shifts, sizes and rotations is what a person can recognise.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Float

from jdeepvis.types import AnyArray, Image, PRNGKey, Scalar


def random_views(
  score: Callable,
  *,
  shift: Scalar = 0.0,
  scale: Scalar = 1.0,
  rotation: Scalar = 0.0,
) -> Callable:
  """A score of one random view of the image.

  Args:
    score: `score(key, image)`.
    shift: standard deviation of the shift, as a share of each side.
    scale: largest magnification; its log is uniform between `-log(scale)` and
      `log(scale)`.
    rotation: largest rotation either way, degrees; uniform.

  Returns:
    A score of the same form, a pytree as `score` is.
  """
  return Partial(_score_of_view, score, shift, scale, rotation)


def view(
  image: Image,
  *,
  shift: Float[AnyArray, "2"],
  scale: Scalar,
  rotation: Scalar = 0.0,
) -> Image:
  """The image magnified and rotated about its centre, then moved; bilinear.

  What lies outside is the mean colour, zero.

  Args:
    image: centred, `[h, w, c]`.
    shift: downwards and to the right, pixels.
    scale: magnification.
    rotation: from the row axis to the column axis, degrees.
  """
  height, width, channels = image.shape
  rows, columns = _sources((height, width), shift, scale, rotation)
  top, left = jnp.floor(rows), jnp.floor(columns)
  down, right = (rows - top)[..., None], (columns - left)[..., None]
  # A border of zeros takes up all that lies outside.
  padded = jnp.pad(image, ((1, 2), (1, 2), (0, 0))).reshape(-1, channels)
  top = jnp.clip(top, -1, height).astype(jnp.int32) + 1
  left = jnp.clip(left, -1, width).astype(jnp.int32) + 1
  corner = top * (width + 3) + left

  def neighbour(row, column):
    return padded[corner + row * (width + 3) + column]

  upper = (1 - right) * neighbour(0, 0) + right * neighbour(0, 1)
  lower = (1 - right) * neighbour(1, 0) + right * neighbour(1, 1)
  seen = (1 - down) * upper + down * lower
  inside = (rows > -1) & (rows < height) & (columns > -1) & (columns < width)
  return jnp.where(inside[..., None], seen, 0)


def _score_of_view(score, shift, scale, rotation, key: PRNGKey, image: Image):
  shift_key, scale_key, turn_key, key = jax.random.split(key, 4)
  sides = jnp.array(image.shape[:2], jnp.float32)
  moved = shift * sides * jax.random.normal(shift_key, (2,))
  exponent = jax.random.uniform(scale_key, minval=-1.0, maxval=1.0)
  turned = rotation * jax.random.uniform(turn_key, minval=-1.0, maxval=1.0)
  seen = view(image, shift=moved, scale=scale**exponent, rotation=turned)
  return score(key, seen)


def _sources(size, shift, scale, rotation):
  """Where in the image each pixel of the view comes from."""
  centre = (jnp.array(size) - 1) / 2
  rows, columns = (
    grid - middle - moved
    for grid, middle, moved in zip(
      jnp.mgrid[: size[0], : size[1]], centre, shift, strict=True
    )
  )
  angle = jnp.deg2rad(rotation)
  cosine, sine = jnp.cos(angle) / scale, jnp.sin(angle) / scale
  return (
    cosine * rows + sine * columns + centre[0],
    cosine * columns - sine * rows + centre[1],
  )
