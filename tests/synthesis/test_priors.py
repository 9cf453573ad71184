"""Each prior against SciPy, NumPy or a closed form."""

import jax
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jdeepvis.synthesis import priors

SHAPES = [(1, 1, 3), (5, 9, 1), (16, 16, 3), (23, 17, 4)]


def image_of(shape, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(0, 30, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(16, 16, 3), (23, 17, 1), (40, 33, 3)])
@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 1.7, 3.0])
def test_blur_is_scipys(shape, sigma):
  image = image_of(shape)
  expected = gaussian_filter(
    image.astype(np.float64), (sigma, sigma, 0), mode="reflect", truncate=4
  )
  np.testing.assert_allclose(priors.blur(image, sigma), expected, atol=2e-4)


def test_blur_keeps_constants_and_mass():
  image = image_of((12, 15, 3))
  flat = np.full((12, 15, 3), 7.0, np.float32)
  np.testing.assert_allclose(priors.blur(flat, 2.0), flat, rtol=1e-5)
  np.testing.assert_allclose(
    np.sum(priors.blur(image, 2.0)), image.sum(), rtol=1e-4
  )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("percentile", [0, 10, 37.5, 50, 90, 100])
def test_clips_are_numpys(shape, percentile):
  image, grad = image_of(shape), image_of(shape, 1)
  rules = {
    priors.clip_small_values: np.abs(image),
    priors.clip_small_norm: np.linalg.norm(image, axis=-1, keepdims=True),
  }
  for prior, measure in rules.items():
    expected = image * (measure >= np.percentile(measure, percentile))
    np.testing.assert_array_equal(prior(image, percentile), expected)
  # `grad` is that of the loss, so the score's is -grad and b = sum(grad x).
  benefit = np.sum(grad * image, axis=-1, keepdims=True)
  rules = {
    priors.clip_small_benefit: benefit,
    priors.clip_small_contribution: np.abs(benefit),
  }
  for prior, measure in rules.items():
    expected = image * (measure >= np.percentile(measure, percentile))
    np.testing.assert_array_equal(prior(image, percentile, grad=grad), expected)


def test_ties_with_the_percentile_are_kept():
  image = np.zeros((10, 10, 3), np.float32)
  image[:2] = 5
  # Four fifths are exact zeros: the percentile is 0 and nothing is below it.
  np.testing.assert_array_equal(priors.clip_small_norm(image, 70), image)
  # At 90 the percentile is 5 itself, which is not strictly below 5.
  np.testing.assert_array_equal(priors.clip_small_norm(image, 90), image)


def test_total_variation_is_a_step_down_its_gradient():
  image = image_of((9, 11, 3)).astype(np.float64)

  def variation(image):
    down = np.diff(image, axis=0, append=image[-1:])
    right = np.diff(image, axis=1, append=image[:, -1:])
    return np.sqrt(down**2 + right**2 + 1).sum()

  gradient, step = np.zeros_like(image), 1e-4
  for at in np.ndindex(image.shape):
    bump = np.zeros_like(image)
    bump[at] = step
    rise = variation(image + bump) - variation(image - bump)
    gradient[at] = rise / (2 * step)
  moved = priors.total_variation(image.astype(np.float32), 0.5)
  np.testing.assert_allclose(moved, image - 0.5 * gradient, atol=1e-4)


def test_decay_and_box():
  image = image_of((4, 5, 3))
  np.testing.assert_allclose(priors.decay(image, 0.3), image * 0.7, rtol=1e-6)
  mean = np.array([[[120, 110, 100]]], np.float32)
  boxed = priors.box(image * 10, -mean, 255 - mean)
  pixels = image * 10 + mean
  np.testing.assert_allclose(boxed + mean, np.clip(pixels, 0, 255), atol=1e-4)


ALL = {
  "decay": priors.decay,
  "blur": priors.blur,
  "total_variation": priors.total_variation,
  "small_value": priors.clip_small_values,
  "small_norm": priors.clip_small_norm,
}


@pytest.mark.parametrize("name", ALL)
def test_strength_zero_is_the_identity(name):
  image = image_of((13, 12, 3))
  moved = jax.jit(ALL[name])(image, 0.0)
  np.testing.assert_allclose(moved, image, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_vmap_over_images_and_strengths_is_a_loop(name):
  images = np.stack([image_of((13, 12, 3), seed) for seed in range(3)])
  strengths = np.array([0.0, 0.4, 1.0], np.float32)
  together = jax.vmap(ALL[name])(images, strengths)
  for one, image, strength in zip(together, images, strengths, strict=True):
    np.testing.assert_allclose(one, ALL[name](image, strength), atol=1e-5)
