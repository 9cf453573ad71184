"""Fooling: closed forms on a line of pixels, certainty on networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_networks

from jdeepvis.networks import classify
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.synthesis import fooling
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.types import JdeepvisError

NONE = recipe("none")


def logistic(key, image):
  """A class whose logit is the image's one number."""
  return jax.nn.log_sigmoid(image[0, 0, 0]), {
    "probability": jax.nn.sigmoid(image[0, 0, 0])
  }


def climb(start, *, confidence=0.996, limit=50):
  """In steps of exactly one."""
  return fooling.fool(
    logistic,
    optax.chain(optax.scale_by_sign(), optax.scale(-1.0)),
    jnp.full((1, 1, 1), start, jnp.float32),
    key=jax.random.key(0),
    confidence=confidence,
    limit=limit,
  )


@pytest.mark.parametrize("start", [-3.2, 0.0, 5.4, 5.6, 9.0])
def test_it_stops_at_the_first_picture_that_convinces(start):
  """logit(0.996) is 5.517: that many unit steps, rounded up."""
  made = climb(start)
  needed = max(0, int(np.ceil(np.log(0.996 / 0.004) - start)))
  assert made.steps == needed
  assert made.image[0, 0, 0] == pytest.approx(start + needed, abs=1e-5)
  expected = 1 / (1 + np.exp(-(start + needed)))
  assert made.confidence == pytest.approx(expected, rel=1e-5)
  reported = made.history["probability"]
  looks = start + np.arange(needed + 1)
  np.testing.assert_allclose(
    reported[: needed + 1], 1 / (1 + np.exp(-looks)), rtol=1e-4
  )
  assert not np.any(reported[needed + 1 :])


def test_it_gives_up_at_its_limit():
  made = climb(-3.0, limit=4)
  assert made.steps == 3
  assert made.confidence == pytest.approx(0.5)


def test_side_by_side_each_stops_for_itself():
  begins, asked = jnp.array([-3.0, 5.0, 1.0]), jnp.array([0.9, 0.996, 0.6])
  together = jax.vmap(
    lambda start, confidence: climb(start, confidence=confidence)
  )(begins, asked)
  for i, (start, confidence) in enumerate(zip(begins, asked, strict=True)):
    alone = climb(start, confidence=confidence)
    mine = jax.tree.map(lambda rows, i=i: rows[i], together)
    assert mine.steps == alone.steps
    # Two programs: each step rounds once or twice, to one part in 2**24.
    jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=1e-5), mine, alone
    )
  assert len(set(together.steps.tolist())) == 3


def test_certainty_is_the_networks_own_of_the_picture_in_a_file():
  network = small_networks.classifier()
  image = 20 * jax.random.normal(jax.random.key(3), network.input.shape)
  value, more = fooling.certainty(network, 4)(jax.random.key(0), image)
  plain = to_pixels(np.asarray(image), network.input).astype(np.float32)
  blobs = network(plain[None] - network.input.mean)
  scores = np.asarray(blobs["scores"], np.float64).reshape(-1)
  own = blobs["prob"].reshape(-1)[4]
  expected = scores[4] - np.log(np.sum(np.exp(scores)))
  assert value == pytest.approx(expected, rel=1e-5)
  # Its softmax stands behind a ReLU that its scores have not passed.
  assert more["probability"] == pytest.approx(float(own), rel=1e-5)
  assert abs(more["probability"] - np.exp(expected)) > 1e-4


def test_certainty_without_a_softmax_of_its_own():
  whole = small_networks.classifier()
  network = whole.replace(layers=())
  image = jnp.zeros(network.input.shape)
  value, more = fooling.certainty(network, 2)(jax.random.key(0), image)
  assert more["probability"] == pytest.approx(float(np.exp(value)))


def test_the_gradient_passes_rounding():
  network = small_networks.classifier()
  score = fooling.certainty(network, 4)
  grad, _ = jax.grad(score, argnums=1, has_aux=True)(
    jax.random.key(0), jnp.full(network.input.shape, 0.3)
  )
  assert np.any(grad)


def test_an_unknown_class_is_refused():
  network = small_networks.classifier()
  with pytest.raises(JdeepvisError, match="0 to 8, so not 9"):
    fooling.certainty(network, 9)
  images = np.zeros((2, *network.input.shape), np.float32)
  with pytest.raises(JdeepvisError, match="so not 9"):
    fooling.fool_many(network, NONE, [1, 9], images)


@pytest.mark.slow
def test_squeezenet_is_fooled_from_noise_and_from_the_mean(squeezenet):
  units = [0, 130, 500, 999]
  images = [
    initial_image(jax.random.key(unit), squeezenet.input, init)
    for unit, init in zip(units, ["noise", "mean"] * 2, strict=True)
  ]
  run = functools.partial(fooling.fool_many, squeezenet, NONE)
  made = run(units, np.stack(images))
  assert np.all(made.confidence >= 0.996)
  assert np.all((made.steps > 0) & (made.steps < 60))
  pixels = np.stack(
    [to_pixels(np.asarray(one), squeezenet.input) for one in made.image]
  )
  probability = classify.probabilities(
    squeezenet, pixels.astype(np.float32) - squeezenet.input.mean
  )
  np.testing.assert_allclose(
    probability[np.arange(4), units], made.confidence, atol=1e-4
  )
  again = run(units, np.stack(images))
  np.testing.assert_array_equal(again.image, made.image)
