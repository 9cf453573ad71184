"""Dreams: the notebook's loop in NumPy, closed forms, a real layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from jax.tree_util import Partial

from jdeepvis.networks import own
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.zoo import third_party
from jdeepvis.synthesis import dream, objectives
from jdeepvis.synthesis.objectives import layer_mean_square
from jdeepvis.synthesis.score import bind
from jdeepvis.types import JdeepvisError

KEY = jax.random.key(0)
SPEC = InputSpec((8, 8, 3), np.float32([120, 110, 100]))


def pixels(function):
  """A score that is a sum over pixels."""
  return Partial(lambda key, image: jnp.sum(function(image)))


def by_hand(image, spec, plan, key, gradient):
  """The notebook's loop; rolled or not is the same for sums over pixels."""
  lower, upper = spec.bounds
  sizes = dream.octave_sizes(image.shape[:2], plan)

  def resized(picture, size):
    return np.asarray(
      jax.image.resize(picture, (*size, picture.shape[-1]), "linear")
    )

  detail = np.zeros((*sizes[0], image.shape[-1]), np.float32)
  for size in sizes:
    base = resized(image, size)
    made = base + resized(detail, size)
    for _ in range(plan.steps):
      grad = gradient(made)
      made = np.clip(
        made + plan.rate * grad / np.abs(grad).mean(), lower, upper
      )
    detail = made - base
  return made


@pytest.mark.parametrize(
  "plan",
  [
    dream.Plan(octaves=1, steps=3, tile=64),
    dream.Plan(octaves=3, steps=4, tile=64, jitter=5),
    dream.Plan(octaves=4, ratio=1.2, rate=20.0, tile=16),
  ],
)
def test_octaves_are_the_notebooks(plan):
  random = np.random.default_rng(0)
  image = random.normal(0, 60, (24, 37, 3)).astype(np.float32)
  made = dream.dream(pixels(lambda x: x**3 / 300), image, SPEC, plan, key=KEY)
  expected = by_hand(image, SPEC, plan, KEY, lambda x: x**2 / 100)
  np.testing.assert_allclose(made.image, expected, atol=2e-2)
  assert made.octave == plan.octaves
  assert made.history["score"].shape == (plan.steps,)


def test_sizes_are_told_smallest_first():
  plan = dream.Plan(octaves=3, ratio=2.0)
  sizes = dream.octave_sizes((100, 50), plan)
  assert sizes == [(25, 12), (50, 25), (100, 50)]
  assert dream.octave_sizes((1, 3), plan)[0] == (1, 1)


def test_a_guide_is_matched_at_its_most_alike_place():
  random = np.random.default_rng(0)
  values, guide = random.normal(size=(4, 5, 6)), random.normal(size=(7, 6))
  objective = dream.MatchGuide("x", jnp.asarray(guide))
  places = values.reshape(-1, 6)
  best = np.argmax(places @ guide.T, axis=1)
  expected = np.mean(np.sum(places * guide[best], axis=1))
  assert objective({"x": jnp.asarray(values)}) == pytest.approx(expected, 1e-5)
  # The notebook sends the guide's values back, from each place.
  grad = jax.grad(lambda x: objective({"x": x}))(jnp.asarray(values))
  np.testing.assert_allclose(
    grad.reshape(-1, 6) * 20, guide[best], rtol=1e-4, atol=1e-5
  )


def test_the_whole_layer_sends_its_own_values_back():
  values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
  grad = jax.grad(lambda x: layer_mean_square("x")({"x": x}))(values)
  np.testing.assert_allclose(grad * values.size, 2 * values, rtol=1e-5)


def test_a_zoom_is_about_the_middle():
  rows = np.arange(9, dtype=np.float32)
  image = np.broadcast_to(rows[:, None, None], (9, 9, 3))
  seen = np.asarray(dream.closer(image, 0.5))
  np.testing.assert_allclose(seen[:, 4, 0], 4 + (rows - 4) / 2, atol=1e-5)
  np.testing.assert_allclose(dream.closer(image, 0.0), image, atol=1e-5)


@pytest.fixture(scope="module")
def network():
  return small_networks.classifier()


@pytest.fixture(scope="module")
def photo(network):
  """A photograph half as large again as the network's input."""
  file = third_party() / "photos" / "chelsea.jpg"
  return preprocess(read_picture(file), network.input.of_size((40, 50)))


@pytest.mark.parametrize("kind", ["whole", "guided", "class"])
def test_more_of_what_is_asked(network, photo, kind):
  noise = 30 * np.asarray(jax.random.normal(KEY, (30, 30, 3)))
  objective = {
    "whole": layer_mean_square("conv2"),
    "guided": dream.match_guide(network, "conv2", noise),
    "class": objectives.log_probability(2),
  }[kind]
  score = bind(network, objective)
  spec = network.input.of_size(photo.shape[:2])
  plan = dream.Plan(octaves=2, tile=33)
  made = [
    dream.dream(score, photo, spec, plan, key=jax.random.key(seed))
    for seed in (0, 0, 1)
  ]
  before, after = (score(KEY, image)[0] for image in (photo, made[0].image))
  assert after > before + 0.2 * abs(before)
  assert made[0].history["score"][-1] > made[0].history["score"][0]
  np.testing.assert_array_equal(made[0].image, made[1].image)
  assert np.any(made[0].image != made[2].image)


def test_going_on_from_an_octave_is_the_same(network, photo):
  score = bind(network, layer_mean_square("conv2"))
  spec = network.input.of_size(photo.shape[:2])
  plan = dream.Plan(octaves=3, steps=2, tile=33)
  first, *_, last = dream.octaves(score, photo, spec, plan, key=KEY)
  *_, again = dream.octaves(score, photo, spec, plan, key=KEY, since=first)
  np.testing.assert_array_equal(last.image, again.image)


def test_what_cannot_be_dreamt_is_refused(network):
  with pytest.raises(JdeepvisError, match="no layer 'conv9'"):
    bind(network, layer_mean_square("conv9"))
  image = np.zeros((40, 50, 3), np.float32)
  flat = own.from_function(
    lambda params, images: {
      "scores": images.reshape(len(images), -1) @ np.ones((192, 2))
    },
    {},
    input=SPEC,
    output="scores",
  )
  score = bind(flat, objectives.channel("scores", 1))
  spec = SPEC.of_size((40, 50))
  with pytest.raises(JdeepvisError, match="shown 15 x 18 pixels"):
    dream.dream(score, image, spec, key=KEY)
  made = dream.dream(
    score, image, spec, dream.Plan(octaves=2, steps=2, tile=8), key=KEY
  )
  np.testing.assert_allclose(made.image, 6, atol=1e-3)


def test_a_mean_image_counts_by_its_colour():
  random = np.random.default_rng(0)
  mean = random.uniform(0, 255, (8, 9, 3)).astype(np.float32)
  spec = InputSpec((8, 9, 3), mean, resize=12).of_size((20, 30))
  assert spec.shape == (20, 30, 3) and spec.resize is None
  np.testing.assert_allclose(spec.mean, mean.mean((0, 1)), rtol=1e-6)
  assert InputSpec((8, 9, 3), spec.mean).of_size((4, 4)).mean == pytest.approx(
    spec.mean
  )
