"""Dreams: closed forms of tiles, octaves and zoom, a real layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

from jdeepvis.networks import own
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.zoo import third_party
from jdeepvis.synthesis import dream
from jdeepvis.synthesis.score import bind
from jdeepvis.types import JdeepvisError

KEY = jax.random.key(0)


@pytest.mark.parametrize("shape", [(20, 31, 3), (8, 8, 1), (9, 40, 2)])
@pytest.mark.parametrize("tile", [8, 13, 64])
def test_tiles_give_the_gradient_of_what_is_told_pixel_by_pixel(shape, tile):
  """A sum over pixels has the same gradient in tiles as whole."""
  image = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
  made = dream.tiled_gradient(
    lambda key, part: jnp.sum(jnp.sin(part)), image, key=KEY, tile=tile
  )
  np.testing.assert_allclose(made, np.cos(image), atol=1e-6)


def test_tiles_see_nothing_of_each_other():
  """A square of the sum is each tile's own: 2 x its sum."""
  image = np.random.default_rng(0).normal(size=(6, 4, 1)).astype(np.float32)
  made = dream.tiled_gradient(
    lambda key, part: jnp.sum(part) ** 2, image, key=KEY, tile=4
  )
  first, last = image[:4].sum(), image[2:].sum()
  expected = np.repeat([2 * first, first + last, 2 * last], 2)
  np.testing.assert_allclose(made[:, 0, 0], expected, rtol=1e-5)


def bare(function):
  return own.from_function(
    lambda params, images: {"mean": function(images)},
    {},
    input=InputSpec((8, 8, 3), np.full(3, 100, np.float32)),
    output="mean",
  )


@pytest.mark.parametrize("octaves", [1, 3])
def test_steps_have_their_size_at_every_octave(octaves):
  """An even gradient adds rate x steps an octave, up to the box."""
  network = bare(lambda images: images.mean((1, 2)))
  image = np.random.default_rng(0).normal(0, 5, (24, 30, 3)).astype(np.float32)
  objective = dream.Strength("mean")
  made = dream.dream(
    network,
    objective,
    image + 50,
    key=KEY,
    octaves=octaves,
    steps=4,
    rate=1.5,
    jitter=3,
  )
  added = np.asarray(made) - image - 50
  # Channels share the mean step of 6 an octave as their own means ask.
  assert added.mean() == pytest.approx(6 * octaves, rel=1e-2)
  assert np.ptp(added, axis=(0, 1)).max() < 1e-2
  bright = dream.dream(network, objective, image + 50, key=KEY, rate=1e4)
  np.testing.assert_allclose(bright, 155)


def test_a_guide_is_matched_at_its_most_alike_place():
  random = np.random.default_rng(0)
  values, guide = random.normal(size=(4, 5, 6)), random.normal(size=(7, 6))
  told = dream.Likeness("x", jnp.asarray(guide))({"x": jnp.asarray(values)})
  best = [max(one @ other for other in guide) for one in values.reshape(-1, 6)]
  assert told == pytest.approx(np.mean(best), rel=1e-5)


def test_magnify_is_about_the_middle():
  rows = np.arange(9, dtype=np.float32)
  image = np.broadcast_to(rows[:, None, None], (9, 9, 3))
  closer = np.asarray(dream.magnify(image, 2.0))
  np.testing.assert_allclose(closer[:, 4, 0], 4 + (rows - 4) / 2, atol=1e-5)
  np.testing.assert_allclose(dream.magnify(image, 1.0), image, atol=1e-5)


def test_zoom_hands_each_frame_on():
  seen = []

  def step(key, image):
    seen.append((key, np.asarray(image)))
    return image + 1

  frames = list(dream.zoom(step, np.zeros((4, 6, 3)), key=KEY, frames=3))
  np.testing.assert_allclose([one[0, 0, 0] for one in frames], [1, 2, 3])
  assert len({int(jax.random.bits(key)) for key, _ in seen}) == 3


@pytest.mark.parametrize("kind", ["strength", "guided"])
def test_a_layer_gets_more_of_what_it_sees(kind):
  network = small_networks.classifier()
  photo = read_picture(third_party() / "photos" / "chelsea.jpg")
  image = preprocess(photo, network.input)
  noise = 30 * np.asarray(jax.random.normal(KEY, image.shape))
  objective = (
    dream.Strength("conv2")
    if kind == "strength"
    else dream.guided(network, "conv2", noise)
  )
  made = [
    dream.dream(
      network, objective, image, key=jax.random.key(seed), octaves=2, tile=20
    )
    for seed in (0, 0, 1)
  ]
  score = bind(network, objective)
  before, after = (score(KEY, one)[0] for one in (image, made[0]))
  assert after > 1.5 * before
  np.testing.assert_array_equal(made[0], made[1])
  assert np.any(made[0] != made[2])


def test_what_cannot_dream_is_refused():
  network = small_networks.classifier()
  image = np.zeros((40, 50, 3), np.float32)
  with pytest.raises(JdeepvisError, match="no layer 'conv9'"):
    dream.dream(network, dream.Strength("conv9"), image, key=KEY)
  mean = np.zeros(network.input.shape, np.float32)
  fixed = network._replace(input=network.input._replace(mean=mean))
  with pytest.raises(JdeepvisError, match="mean is an image"):
    dream.dream(fixed, dream.Strength("conv2"), image, key=KEY)
