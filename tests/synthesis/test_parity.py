"""The paper's rows against a float64 transliteration of the original loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy_reference import optimize

from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import ascend, assembly, transforms
from jdeepvis.synthesis.initial import initial_image, original_noise
from jdeepvis.synthesis.named_recipes import RECIPES
from jdeepvis.synthesis.recipes import make_recipe

pytestmark = pytest.mark.optimised

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
  transform = assembly.optimizer(recipe, SPEC)
  state = ascend.init(jax.random.key(0), transform, start)

  def step(state, number):
    state, history = ascend.advance(score, transform, state, number[None])
    return state, (state.last.image, history["score"][0])

  return jax.lax.scan(step, state, jnp.arange(STEPS))[1]


EXTRA = {
  "value_and_benefit": make_recipe(
    optax.scale_by_learning_rate,
    50.0,
    value_percentile=30.0,
    benefit_percentile=25.0,
    decay=0.01,
  ),
}
ORIGINALS = {
  "value_percentile": "small_value",
  "norm_percentile": "small_norm",
  "benefit_percentile": "small_benefit",
  "contribution_percentile": "small_contribution",
}
POLICIES = {
  optax.scale_by_learning_rate: "constant",
  transforms.scale_by_progress: "progress",
}
PAPER = [name for name in RECIPES if name.startswith("paper")]


@pytest.mark.parametrize("name", [*PAPER, *EXTRA])
def test_twenty_steps_agree_with_the_original(name):
  recipe = {**RECIPES, **EXTRA}[name]
  start = np.asarray(initial_image(jax.random.key(7), SPEC))
  settings = {
    ORIGINALS.get(key, key): value
    for key, value in recipe.strengths.items()
    if key not in ("steps", "keep")
  }
  settings["policy"] = POLICIES[recipe.step.function]
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
  if {"norm_percentile", "contribution_percentile"} & recipe.strengths.keys():
    assert masks[-1].mean() > 0.1


def test_the_originals_start_image():
  """Figures from the original's README, in its own layout."""
  spec = InputSpec((227, 227, 3), np.array([123, 117, 104], np.float32))
  image = original_noise(0, spec)
  theirs = image[:, :, ::-1].transpose(2, 0, 1)
  np.testing.assert_allclose(np.linalg.norm(theirs), 3921.5236, atol=1e-3)
  np.testing.assert_allclose(
    theirs.reshape(-1)[:2], [17.6405, 4.00157], atol=1e-4
  )
  np.testing.assert_allclose(np.std(theirs), 9.973848, atol=1e-5)


def test_paper_rows_are_table_1():
  """Values, order, iterations and policies as published."""
  names = (
    "decay", "blur", "blur_every", "norm_percentile",
    "contribution_percentile", "steps", "rate", "max_rate",
  )  # fmt: skip
  reported = [
    (
      POLICIES[RECIPES[name].step.function],
      *(RECIPES[name].strengths.get(key, 0) for key in names),
    )
    for name in ("paper_a", "paper_b", "paper_c", "paper_d")
  ]
  assert reported == [
    ("progress", 0, 0.5, 4, 50, 0, 500, 2, 100),
    ("constant", 0.3, 0, 0, 20, 0, 750, 100, 0),
    ("constant", 1e-4, 1.0, 4, 0, 0, 1000, 100, 0),
    ("progress", 0, 0.5, 4, 0, 90, 1000, 2, 1e8),
  ]
