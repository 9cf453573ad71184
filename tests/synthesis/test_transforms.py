"""Chains of priors are composition; step policies are their closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdeepvis.synthesis import priors, transforms


@pytest.fixture
def image():
  return np.random.default_rng(0).normal(0, 30, (8, 9, 3)).astype(np.float32)


@pytest.fixture
def grad():
  return np.random.default_rng(1).normal(0, 2, (8, 9, 3)).astype(np.float32)


def apply(transform, image, grad, step=0):
  transform = optax.with_extra_args_support(transform)
  updates, _ = transform.update(
    grad, transform.init(image), image, grad=grad, value=0.0, step=step
  )
  return optax.apply_updates(image, updates)


def test_a_chain_of_projections_is_composition(image, grad):
  chain = optax.chain(
    optax.sgd(3.0),
    transforms.project(functools.partial(priors.decay, rate=0.1)),
    transforms.project(functools.partial(priors.blur, sigma=0.8)),
    transforms.project(
      functools.partial(priors.clip_small_contribution, percentile=40),
      extra=("grad",),
    ),
  )
  expected = priors.clip_small_contribution(
    priors.blur(priors.decay(image - 3 * grad, 0.1), 0.8), 40, grad=grad
  )
  np.testing.assert_allclose(apply(chain, image, grad), expected, atol=1e-4)


def test_every_acts_at_its_multiples_alone(image, grad):
  halve = transforms.project(functools.partial(priors.decay, rate=0.5))
  chain = optax.chain(optax.sgd(0.0), transforms.every(3, halve))
  for step in range(7):
    factor = 0.5 if step % 3 == 0 else 1.0
    np.testing.assert_allclose(
      apply(chain, image, grad, step), image * factor, atol=1e-5
    )


def test_every_stays_a_branch_under_vmap(image, grad):
  """A select would pay for the prior at every step."""
  halve = transforms.project(functools.partial(priors.decay, rate=0.5))
  transform = transforms.every(4, halve)

  def update(image, grad, step):
    return transform.update(
      grad, transform.init(image), image, grad=grad, value=0.0, step=step
    )[0]

  batched = jax.vmap(update, in_axes=(0, 0, None))
  program = jax.make_jaxpr(batched)(image[None], grad[None], 2)
  assert " cond[" in str(program)


def test_progress_raises_a_linear_score_by_just_that(image, grad):
  moved = apply(transforms.scale_by_progress(2.5, 1e8), image, grad)
  # The loss falls by g . (x - x'), so a linear score rises by as much.
  np.testing.assert_allclose(np.sum(grad * (image - moved)), 2.5, rtol=1e-3)


def test_progress_keeps_to_its_largest_rate(image, grad):
  moved = apply(transforms.scale_by_progress(1e9, 0.25), image, grad)
  np.testing.assert_allclose(moved, image - 0.25 * grad, rtol=1e-4, atol=1e-4)


def test_rms_step_ignores_scale_and_what_is_not_seen(image, grad):
  grad = grad.copy()
  grad[:4] = 0
  for scale in (1e-6, 1.0, 1e6):
    step = apply(transforms.scale_to_rms(4.0), image, grad * scale) - image
    assert np.all(step[:4] == 0)
    rms = np.sqrt(np.mean(np.square(step[4:])))
    np.testing.assert_allclose(rms, 4.0, rtol=1e-4)


def test_zero_gradient_is_a_zero_step(image, grad):
  for policy in (
    transforms.scale_to_rms(4.0),
    transforms.scale_by_progress(2.0, 100.0),
  ):
    moved = apply(policy, image, jnp.zeros_like(grad))
    np.testing.assert_array_equal(moved, image)
