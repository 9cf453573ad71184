"""Random augmentation: jitter, scale and rotation of the image.

Transformation robustness (Olah, Mordvintsev and Schubert 2017, "Feature
visualization"): maximising the expected score over shifts, scales and rotations
removes what raises it from one exact viewpoint alone. An augmentation is a
function `(key, image, strength) -> image`; `jitter`, `scale` and `rotate` in a
row are one resampling.
"""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from jdeepvis.networks.cpu import no_fusion
from jdeepvis.types import AnyArray, Image, PRNGKey, Scalar


def jitter(key: PRNGKey, image: Image, strength: Scalar) -> Image:
  """Moves the image at random.

  >>> import jax
  >>> from jdeepvis.synthesis.augmentation import jitter
  >>> image = jax.numpy.ones((8, 8, 3))
  >>> jitter(jax.random.key(0), image, 0.1).shape
  (8, 8, 3)

  Args:
    key: of the draw.
    image: centred, `[h, w, c]`.
    strength: standard deviation of the shift, as a share of each side.
  """
  return random_affine(key, image, shift=strength)


def scale(key: PRNGKey, image: Image, strength: Scalar) -> Image:
  """Magnifies the image at random about its centre.

  >>> import jax
  >>> from jdeepvis.synthesis.augmentation import scale
  >>> image = jax.numpy.ones((8, 8, 3))
  >>> scale(jax.random.key(0), image, 2.0).shape
  (8, 8, 3)

  Args:
    key: of the draw.
    image: centred, `[h, w, c]`.
    strength: largest magnification; its log is uniform between
      `-log(strength)` and `log(strength)`, so that 1 is the identity.
  """
  return random_affine(key, image, scale=strength)


def rotate(key: PRNGKey, image: Image, strength: Scalar) -> Image:
  """Turns the image at random about its centre.

  >>> import jax
  >>> from jdeepvis.synthesis.augmentation import rotate
  >>> image = jax.numpy.ones((8, 8, 3))
  >>> rotate(jax.random.key(0), image, 10.0).shape
  (8, 8, 3)

  Args:
    key: of the draw.
    image: centred, `[h, w, c]`.
    strength: largest rotation either way, degrees; uniform.
  """
  return random_affine(key, image, rotation=strength)


AUGMENTATIONS: Mapping[str, Callable[..., Image]] = MappingProxyType(
  {"jitter": jitter, "scale": scale, "rotation": rotate}
)
"""Each by what recipes call its strength, in the order of their use."""

GEOMETRIC: Mapping[Callable, str] = MappingProxyType(
  {jitter: "shift", scale: "scale", rotate: "rotation"}
)
"""Augmentations that fuse into one resampling: keywords of `random_affine`."""


def random_affine(
  key: PRNGKey,
  image: Image,
  *,
  shift: Scalar = 0.0,
  scale: Scalar = 1.0,
  rotation: Scalar = 0.0,
) -> Image:
  """The image shifted, magnified and rotated at random, in one resampling.

  Args:
    key: of the draw.
    image: centred, `[h, w, c]`.
    shift: as `jitter`'s strength.
    scale: as `scale`'s strength.
    rotation: as `rotate`'s strength.
  """
  # Not fused, so that every program rounds a draw in the same way.
  moved, magnified, turned = no_fusion(_draw, key, shift, scale, rotation)
  sides = jnp.array(image.shape[:2], jnp.float32)
  return affine(image, shift=moved * sides, scale=magnified, rotation=turned)


def affine(
  image: Image,
  *,
  shift: Float[AnyArray, "2"],
  scale: Scalar,
  rotation: Scalar = 0.0,
) -> Image:
  """The image magnified and rotated about its centre, then moved; bilinear.

  Outside the image is zero, the mean colour. Reverse-mode differentiable in the
  image; shift, scale and rotation count as constants.

  Args:
    image: centred, `[h, w, c]`.
    shift: downwards and to the right, pixels.
    scale: magnification, above zero.
    rotation: from the row axis to the column axis, degrees.
  """
  return _resample(image, (jnp.asarray(shift), scale, rotation))


@jax.custom_vjp
def _resample(image, move):
  height, width, channels = image.shape
  rows, columns = _sources((height, width), *move)
  top, left = jnp.floor(rows), jnp.floor(columns)
  down, right = (rows - top)[..., None], (columns - left)[..., None]
  # A border of two zeros stands for everything outside.
  padded = jnp.pad(image, ((2, 2), (2, 2), (0, 0))).reshape(-1, channels)
  top = jnp.clip(top, -2, height).astype(jnp.int32) + 2
  left = jnp.clip(left, -2, width).astype(jnp.int32) + 2
  corner = top * (width + 4) + left

  def neighbour(row, column):
    place = padded.at[corner + row * (width + 4) + column]
    return place.get(mode="promise_in_bounds")

  upper = (1 - right) * neighbour(0, 0) + right * neighbour(0, 1)
  lower = (1 - right) * neighbour(1, 0) + right * neighbour(1, 1)
  return (1 - down) * upper + down * lower


def _resample_forward(image, move):
  return _resample(image, move), move


@jax.custom_batching.sequential_vmap
def _transpose(move, seen):
  """Each pixel gathers from the pixels that it contributed to.

  Autodiff would scatter instead, which is sequential on a CPU. Images are
  processed one by one, since each has its own number of pixels to gather.
  """
  height, width, channels = seen.shape
  shift, scale, rotation = move
  middle = _middle((height, width))
  rows, columns = (
    grid - centre
    for grid, centre in zip(_grid((height, width)), middle, strict=True)
  )
  angle = jnp.deg2rad(rotation)
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  # Outputs within one pixel of a source form a rotated square.
  reach = jnp.abs(scale) * (jnp.abs(cosine) + jnp.abs(sine))
  across = jnp.floor(2 * reach).astype(jnp.int32) + 1
  to = middle + shift
  first = jnp.ceil(scale * (cosine * rows - sine * columns) + to[0] - reach)
  left = jnp.ceil(scale * (sine * rows + cosine * columns) + to[1] - reach)
  # Distance of its first pixel from the source; the rest follow in steps.
  cosine, sine = cosine / scale, sine / scale
  down, right = first - to[0], left - to[1]
  below = cosine * down + sine * right - rows
  beside = cosine * right - sine * down - columns
  first, left = first.astype(jnp.int32), left.astype(jnp.int32)
  pixels = seen.reshape(-1, channels)

  def add(number, total):
    row, column = number // across, number % across
    down, right = row.astype(jnp.float32), column.astype(jnp.float32)
    row, column = first + row, left + column
    weight = jnp.maximum(1 - jnp.abs(below + (cosine * down + sine * right)), 0)
    weight *= jnp.maximum(
      1 - jnp.abs(beside + (cosine * right - sine * down)), 0
    )
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    weight = jnp.where(inside, weight, 0)
    row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
    place = pixels.at[row * width + column]
    return total + weight[..., None] * place.get(mode="promise_in_bounds")

  return lax.fori_loop(0, across**2, add, jnp.zeros_like(seen))


def _resample_backward(move, seen):
  return _transpose(move, seen), jax.tree.map(jnp.zeros_like, move)


_resample.defvjp(_resample_forward, _resample_backward)


@jax.jit
def _draw(key, shift, scale, rotation):
  """How an image is shifted, magnified and rotated."""
  shift_key, scale_key, turn_key, _ = jax.random.split(key, 4)
  even = functools.partial(
    jax.random.uniform, dtype=jnp.float32, minval=-1.0, maxval=1.0
  )
  moved = shift * jax.random.normal(shift_key, (2,), jnp.float32)
  exponent, turned = even(scale_key), rotation * even(turn_key)
  return moved, scale**exponent, turned


def _middle(size):
  return (np.array(size, np.float32) - 1) / 2


def _grid(size):
  return np.mgrid[: size[0], : size[1]].astype(np.float32)


def _sources(size, shift, scale, rotation):
  """Where in the image each pixel of the augmented one comes from."""
  centre = _middle(size)
  rows, columns = (
    grid - middle - moved
    for grid, middle, moved in zip(_grid(size), centre, shift, strict=True)
  )
  angle = jnp.deg2rad(rotation)
  cosine, sine = jnp.cos(angle) / scale, jnp.sin(angle) / scale
  return (
    cosine * rows + sine * columns + centre[0],
    cosine * columns - sine * rows + centre[1],
  )
