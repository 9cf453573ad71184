"""What gradients are turned into, against SciPy, NumPy and closed forms."""

import jax
import numpy as np
import optax
import pytest
from scipy.ndimage import gaussian_filter

from jdeepvis.synthesis import gradients, transforms

FUNCTIONS = (
  gradients.mix_colours,
  gradients.centre_bias,
  gradients.balance_octaves,
)


@pytest.fixture
def grad():
  return np.random.default_rng(0).normal(0, 2, (41, 36, 3)).astype(np.float32)


def rms(values):
  return np.sqrt(np.mean(np.square(values)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_strength_of_0_is_the_identity(function, grad):
  np.testing.assert_allclose(function(grad, 0.0), grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_program_serves_every_strength_and_batches(function, grad):
  traced = []

  def call(grad, strength):
    traced.append(strength)
    return function(grad, strength)

  batched = jax.jit(jax.vmap(call))
  strengths = np.float32([0.0, 0.05, 0.3])
  several = batched(np.stack([grad, -grad, 2 * grad]), strengths)
  batched(np.stack([grad] * 3), strengths[::-1])
  assert len(traced) == 1
  np.testing.assert_allclose(
    several[2], function(2 * grad, 0.3), rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nothing_comes_of_no_gradient(function, grad):
  assert not np.any(function(0 * grad, 0.5))


def test_light_gains_and_hue_loses():
  light = np.ones((2, 2, 3), np.float32)
  hue = np.float32([1, 0, -1]) * light
  assert rms(gradients.mix_colours(light, 1.0)) > 2.5
  assert rms(gradients.mix_colours(hue, 1.0)) < 0.3 * rms(hue)
  half = gradients.mix_colours(light, 0.5)
  whole = gradients.mix_colours(light, 1.0)
  np.testing.assert_allclose(half, (light + whole) / 2, rtol=1e-6)


def test_mixing_is_a_covariance_of_photographs():
  basis = np.eye(3, dtype=np.float32)[None]
  matrix = np.asarray(gradients.mix_colours(basis, 1.0))[0]
  np.testing.assert_allclose(matrix, matrix.T)
  assert np.trace(matrix) == pytest.approx(3)
  assert np.all(np.linalg.eigvalsh(matrix) > 0)


def test_other_numbers_of_channels_have_no_colours(grad):
  grey = grad[..., :1]
  assert gradients.mix_colours(grey, 1.0) is grey


def test_centre_bias_is_a_gaussian_about_the_middle():
  mask = np.asarray(gradients.centre_bias(np.ones((5, 9, 1), np.float32), 4.0))
  assert mask[2, 4, 0] == 1
  # Two of five rows, four of nine columns away.
  expected = np.exp(-8 * ((2 / 5) ** 2 + (4 / 9) ** 2))
  corners = mask[[0, 0, 4, 4], [0, 8, 0, 8], 0]
  np.testing.assert_allclose(corners, expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_octaves_are_scipys_blurs_at_equal_strength(sigma, grad):
  widest = sigma * 36
  octaves = [
    gaussian_filter(np.float64(grad), (sigma, sigma, 0), mode="reflect")
    for sigma in (widest, widest / 2, widest / 4, widest / 8)
  ]
  octaves.append(grad)
  expected = np.mean([rms(grad) * each / rms(each) for each in octaves], axis=0)
  balanced = gradients.balance_octaves(grad, sigma)
  np.testing.assert_allclose(balanced, expected, atol=2e-4)


def test_preconditioning_changes_the_gradient_before_the_step(grad):
  chain = optax.chain(
    transforms.precondition(
      lambda grad, *, step: grad * (step + 1), extra=("step",)
    ),
    optax.sgd(0.5),
  )
  image = np.zeros_like(grad)
  updates, _ = chain.update(
    grad, chain.init(image), image, grad=grad, value=0.0, step=2
  )
  np.testing.assert_allclose(updates, -1.5 * grad, rtol=1e-6)
