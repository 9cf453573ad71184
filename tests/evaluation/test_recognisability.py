"""Marks and statistics against closed forms, SciPy and counting by hand."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
import small_networks

import jdeepvis
from jdeepvis.evaluation import statistics
from jdeepvis.evaluation.recognisability import under_augmentation
from jdeepvis.networks import zoo
from jdeepvis.networks.pictures import preprocess
from jdeepvis.synthesis.augmentation import random_affine

MEAN = np.float32([10, 20, 30])
COLOURS = np.eye(3, dtype=np.float32)


def tell_colours(params, images):
  """Class i for much of colour i; classes 3 and 4 never change."""
  scores = images.mean(axis=(1, 2)) / 20 @ params
  return {"output": jnp.pad(scores, [(0, 0), (0, 2)])}


@pytest.fixture
def network():
  spec = jdeepvis.InputSpec((8, 6, 3), MEAN)
  return jdeepvis.from_function(tell_colours, COLOURS, spec)


def flat(colour, size=(5, 9)):
  return np.full((*size, 3), np.uint8(MEAN + colour), np.uint8)


def softmax(scores):
  powers = np.exp(scores - np.max(scores))
  return powers / powers.sum()


def test_ranks_and_probabilities_counted_by_hand(network):
  colours = [(40, 20, 10), (40, 20, 10), (40, 20, 10), (40, 20, 10)]
  classes = [0, 2, 3, 4]
  images = [flat(colour) for colour in colours]
  marks = jdeepvis.recognisability(network, images, classes)
  by_class = softmax(np.array([2, 1, 0.5, 0, 0]))
  np.testing.assert_allclose(marks.probability, by_class[classes], rtol=1e-5)
  # Classes 3 and 4 are equal, and neither is before the other.
  np.testing.assert_array_equal(marks.rank, [1, 3, 5, 5])
  assert (marks.top1, marks.top5, marks.median_rank) == (0.25, 1.0, 4.0)


def test_a_network_that_says_the_same_of_all_names_none(network):
  images = np.stack([flat(0)] * 5)
  marks = jdeepvis.recognisability(network, images, range(5))
  np.testing.assert_array_equal(marks.rank, [5] * 5)
  broken = network.replace(params=COLOURS * np.nan)
  marks = jdeepvis.recognisability(broken, images, range(5))
  assert marks.top1 == 0 and marks.median_rank == 5


def test_any_number_of_pictures_of_any_size():
  """More than a batch, against the network asked one by one."""
  network = small_networks.judge()
  generator = np.random.default_rng(0)
  images = [
    generator.integers(0, 256, (20 + i, 30, 3), np.uint8) for i in range(11)
  ]
  classes = generator.integers(0, 9, 11)
  marks = jdeepvis.recognisability(network, images, classes)
  for image, unit, rank, probability in zip(
    images, classes, marks.rank, marks.probability, strict=True
  ):
    centred = preprocess(image, network.input)[None]
    by_class = np.asarray(network(centred)["prob"])
    by_class = by_class.reshape(-1)
    assert probability == pytest.approx(by_class[unit], rel=1e-4)
    assert rank == 1 + np.sum(np.delete(by_class, unit) >= by_class[unit])


def test_views_of_nothing_are_nothing(network):
  """What lies outside is the mean colour, so a mean picture stays one."""
  by_class, scores = under_augmentation(
    jax.random.key(0), network, [flat(0)] * 3, [0, 1, 4], samples=3
  )
  np.testing.assert_allclose(by_class, 0.2, rtol=1e-6)
  np.testing.assert_allclose(scores, scores[0], rtol=1e-6)


def test_views_are_the_mean_over_keys_the_same_for_all(network):
  images = [flat((40, 0, 0)), flat((0, 40, 0)), flat((40, 0, 0))]
  key = jax.random.key(3)
  by_class, scores = under_augmentation(
    key, network, images, [0, 1, 0], samples=4
  )
  # The classes are alike but for their colours, and so are their pictures.
  np.testing.assert_allclose(by_class, by_class[0], rtol=1e-5)
  expected, values = [], []
  for one in jax.random.split(key, 4):
    look = functools.partial(random_affine, shift=0.05, scale=1.3)
    seen = look(one, preprocess(images[0], network.input))
    reported = np.asarray(tell_colours(COLOURS, seen[None])["output"][0])
    expected.append(softmax(reported)[0])
    values.append(reported[0])
  assert np.std(expected) > 0
  assert by_class[0] == pytest.approx(np.mean(expected), rel=1e-4)
  assert scores[0] == pytest.approx(np.mean(values), rel=1e-4)


@pytest.mark.parametrize(
  ("images", "classes", "reported"),
  [
    ([], [], "no images"),
    ([flat(0)], [0, 1], "1 images, 2 classes"),
    ([flat(0)], [5], "classes 0 to 4, so 5"),
    ([flat(0)], [-1], "so -1"),
  ],
)
def test_what_cannot_be_judged_is_refused(network, images, classes, reported):
  with pytest.raises(jdeepvis.JdeepvisError, match=reported):
    jdeepvis.recognisability(network, images, classes)


def wave(cycles, size=64, axis=0, amplitude=100):
  phase = 2 * np.pi * cycles * np.arange(size) / size
  rows = 127.5 + amplitude * np.cos(phase)
  grid = np.broadcast_to(rows[:, None] if axis == 0 else rows, (size, size))
  return np.repeat(np.uint8(np.round(grid))[..., None], 3, axis=-1)


@pytest.mark.parametrize(
  ("cycles", "axis"), [*itertools.product([1, 7, 32], [0, 1])]
)
def test_a_wave_has_its_power_in_its_own_ring(cycles, axis):
  spectrum = statistics.radial_spectrum(wave(cycles, axis=axis))
  assert spectrum.shape == (32,)
  assert spectrum.argmax() == cycles - 1
  assert spectrum[cycles - 1] > 0.99 * spectrum.sum()


def test_noise_has_its_variance_in_every_ring():
  generator = np.random.default_rng(0)
  noise = generator.normal(128, 30, (128, 96, 3))
  noise = np.uint8(np.clip(np.round(noise), 0, 255))
  spectrum = statistics.radial_spectrum(noise)
  assert spectrum.shape == (48,)
  # Half of a ring's cells are free, in three channels.
  deviation = (3 * np.pi * np.arange(1, 49)) ** -0.5
  assert np.all(np.abs(spectrum / 900 - 1) < 4 * deviation)
  assert abs(statistics.spectral_slope(spectrum)) < 0.1


def test_slope_and_distance_of_power_laws():
  frequency = np.arange(1.0, 50)
  natural, flat_ = 7 * frequency**-2.0, np.ones(49)
  assert statistics.spectral_slope(natural) == pytest.approx(-2)
  assert statistics.spectrum_distance(natural, 100 * natural) == pytest.approx(
    2
  )
  assert statistics.spectrum_distance(flat_, flat_) == 0
  assert np.isnan(statistics.spectral_slope(np.zeros(9)))
  assert np.isnan(statistics.spectrum_distance(np.zeros(49), flat_))


def test_photographs_fall_off_with_about_the_square():
  photo = zoo.third_party() / "photos" / "chelsea.jpg"
  spectrum = statistics.radial_spectrum(jdeepvis.read_picture(photo))
  assert -4 < statistics.spectral_slope(spectrum) < -1.5


def test_colours_are_those_of_all_pixels():
  generator = np.random.default_rng(1)
  images = [
    generator.integers(0, 256, (height, 4, 3), np.uint8) for height in (3, 8)
  ]
  found = statistics.colours(images)
  pixels = np.concatenate([image.reshape(-1, 3) for image in images])
  np.testing.assert_allclose(found.mean, pixels.mean(axis=0))
  centred = pixels - pixels.mean(axis=0)
  np.testing.assert_allclose(found.covariance, centred.T @ centred / 44)


def test_colour_distance_against_scipy():
  generator = np.random.default_rng(2)
  first, second = (generator.normal(size=(5, 3)) for _ in range(2))
  one = statistics.Colours(np.zeros(3), first.T @ first)
  other = statistics.Colours(np.array([1.0, 2, 2]), second.T @ second)
  root = scipy.linalg.sqrtm(one.covariance @ other.covariance)
  spread = np.trace(one.covariance + other.covariance - 2 * root.real)
  assert statistics.colour_distance(one, other) == pytest.approx(
    np.sqrt(9 + spread)
  )
  moved = one._replace(mean=np.array([0.0, 3, 4]))
  assert statistics.colour_distance(one, moved) == pytest.approx(5)


def test_diversity_is_the_mean_distance_of_pairs():
  features = np.random.default_rng(3).normal(size=(6, 2, 5))
  pairs = scipy.spatial.distance.pdist(features.reshape(6, -1))
  assert statistics.diversity(features) == pytest.approx(pairs.mean())
  assert statistics.diversity(np.ones((3, 4))) == 0
  with pytest.raises(jdeepvis.JdeepvisError, match="two"):
    statistics.diversity(np.ones((1, 4)))
