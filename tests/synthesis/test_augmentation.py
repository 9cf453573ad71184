"""Augmentations against SciPy and closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import affine_transform

from jdeepvis.synthesis.augmentation import affine, random_affine


@pytest.fixture
def image():
  return np.random.default_rng(0).normal(0, 30, (21, 18, 3)).astype(np.float32)


def test_no_move_is_the_identity(image):
  still = affine(image, shift=jnp.zeros(2), scale=1.0)
  np.testing.assert_allclose(still, image, atol=1e-5)


def test_a_whole_pixel_shift_moves_and_fills_with_the_mean(image):
  moved = affine(image, shift=jnp.array([2.0, -3.0]), scale=1.0)
  np.testing.assert_allclose(moved[2:, :-3], image[:-2, 3:], atol=1e-4)
  assert not np.any(moved[:2]) and not np.any(moved[:, -3:])


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.7])
@pytest.mark.parametrize("rotation", [0.0, 12.0, -90.0])
def test_a_view_is_scipys_bilinear(image, scale, rotation):
  shift = np.array([1.3, -0.6])
  centre = (np.array(image.shape[:2]) - 1) / 2
  angle = np.deg2rad(rotation)
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  matrix = turn / scale
  offset = centre - matrix @ (centre + shift)
  expected = np.stack(
    [
      affine_transform(
        image[..., c].astype(np.float64),
        matrix,
        offset,
        order=1,
        mode="grid-constant",
      )
      for c in range(3)
    ],
    axis=-1,
  )
  seen = affine(
    image,
    shift=jnp.asarray(shift, jnp.float32),
    scale=scale,
    rotation=rotation,
  )
  np.testing.assert_allclose(seen, expected, atol=2e-3)


def test_a_quarter_turn_is_numpys(image):
  square = image[:18]
  turned = affine(square, shift=jnp.zeros(2), scale=1.0, rotation=90.0)
  np.testing.assert_allclose(turned, np.rot90(square), atol=2e-3)


def test_the_gradient_is_the_adjoint(image):
  """`<affine'(y), e> = <y, affine(e)>` for all e: the map is linear."""
  shape = (7, 6, 1)
  basis = jnp.eye(42).reshape(-1, *shape)
  given = jnp.asarray(image[: shape[0], : shape[1], :1])

  @jax.jit
  def both(shift, scale, rotation):
    def look(image):
      return affine(image, shift=shift, scale=scale, rotation=rotation)

    (back,) = jax.vjp(look, basis[0])[1](given)
    return back, jax.vmap(lambda e: jnp.vdot(look(e), given))(basis)

  moves = itertools.product(
    [(0.0, 0.0), (1.5, 0.3), (-2.0, 30.0)],
    [0.4, 0.8, 1.0, 1.3, 2.5],
    [0.0, 7.0, -45.0, 100.0],
  )
  for shift, scale, rotation in moves:
    back, expected = both(jnp.array(shift), scale, rotation)
    np.testing.assert_allclose(back.ravel(), expected, atol=2e-4)


def test_gradients_of_a_batch_are_each_views_own(image):
  """Their sums over the neighbourhood differ in length."""
  images, scales = jnp.stack([image] * 3), jnp.array([0.6, 1.0, 2.2])

  def gradient(image, scale):
    def energy(image):
      return jnp.sum(affine(image, shift=jnp.ones(2), scale=scale) ** 2)

    return jax.grad(energy)(image)

  together = jax.vmap(gradient)(images, scales)
  for one, scale in zip(together, scales, strict=True):
    np.testing.assert_allclose(
      one, gradient(image, scale), rtol=1e-5, atol=1e-4
    )


def test_rotations_are_uniform_up_to_the_largest():
  """A spot off the centre tells each view's angle."""
  rows, columns = np.mgrid[:61, :61].astype(np.float32)
  spot = np.exp(-((rows - 30) ** 2 + (columns - 50) ** 2) / 18)
  image = jnp.asarray(spot[..., None], jnp.float32)

  def measure(image):
    mass = jnp.sum(image)
    row = jnp.sum(image[..., 0] * rows) / mass - 30
    column = jnp.sum(image[..., 0] * columns) / mass - 30
    return jnp.rad2deg(jnp.arctan2(row, column))

  def score(key, image):
    return measure(random_affine(key, image, rotation=20.0))

  keys = jax.random.split(jax.random.key(0), 2000)
  angles = jax.jit(jax.vmap(score, in_axes=(0, None)))(keys, image)
  np.testing.assert_allclose(np.abs(angles).max(), 20, rtol=0.05)
  np.testing.assert_allclose(np.std(angles), 20 / 3**0.5, rtol=0.08)


def test_random_moves_have_the_spread_they_are_told():
  """A spot's centre and mass tell each view's shift and scale."""
  rows, columns = np.mgrid[:61, :81].astype(np.float32)
  spot = np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / 18)
  image = jnp.asarray(spot[..., None], jnp.float32)

  def measure(image):
    mass = jnp.sum(image)
    return mass, {
      "row": jnp.sum(image[..., 0] * rows) / mass,
      "column": jnp.sum(image[..., 0] * columns) / mass,
    }

  def score(key, image):
    return measure(random_affine(key, image, shift=0.05, scale=1.3))

  keys = jax.random.split(jax.random.key(0), 2000)
  mass, reported = jax.jit(jax.vmap(score, in_axes=(0, None)))(keys, image)
  np.testing.assert_allclose(np.std(reported["row"]), 0.05 * 61, rtol=0.08)
  np.testing.assert_allclose(np.std(reported["column"]), 0.05 * 81, rtol=0.08)
  logs = np.log(np.asarray(mass) / spot.sum()) / 2
  np.testing.assert_allclose(np.abs(logs).max(), np.log(1.3), rtol=0.05)
  np.testing.assert_allclose(np.std(logs), np.log(1.3) / 3**0.5, rtol=0.08)
