"""Choices, faithfulness and facets against counting by hand and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import small_networks

import jdeepvis
from jdeepvis.evaluation import choices
from jdeepvis.networks.pictures import preprocess


def some(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def unit_rows(*shape, seed=0):
  rows = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
  return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_products_are_mean_cosines_over_positions():
  network = small_networks.judge()
  pictures = [some(20 + i, 30, 3, seed=i) for i in range(10)]
  rows = jdeepvis.perceptual_features(network, pictures, "conv1/pre")
  np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
  images = np.stack([preprocess(one, network.input) for one in pictures])
  maps = np.asarray(network(images)["conv1/pre"], np.float64)
  for i, j in ((0, 1), (8, 9)):
    pairs = zip(maps[i].reshape(-1, 8), maps[j].reshape(-1, 8), strict=True)
    cosines = [1 - scipy.spatial.distance.cosine(a, b) for a, b in pairs]
    assert rows[i] @ rows[j] == pytest.approx(np.mean(cosines), rel=1e-3)


def test_a_picture_fills_the_input_however_files_are_cropped():
  network = small_networks.judge()
  warped = network.replace(input=network.input.replace(resize=90))
  pictures = some(2, 27, 27, 3)
  np.testing.assert_array_equal(
    jdeepvis.perceptual_features(network, pictures, "conv2"),
    jdeepvis.perceptual_features(warped, pictures, "conv2"),
  )


def test_a_choice_is_for_the_nearer_pictures():
  """Each of the four mean similarities computed by itself."""
  strong, weak = unit_rows(3, 6, 5), unit_rows(3, 6, 5, seed=1)
  exciting, inhibiting = unit_rows(3, 4, 5, seed=2), unit_rows(3, 2, 5, seed=3)
  found = jdeepvis.two_choices(strong, weak, exciting, inhibiting)
  for unit in range(3):
    for pair in range(6):
      liking = [
        np.mean(exciting[unit] @ photo) - np.mean(inhibiting[unit] @ photo)
        for photo in (strong[unit, pair], weak[unit, pair])
      ]
      assert found.right[unit, pair] == (liking[0] > liking[1])
  assert 0 < found.share < 1
  assert found.share == pytest.approx(found.right.mean())
  turned = jdeepvis.two_choices(weak, strong, exciting, inhibiting)
  np.testing.assert_array_equal(turned.right, 1 - found.right)
  against = jdeepvis.two_choices(strong, weak, inhibiting, exciting)
  np.testing.assert_array_equal(against.right, 1 - found.right)


def test_pictures_that_say_nothing_are_chance():
  """The same for and against, or features without a relation to the unit."""
  strong, weak, same = (unit_rows(200, 20, 8, seed=i) for i in range(3))
  found = jdeepvis.two_choices(strong, weak, same, same)
  assert (found.share, found.error) == (0.5, 0)
  other = unit_rows(200, 20, 8, seed=3)
  found = jdeepvis.two_choices(strong, weak, same, other)
  assert abs(found.share - 0.5) < 4 * found.error < 0.1


def test_perfect_pictures_are_always_right():
  axis = np.eye(4, dtype=np.float32)
  strong = np.broadcast_to(axis[0], (5, 3, 4))
  weak = np.broadcast_to(axis[1], (5, 3, 4))
  found = jdeepvis.two_choices(strong, weak, strong[:, :2], weak[:, :1])
  assert (found.share, found.error) == (1, 0)


def test_the_error_bar_is_that_of_a_mean():
  values = np.random.default_rng(0).uniform(size=400)
  expected = scipy.stats.sem(values)
  assert choices.standard_error(values) == pytest.approx(expected, rel=0.1)
  assert np.isnan(choices.standard_error(values[:1]))


@pytest.mark.parametrize(
  "change",
  [
    {"weak": unit_rows(2, 4, 5)},
    {"exciting": unit_rows(3, 1, 5)},
    {"inhibiting": unit_rows(2, 1, 6)},
    {"inhibiting": np.zeros((2, 0, 5), np.float32)},
  ],
)
def test_choices_that_cannot_be_made_are_refused(change):
  given = {
    "strong": unit_rows(2, 3, 5),
    "weak": unit_rows(2, 3, 5),
    "exciting": unit_rows(2, 1, 5),
    "inhibiting": unit_rows(2, 1, 5),
  }
  with pytest.raises(jdeepvis.JdeepvisError, match="same units and d"):
    jdeepvis.two_choices(**(given | change))


def two_layers(weights, images):
  hidden = images[..., :1] * weights
  return {"hidden": hidden, "output": jnp.tanh(hidden.mean((1, 2)))}


@pytest.fixture
def path():
  spec = jdeepvis.InputSpec((6, 5, 3), np.zeros(3, np.float32))
  weights = np.float32([[[[1, -2, 0.5]]]])
  return jdeepvis.from_function(two_layers, weights, spec)


def test_correlations_are_spearmans(path):
  pictures, photos = some(2, 6, 5, 3), some(5, 6, 5, 3, seed=1)
  known = [4, 4, 7, 7, 9]
  found = jdeepvis.faithfulness(
    path, pictures, [4, 9], photos, known, layers=["hidden"]
  )["hidden"]

  def correlation(one, other):
    blobs = [
      np.float32(x)[..., :1] * np.float32([1, -2, 0.5]) for x in (one, other)
    ]
    return scipy.stats.spearmanr(*(blob.ravel() for blob in blobs)).statistic

  rows = np.array([[correlation(a, b) for b in photos] for a in pictures])
  np.testing.assert_allclose(
    found.same, [rows[0, :2].mean(), rows[1, 4]], rtol=1e-4
  )
  np.testing.assert_allclose(
    found.other, [rows[0, 2:].mean(), rows[1, :4].mean()], rtol=1e-4
  )
  among = np.array([[correlation(a, b) for b in photos] for a in photos])
  most = np.mean([among[0, 1], among[2, 3]])
  least = among[np.not_equal.outer(known, known)].mean()
  assert found.photos_same == pytest.approx(most, rel=1e-4)
  assert found.photos_other == pytest.approx(least, rel=1e-4)
  np.testing.assert_allclose(
    found.normalised, (found.same - least) / (most - least), rtol=1e-4
  )


def test_a_photograph_that_is_the_picture_is_faithful(path):
  photos = some(4, 6, 5, 3)
  known = [0, 0, 1, 1]
  found = jdeepvis.faithfulness(
    path, photos[[0, 2]], [0, 1], photos, known, layers=["hidden", "output"]
  )
  assert list(found) == ["hidden", "output"]
  hidden = found["hidden"]
  # Of two photographs of its class one is the picture itself.
  expected = (1 + hidden.photos_same) / 2
  assert hidden.same.mean() == pytest.approx(expected, rel=1e-5)


def test_what_has_no_second_photograph_has_no_norm(path):
  photos = some(2, 6, 5, 3)
  found = jdeepvis.faithfulness(
    path, photos[:1], [3], photos, [0, 1], layers=["hidden"]
  )["hidden"]
  assert np.isnan([*found.same, *found.normalised, found.photos_same]).all()
  assert np.isfinite(found.other).all()


@pytest.mark.parametrize(("classes", "known"), [([], [0]), ([0], [0, 1])])
def test_each_picture_needs_a_class(path, classes, known):
  photos = some(1, 6, 5, 3)
  with pytest.raises(jdeepvis.JdeepvisError, match="needs a class"):
    jdeepvis.faithfulness(
      path, list(photos), classes, list(photos), known, layers=["hidden"]
    )


def test_facets_are_the_clusters_that_were_made():
  random = np.random.default_rng(0)
  made = random.permutation(np.repeat([0, 1, 2], [20, 9, 4]))
  middles = 50 * np.eye(3)
  features = middles[made] + random.normal(size=(33, 3))
  patches = np.uint8(40 * made + random.integers(0, 3, 33))
  patches = np.broadcast_to(patches[:, None, None, None], (33, 2, 4, 3))
  found = jdeepvis.facets(patches, features, count=3)
  np.testing.assert_array_equal(found.label, made)
  assert found.means.shape == (3, 2, 4, 3)
  # Of the twenty only those nearest to their middle.
  own = features[made == 0]
  distance = np.linalg.norm(own - own.mean(axis=0), axis=1)
  nearest = patches[made == 0][np.argsort(distance)[:15], 0, 0, 0]
  assert found.means[0, 0, 0, 0] == round(nearest.mean())
  assert found.means[2, 0, 0, 0] == round(patches[made == 2].mean())


@pytest.mark.parametrize("count", [0, 3])
def test_no_more_facets_than_different_patches(count):
  patches = some(4, 2, 2, 3)
  features = np.float32([[0], [0], [1], [1]])
  with pytest.raises(jdeepvis.JdeepvisError, match="1 to 2 facets"):
    jdeepvis.facets(patches, features, count=count)
  with pytest.raises(jdeepvis.JdeepvisError, match="4 patches, 3 features"):
    jdeepvis.facets(patches, features[:3], count=1)
