"""Inversion: NumPy's descent, closed forms, a real layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

from jdeepvis.networks import own
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.zoo import third_party
from jdeepvis.synthesis import inversion
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.types import JdeepvisError

SHAPE = (6, 7, 3)


def energy_by_hand(values, code, image, mask, variation):
  """The formula in loops, as the authors' program has it."""
  first = np.sum(mask * (values - code) ** 2) / np.sum(mask * code**2)
  height, width, channels = image.shape
  total = 0.0
  for y in range(height):
    for x in range(width):
      for c in range(channels):
        if y + 1 < height:
          total += (image[y + 1, x, c] - image[y, x, c]) ** 2
        if x + 1 < width:
          total += (image[y, x + 1, c] - image[y, x, c]) ** 2
  sigma = 66 * np.sqrt(image.size)
  priors = (8e-10 * np.sum(image**6) + variation * total) / 2
  return first + priors / sigma**2, np.sqrt(first)


@pytest.mark.parametrize("variation", [0.0, 1.0, 100.0])
def test_the_energy_is_the_papers(variation):
  random = np.random.default_rng(0)
  values, code = random.normal(size=(2, 5, 4))
  mask = random.integers(0, 2, (5, 4)).astype(np.float64)
  image = random.normal(0, 60, SHAPE)
  reported = inversion.energy(
    values, code, jnp.asarray(image), mask=mask, total_variation=variation
  )
  expected = energy_by_hand(values, code, image, mask, variation)
  np.testing.assert_allclose(reported, expected, rtol=1e-5)


def test_the_descent_is_the_authors():
  """Against their loop in NumPy, momentum dropped at each fall of the rate."""
  curvature = np.float32([0.3, 2.0, 0.01])

  def score(key, image):
    return -0.5 * jnp.sum(curvature[None, None] * image**2)

  steps, scale = 40, 25.0
  state, history = ascend(
    jax.random.key(0),
    score,
    inversion.restarted_momentum(scale, steps),
    jnp.ones((1, 1, 3)),
    steps=steps,
  )
  x, m, before, path = np.ones(3), np.zeros(3), 0.0, []
  for t in range(steps):
    path.append(x)
    rate = 0.004 * (1 if t < 10 else 0.1 if t < 30 else 0.01)
    if rate != before:
      m, before = np.zeros(3), rate
    m = 0.9 * m - rate * scale * curvature * x
    x = x + m
  np.testing.assert_allclose(state.last.image[0, 0], path[-1], rtol=1e-4)
  scores = [-0.5 * np.sum(curvature * x**2) for x in path]
  np.testing.assert_allclose(history["score"], scores, rtol=1e-4)


def linear(matrix):
  """A network that is one matrix."""
  return own.from_function(
    lambda params, images: {
      "code": images.reshape(len(images), -1) @ params["code"]["kernel"]
    },
    {"code": {"kernel": matrix}},
    input=InputSpec(SHAPE, np.full(3, 127.5, np.float32)),
    output="code",
  )


def test_a_code_that_tells_all_gives_the_image_back():
  random = np.random.default_rng(1)
  basis, _ = np.linalg.qr(random.normal(size=(126, 126)))
  network = linear(np.float32(basis))
  smooth = np.clip(np.cumsum(random.normal(0, 6, SHAPE), axis=1), -60, 60)
  image = np.float32(smooth - smooth.mean())
  code = inversion.code_of(network, "code", image)
  np.testing.assert_allclose(
    code, image.reshape(-1) @ basis, rtol=1e-3, atol=1e-3
  )
  state, history = inversion.invert(
    network, "code", code, key=jax.random.key(0), total_variation=0.0
  )
  # Along each direction alike: the way to the code is known in closed form.
  gap = np.linalg.norm(state.last.image - image) / np.linalg.norm(image)
  assert history["error"][-1] == pytest.approx(gap, abs=1e-4)
  assert gap < 0.05 < 1 < history["error"][0]


def test_only_what_the_mask_lets_through_is_matched():
  random = np.random.default_rng(2)
  basis, _ = np.linalg.qr(random.normal(size=(126, 8)))
  network = linear(np.float32(basis))
  image = np.float32(random.normal(0, 40, SHAPE))
  code = np.asarray(inversion.code_of(network, "code", image))
  units = np.argsort(np.abs(code))[-2:].tolist()
  mask = inversion.code_mask((8,), units=units)
  np.testing.assert_array_equal(np.flatnonzero(mask), sorted(units))
  state, _ = inversion.invert(
    network,
    "code",
    code,
    key=jax.random.key(0),
    mask=mask,
    total_variation=0.0,
  )
  reached = inversion.code_of(network, "code", state.last.image)
  off = np.abs(reached - code) / np.linalg.norm(code)
  assert off[units].max() < 0.02 < off[mask == 0].max()


@pytest.mark.parametrize(
  ("cells", "side", "counts"),
  [(9, 3, [3, 4, 5]), (8, 2, [3, 4]), (4, 9, [0, 1, 2, 3]), (7, 1, [3])],
)
def test_a_neighbourhood_is_in_the_middle(cells, side, counts):
  mask = inversion.code_mask((cells, cells, 2), side=side)
  rows = np.flatnonzero(mask.any(axis=(1, 2)))
  np.testing.assert_array_equal(rows, counts)
  assert mask.sum() == 2 * len(counts) ** 2


def test_strengths_rise_with_depth(squeezenet):
  names = ["conv1", "pool1", "fire4/concat", "fire8/concat", "conv10", "scores"]
  reported = [inversion.usual_variation(squeezenet, name) for name in names]
  assert reported == [1.0, 1.0, 10.0, 100.0, 100.0, 100.0]
  assert inversion.usual_variation(linear(np.eye(126)), "code") == 10.0


def test_what_cannot_be_inverted_is_refused():
  network = small_networks.classifier()
  key = jax.random.key(0)
  with pytest.raises(JdeepvisError, match=r"shape \(16, 16, 8\), not \(3,\)"):
    inversion.invert(network, "conv1", np.ones(3, np.float32), key=key)
  code = np.zeros(network.shapes["conv1"], np.float32)
  with pytest.raises(JdeepvisError, match="zero wherever it counts"):
    inversion.invert(network, "conv1", code, key=key)
  with pytest.raises(JdeepvisError, match="no unit 8"):
    inversion.code_mask((3, 3, 8), units=[8])


def test_seeds_differ_and_repeat():
  network = small_networks.classifier()
  photo = read_picture(third_party() / "photos" / "chelsea.jpg")
  image = preprocess(photo, network.input)
  code = inversion.code_of(network, "conv2", image)
  made = [
    inversion.invert(network, "conv2", code, key=jax.random.key(seed), steps=40)
    for seed in (0, 1, 0)
  ]
  first, second, again = (np.asarray(one.last.image) for one, _ in made)
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - second).mean() > 1
  for _, history in made:
    errors = history["error"]
    assert errors[-1] < 0.5 * errors[0]
