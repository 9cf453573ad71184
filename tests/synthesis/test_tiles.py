"""Gradients in tiles: closed forms, and how often they are compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jdeepvis.synthesis.tiles import tiled_gradient

KEY = jax.random.key(0)


def sum_of_sines(key, image):
  return jnp.sum(jnp.sin(image))


@pytest.mark.parametrize("shape", [(20, 31, 3), (8, 8, 1), (9, 40, 2)])
@pytest.mark.parametrize("tile", [8, 13, 64])
def test_tiles_give_the_gradient_of_what_is_told_pixel_by_pixel(shape, tile):
  image = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
  _, made = tiled_gradient(Partial(sum_of_sines), image, key=KEY, tile=tile)
  np.testing.assert_allclose(made, np.cos(image), atol=1e-6)


def test_tiles_see_nothing_of_each_other():
  """Of the square of a tile's sum; two rows are in both tiles."""
  image = np.random.default_rng(0).normal(size=(6, 4, 1)).astype(np.float32)
  value, made = tiled_gradient(
    Partial(lambda key, part: jnp.sum(part) ** 2), image, key=KEY, tile=4
  )
  first, last = image[:4].sum(), image[2:].sum()
  assert value == pytest.approx((first**2 + last**2) / 2, rel=1e-5)
  expected = np.repeat([2 * first, first + last, 2 * last], 2)
  np.testing.assert_allclose(made[:, 0, 0], expected, rtol=1e-5)


def test_larger_pictures_share_one_program():
  traces = []

  def score(key, image):
    traces.append(image.shape)
    return jnp.sum(image**2)

  shared = Partial(score)
  for shape in [(20, 20, 3), (33, 47, 3), (21, 60, 3)]:
    image = np.ones(shape, np.float32)
    tiled_gradient(shared, image, key=KEY, tile=16)
  assert traces == [(16, 16, 3)]
