"""Recipes: open to anybody's function, one program for all strengths."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdeepvis
from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import assembly, priors
from jdeepvis.synthesis.ablation import parse_factors
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.named_recipes import RECIPES, recipe
from jdeepvis.synthesis.recipe_records import to_plain
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.types import JdeepvisError

SPEC = InputSpec((8, 9, 3), np.float32([120, 110, 100]))
TARGET = np.random.default_rng(0).normal(0, 20, SPEC.shape).astype(np.float32)


def score(key, image):
  return -jnp.sum((image - TARGET) ** 2) / 2


def fade(image, strength):
  """A prior of somebody's own: the same as `decay`."""
  return image * (1 - strength)


def climb(made, start=np.zeros(SPEC.shape, np.float32)):  # noqa: B008
  state, _ = ascend(
    jax.random.key(0),
    assembly.augmented(made, score, SPEC),
    assembly.optimizer(made, SPEC),
    start,
    steps=made.steps,
  )
  return state.last.image


def test_a_prior_of_ones_own_does_what_ours_does():
  base = make_recipe(optax.sgd, 0.1, steps=6)
  ours = base.replace(decay=0.2)
  theirs = base.with_prior(fade, strength=0.2)
  np.testing.assert_array_equal(climb(ours), climb(theirs))
  assert theirs.strengths["fade"] == 0.2


def test_strengths_of_a_prior_of_ones_own_share_one_trace():
  traces = []

  @jax.jit
  def picture(made):
    traces.append(made)
    return climb(made)

  base = recipe("none").replace(steps=4)
  pictures = [
    picture(base.with_prior(fade, strength=x, every=2)) for x in (0, 0.1, 0.5)
  ]
  assert len(traces) == 1
  assert len(np.unique(np.stack(pictures), axis=0)) == 3
  off = picture(base.with_prior(fade, strength=0, every=2))
  np.testing.assert_allclose(off, climb(base), atol=1e-4)


def test_a_prior_may_want_the_gradient_the_step_and_options():
  seen = []

  def nosy(image, strength, *, grad, step, radius):
    seen.append((grad.shape, radius))
    return image + strength * (step - step) * grad

  made = recipe("none").replace(steps=2).with_prior(nosy, 1, radius=3)
  climb(made)
  assert seen[0][0] == SPEC.shape and made.strengths["nosy_radius"] == 3.0


def test_every_and_end_are_kept_to():
  """At steps 0 and 3 only, and twice as strong at the last step."""
  base = make_recipe(optax.sgd, 0.0, steps=7)
  made = base.with_prior(fade, 0.1, end=0.4, every=3)
  image = climb(made, TARGET)
  # The image that the last step looks at has seen steps 0 and 3.
  expected = TARGET * (1 - 0.1) * (1 - 0.1 * 4 ** (3 / 6))
  np.testing.assert_allclose(image, expected, rtol=1e-4)


def test_gradients_and_augmentations_of_ones_own():
  def halve(grad, strength):
    return grad * (1 - 0.5 * strength)

  def shade(key, image, strength):
    return image + strength * jax.random.normal(key, ())

  base = make_recipe(optax.sgd, 0.2, steps=5)
  slower = base.with_gradient(halve, strength=1)
  np.testing.assert_allclose(
    climb(slower), climb(base.replace(rate=0.1)), rtol=1e-5, atol=1e-5
  )
  shaded = base.with_augmentation(shade, strength=3.0)
  assert np.std(climb(shaded) - climb(base)) < 1e-3
  assert np.abs(np.mean(climb(shaded) - climb(base))) > 0.01


def test_ours_go_in_the_originals_order_whatever_is_named_first():
  made = recipe("none").replace(norm_percentile=20, blur=0.5, decay=0.1)
  assert [x.name for x in made.priors] == ["decay", "blur", "norm_percentile"]
  assert [x.function for x in made.priors][1] is priors.blur
  assert made.with_prior(fade).replace(total_variation=1).priors[-1].name == (
    "fade"
  )


def test_replacing_and_leaving_out():
  made = recipe("default")
  assert made.replace(decay=0).strengths["decay"] == 0.0
  assert "decay" not in made.without("decay").strengths
  assert made.without("log_prob_weight").log_prob_weight is None
  assert made.replace(steps=64.0).steps == 64
  assert made.replace(scale=1, centre_bias_end=3).strengths["scale"] == 1.0
  for wrong in ({"deacy": 1}, {"blur_evry": 2}):
    with pytest.raises(JdeepvisError, match="nearest: "):
      made.replace(**wrong)
  with pytest.raises(JdeepvisError, match="'blur' to leave out"):
    made.without("blur")
  with pytest.raises(JdeepvisError, match="'decay' already"):
    made.with_prior(fade, name="decay")
  with pytest.raises(JdeepvisError, match="'defualt'; nearest: default"):
    recipe("defualt")


def test_old_names_are_understood_and_told():
  with pytest.warns(
    FutureWarning, match="'rivals' is called 'log_prob_weight'"
  ):
    made = recipe("default").replace(rivals=3.0)
  assert made.log_prob_weight == 3.0
  with pytest.warns(FutureWarning, match="'rivals' is called") as reported:
    assert made.without("rivals").log_prob_weight is None
  assert len(reported) == 1
  with pytest.warns(FutureWarning, match="'shift' is called 'jitter'"):
    assert parse_factors(["shift:0,0.1"], made) == {"jitter": (0.0, 0.1)}
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    recipe("default").replace(jitter=0.2)


def test_plain_values_tell_recipes_apart():
  plain = {name: to_plain(made) for name, made in RECIPES.items()}
  assert len({repr(one) for one in plain.values()}) == len(RECIPES)
  assert to_plain(recipe("default").replace(decay=0.02)) == plain["default"]
  own = to_plain(recipe("none").with_prior(fade, 0.3))
  assert own["fade"] == 0.3 and own["fade_function"].endswith(":fade")

  def changed(image, strength):
    return image * (1 - strength) + 0

  other = to_plain(recipe("none").with_prior(changed, 0.3, name="fade"))
  assert other["fade_sha256"] != own["fade_sha256"]


def test_a_recipe_is_a_pytree_of_its_strengths():
  made = recipe("paper_d")
  doubled = jax.tree.map(lambda leaf: 2 * leaf, made)
  assert doubled.strengths == {
    name: 2 * value if isinstance(value, float) else value
    for name, value in made.strengths.items()
  }
  assert jax.tree.structure(doubled) == jax.tree.structure(made)
  assert jdeepvis.recipe(made) is made
