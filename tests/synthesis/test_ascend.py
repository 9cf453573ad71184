"""The loop itself, on scores whose answers are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdeepvis.synthesis import priors, transforms
from jdeepvis.synthesis.ascend import advance, ascend, init

TARGET = np.random.default_rng(0).normal(0, 20, (6, 7, 3)).astype(np.float32)
KEY = jax.random.key(0)


def quadratic(key, image):
  return -jnp.sum((image - TARGET) ** 2) / 2


def shaky(key, image):
  return quadratic(key, image) + jax.random.normal(key)


def test_gradient_descent_on_a_quadratic_has_its_closed_form():
  start = jnp.zeros(TARGET.shape)
  made, history = ascend(KEY, quadratic, optax.sgd(0.1), start, steps=12)
  left = 0.9 ** np.arange(12)
  np.testing.assert_allclose(
    made.last.image, TARGET * (1 - left[-1]), rtol=1e-4, atol=1e-5
  )
  scores = -0.5 * np.sum(TARGET**2) * left**2
  np.testing.assert_allclose(history["score"], scores, rtol=1e-4)
  np.testing.assert_allclose(
    history["gradient_norm"], np.linalg.norm(TARGET) * left, rtol=1e-4
  )
  assert int(made.last.step) == int(made.best.step) == 11


def test_best_is_the_first_of_the_highest():
  start = jnp.zeros(TARGET.shape)
  # At rate 2 every step jumps to the mirror image: all scores are equal.
  made, history = ascend(KEY, quadratic, optax.sgd(2.0), start, steps=5)
  assert int(made.best.step) == int(np.argmax(history["score"]))
  np.testing.assert_array_equal(made.best.score, np.max(history["score"]))


@pytest.mark.parametrize("optimiser", [optax.sgd(0.1), optax.adam(0.5)])
def test_any_optax_optimiser_drops_in(optimiser):
  decay = transforms.project(functools.partial(priors.decay, rate=1e-3))
  chain = optax.chain(optimiser, decay)
  start = jnp.zeros(TARGET.shape)
  _, history = ascend(KEY, quadratic, chain, start, steps=60)
  assert history["score"][-1] > 0.2 * history["score"][0]


def test_in_pieces_or_at_once_is_the_same_to_the_bit():
  transform = transforms.scale_to_rms(3.0)
  chain = optax.chain(
    transform,
    transforms.every(
      3, transforms.project(functools.partial(priors.blur, sigma=0.7))
    ),
  )
  step = jax.jit(functools.partial(advance, shaky, chain))
  start = init(KEY, chain, jnp.zeros(TARGET.shape))
  whole, history = step(start, jnp.arange(12))
  state, parts = start, []
  for first in range(0, 12, 4):
    state, part = step(state, jnp.arange(first, first + 4))
    parts.append(part["score"])
  np.testing.assert_array_equal(state.last.image, whole.last.image)
  np.testing.assert_array_equal(np.concatenate(parts), history["score"])


def test_a_key_decides_all_randomness():
  def scores(seed):
    start, key = jnp.zeros(TARGET.shape), jax.random.key(seed)
    _, history = ascend(key, shaky, optax.sgd(0.1), start, steps=6)
    return history["score"]

  np.testing.assert_array_equal(scores(1), scores(1))
  assert np.all(scores(1) != scores(2))


def test_what_a_score_records_is_stacked():
  def score(key, image):
    return quadratic(key, image), {"first": image[0, 0, 0]}

  start = jnp.zeros(TARGET.shape)
  _, history = ascend(KEY, score, optax.sgd(0.1), start, steps=4)
  expected = TARGET[0, 0, 0] * (1 - 0.9 ** np.arange(4))
  np.testing.assert_allclose(history["first"], expected, rtol=1e-4)


def test_it_stands_within_jit_vmap_and_grad():
  """The end of ten steps is a known function of how strong a prior was."""

  @jax.jit
  def distance(decay):
    prior = functools.partial(priors.decay, rate=decay)
    chain = optax.chain(optax.sgd(0.1), transforms.project(prior))
    start = jnp.zeros(TARGET.shape)
    state, _ = ascend(KEY, quadratic, chain, start, steps=11)
    return jnp.mean(state.last.image) / np.mean(TARGET)

  def expected(decay):
    share = 0.0
    for _ in range(10):
      share = (share + 0.1 * (1 - share)) * (1 - decay)
    return share

  strengths = np.float32([0.0, 0.05, 0.3])
  found = jax.vmap(distance)(strengths)
  np.testing.assert_allclose(found, [*map(expected, strengths)], rtol=1e-4)
  slope = (expected(0.051) - expected(0.049)) / 0.002
  np.testing.assert_allclose(jax.grad(distance)(0.05), slope, rtol=1e-3)
