"""Gradients of images too large for a network to see at once."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.types import Image, PRNGKey, Scalar


def tiled_gradient(
  score: Callable, image: Image, *, key: PRNGKey, tile: int
) -> tuple[Scalar, Float[Array, "h w c"]]:
  """Value and gradient of a score that sees one tile of the image at a time.

  Tiles of one shape cover the image evenly; where they overlap, their gradients
  are averaged. All images larger than a tile share one program.

  Args:
    score: as for `render`, of images of any size; a pytree, as `bind` makes it.
    image: centred.
    key: for scores that are random.
    tile: longest side of a tile, pixels. Static.

  Returns:
    The mean of the tiles' values, and the gradient.
  """
  height, width, channels = image.shape
  tall, wide = tile_size((height, width), tile)
  down, right = _spread(height, tall), _spread(width, wide)
  count = np.zeros((height, width, 1), np.float32)
  total, values = jnp.zeros_like(image), []
  for top in down:
    for left in right:
      count[top : top + tall, left : left + wide] += 1
      seen = _cut(image, (top, left, 0), (tall, wide, channels))
      value, grad = _value_and_grad(score, key, seen)
      total = _add(total, (top, left, 0), grad)
      values.append(value)
  return jnp.mean(jnp.stack(values)), total / count


def tile_size(size: tuple[int, int], tile: int) -> tuple[int, int]:
  """Height and width of the tiles of an image, pixels."""
  return min(size[0], tile), min(size[1], tile)


@jax.jit
def _value_and_grad(score, key, image):
  def value(image):
    found = score(key, image)
    return found[0] if isinstance(found, tuple) else found

  return jax.value_and_grad(value)(image)


@functools.partial(jax.jit, static_argnums=2)
def _cut(image, corner, size):
  return lax.dynamic_slice(image, corner, size)


@jax.jit
def _add(image, corner, part):
  there = lax.dynamic_slice(image, corner, part.shape)
  return lax.dynamic_update_slice(image, there + part, corner)


def _spread(side: int, tile: int) -> list[int]:
  """Where tiles begin that cover a side evenly."""
  count = math.ceil(side / tile)
  return [round(i * (side - tile) / max(count - 1, 1)) for i in range(count)]
