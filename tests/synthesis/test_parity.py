"""The paper's rows against a float64 transliteration of the original loop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy_reference import optimize

from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import assembly, recipes, render, starts

SPEC = InputSpec((24, 20, 3), np.array([123, 117, 104], np.float32))
STEPS = 20


def small_network():
  """Weights of a two-layer network whose scores are of a CaffeNet's scale."""
  rng = np.random.default_rng(3)
  first = rng.normal(0, 1, (24 * 20 * 3, 16)) / 100
  second = rng.normal(0, 1, (16, 5)) / 2
  return first, second


def original_value_and_grad(image):
  first, second = small_network()
  hidden = np.tanh(image.reshape(-1) @ first)
  grad = first @ ((1 - hidden**2) * second[:, 2])
  return hidden @ second[:, 2], grad.reshape(image.shape)


def score(key, image):
  first, second = (jnp.asarray(w, jnp.float32) for w in small_network())
  hidden = jnp.tanh(jnp.dot(image.reshape(-1), first, precision="highest"))
  return hidden @ second[:, 2]


def images_of(recipe, start):
  """The image looked at by each step."""
  transform = assembly.transform(recipe, SPEC)
  state = render.init(transform, start, jax.random.key(0))

  def step(state, number):
    state, history = render.advance(score, transform, state, number[None])
    return state, (state.last.image, history["score"][0])

  return jax.lax.scan(step, state, jnp.arange(STEPS))[1]


EXTRA = {
  "value_and_benefit": recipes.Recipe(
    rate=50.0, small_value=30.0, small_benefit=25.0, decay=0.01
  ),
}
PAPER = [name for name in recipes.RECIPES if name.startswith("paper")]


@pytest.mark.parametrize("name", [*PAPER, *EXTRA])
def test_twenty_steps_agree_with_the_original(name):
  recipe = {**recipes.RECIPES, **EXTRA}[name]
  start = np.asarray(starts.start(jax.random.key(7), SPEC))
  settings = {
    key: value
    for key, value in dataclasses.asdict(recipe).items()
    if value is not None
    and key
    not in ("steps", "keep", "shift", "scale", "blur_end", "total_variation")
  }
  expected, values, masks = optimize(
    original_value_and_grad,
    start.astype(np.float64),
    *SPEC.bounds,
    iterations=STEPS,
    **settings,
  )
  images, scores = images_of(recipe, start)
  np.testing.assert_allclose(images, expected, atol=1e-3)
  np.testing.assert_allclose(scores, values, rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(np.asarray(images) == 0, masks)
  if recipe.small_norm or recipe.small_contribution:
    assert masks[-1].mean() > 0.1


def test_the_originals_start_image():
  """Figures from the original's README, in its own layout."""
  spec = InputSpec((227, 227, 3), np.array([123, 117, 104], np.float32))
  image = starts.original_start(0, spec)
  theirs = image[:, :, ::-1].transpose(2, 0, 1)
  np.testing.assert_allclose(np.linalg.norm(theirs), 3921.5236, atol=1e-3)
  np.testing.assert_allclose(
    theirs.reshape(-1)[:2], [17.6405, 4.00157], atol=1e-4
  )
  np.testing.assert_allclose(np.std(theirs), 9.973848, atol=1e-5)


def test_paper_rows_are_table_1():
  """Values, order, iterations and policies as published."""
  rows = {
    name: dataclasses.asdict(recipes.RECIPES[name])
    for name in ("paper_a", "paper_b", "paper_c", "paper_d")
  }
  told = [
    (
      row["decay"] or 0,
      row["blur"] or 0,
      row["blur_every"] if row["blur"] else 0,
      row["small_norm"] or 0,
      row["small_contribution"] or 0,
      row["steps"],
      row["policy"],
      row["rate"],
      row["max_rate"],
    )
    for row in rows.values()
  ]
  assert told == [
    (0, 0.5, 4, 50, 0, 500, "progress", 2, 100),
    (0.3, 0, 0, 20, 0, 750, "constant", 100, None),
    (1e-4, 1.0, 4, 0, 0, 1000, "constant", 100, None),
    (0, 0.5, 4, 0, 90, 1000, "progress", 2, 1e8),
  ]
