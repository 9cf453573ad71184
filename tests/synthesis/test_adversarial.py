"""Adversarial images: SciPy's L-BFGS-B, closed forms, real classes."""

import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from scipy.optimize import minimize

from jdeepvis.networks import own
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.zoo import third_party
from jdeepvis.synthesis import adversarial
from jdeepvis.types import JdeepvisError

SHAPE = (4, 4, 3)
MEAN = np.float32([120, 110, 100])


def bowl(random, size, away):
  root = random.normal(size=(size, size))
  return root @ root.T + np.eye(size), random.normal(0, away, size)


@pytest.mark.parametrize(("seed", "away"), [(0, 1.5), (1, 3.0), (2, 3.0)])
def test_the_box_is_kept_as_by_scipy(seed, away):
  """A bowl whose bottom lies outside: some values end at the sides."""
  random = np.random.default_rng(seed)
  matrix, middle = bowl(random, 6, away)
  expected = minimize(
    lambda x: 0.5 * (x - middle) @ matrix @ (x - middle),
    np.zeros(6),
    jac=lambda x: matrix @ (x - middle),
    method="L-BFGS-B",
    bounds=[(-1, 2)] * 6,
  )
  at_sides = np.isclose(expected.x, -1) | np.isclose(expected.x, 2)
  assert 0 < at_sides.sum() < 6

  def function(x):
    return 0.5 * (x - middle) @ matrix @ (x - middle)

  found = adversarial.minimise_in_box(
    function,
    jnp.zeros(6),
    jnp.float32(-1),
    jnp.float32(2),
    steps=100,
  )
  np.testing.assert_allclose(found, expected.x, atol=2e-2)
  assert function(found) == pytest.approx(expected.fun, rel=1e-2)
  assert np.all((found >= -1) & (found <= 2))


def linear(weights):
  """Two classes parted by one plane."""
  return own.from_function(
    lambda params, images: {
      "scores": images.reshape(len(images), -1) @ params["scores"]["kernel"]
    },
    {"scores": {"kernel": weights}},
    input=InputSpec(SHAPE, MEAN),
    output="scores",
  )


@pytest.fixture(scope="module")
def plane():
  random = np.random.default_rng(0)
  return random.normal(0, 0.05, 48).astype(np.float32)


@pytest.fixture(scope="module")
def network(plane):
  return linear(np.stack([plane, -plane], axis=1))


@pytest.fixture(scope="module")
def image(plane):
  """Of class 0, well within the box."""
  noise = np.random.default_rng(1).normal(0, 5, 48)
  along = plane * (5 / np.linalg.norm(plane))
  return np.float32(
    noise - plane * (noise @ plane) / (plane @ plane) + along
  ).reshape(SHAPE)


@pytest.mark.parametrize("targeted", [False, True])
def test_one_step_is_the_gradients_sign(network, image, plane, targeted):
  moved = adversarial.gradient_sign(
    network, image, 1 if targeted else 0, size=3.0, targeted=targeted
  )
  expected = image - 3 * np.sign(plane).reshape(SHAPE)
  np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_steps_stay_near_and_in_the_box(network, plane):
  dark = np.broadcast_to(-MEAN + 1, SHAPE)
  moved = adversarial.gradient_sign(
    network, dark, 0, size=4.0, steps=7, step=1.0
  )
  expected = np.clip(
    dark - 4 * np.sign(plane).reshape(SHAPE), -MEAN, 255 - MEAN
  )
  np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_the_smallest_change_is_straight_through_the_plane(
  network, image, plane
):
  """The distance from the plane is 5; rounding adds up to half a level."""
  found, reached = adversarial.smallest_change(network, image, 1, trials=12)
  assert reached
  assert np.sum(np.ravel(found) * plane) < 0
  change = np.ravel(found - image)
  along = change @ plane / np.linalg.norm(plane)
  assert -5.9 < along < -5
  pixels = np.asarray(found) + MEAN
  np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-4)


def test_what_cannot_be_reached_is_told():
  biased = own.from_function(
    lambda params, images: {
      "scores": jnp.stack(
        [images.mean((1, 2, 3)) * 0 + 1, images.mean((1, 2, 3)) * 0], axis=1
      )
    },
    {},
    input=InputSpec(SHAPE, MEAN),
    output="scores",
  )
  image = np.full(SHAPE, 3.0, np.float32)
  found, reached = adversarial.smallest_change(biased, image, 1, trials=2)
  assert not reached
  np.testing.assert_array_equal(found, image)


def test_an_unknown_class_is_refused(network, image):
  with pytest.raises(JdeepvisError, match="0 to 1, so not 2"):
    adversarial.smallest_change(network, image, 2)
  with pytest.raises(JdeepvisError, match="0 to 1, so not 2"):
    adversarial.gradient_sign(network, image, 2, size=1.0)


def test_a_real_photograph_is_taken_for_another_class():
  network = small_networks.classifier()
  photo = read_picture(third_party() / "photos" / "chelsea.jpg")
  image = preprocess(photo, network.input)
  scores = network(image[None])["scores"].reshape(-1)
  first = int(np.argmax(scores))
  target = int(np.argsort(scores)[-2])
  found, reached = adversarial.smallest_change(network, image, target)
  assert reached
  # The network's own word counts, which here comes after a ReLU.
  after = network(np.asarray(found)[None])["prob"]
  assert int(np.argmax(after)) == target != first
  # By the least change: a step along the sign that gets there is larger.
  near = float(jnp.sqrt(jnp.mean((found - image) ** 2)))
  for size in 2.0 ** np.arange(-2, 6):
    moved = adversarial.gradient_sign(
      network, image, target, size=size, targeted=True
    )
    reported = network(np.asarray(moved)[None])["scores"]
    if int(np.argmax(reported)) == target:
      break
  assert near < float(jnp.sqrt(jnp.mean((moved - image) ** 2))) + 0.3
