"""Boxes from saliency: known things, cuts by brute force, real photographs."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from jdeepvis.networks import classify
from jdeepvis.networks.pictures import preprocess, read_picture, to_pixels
from jdeepvis.networks.regions import Rectangle
from jdeepvis.networks.zoo import third_party
from jdeepvis.probing import backprop, localisation
from jdeepvis.types import JdeepvisError


def scene(box, size=(90, 120), seed=0):
  """A reddish thing on greenish ground, and grainy saliency within it."""
  random = np.random.default_rng(seed)
  thing = np.zeros(size, bool)
  thing[box.slices] = True
  colours = np.where(thing[..., None], (180, 60, 50), (60, 140, 70))
  pixels = np.clip(random.normal(colours, 12), 0, 255).astype(np.uint8)
  saliency = random.exponential(np.where(thing, 5.0, 1.0))
  return pixels, saliency


@pytest.mark.parametrize(
  "box", [Rectangle(20, 30, 60, 90), Rectangle(0, 0, 50, 40)]
)
def test_a_thing_of_its_own_colours_is_found_whole(box):
  """Though only a fifth of it or so is among the most salient pixels."""
  found = localisation.localise(*scene(box))
  np.testing.assert_allclose(found.box, box, atol=1)
  inside = found.mask[box.slices]
  assert inside.mean() > 0.98
  assert found.mask.sum() - inside.sum() < 0.02 * inside.size


def test_of_two_things_the_larger_is_the_answer():
  box, other = Rectangle(20, 20, 60, 60), Rectangle(30, 90, 50, 110)
  pixels, saliency = scene(box)
  again, more = scene(other, seed=1)
  pixels[other.slices] = again[other.slices]
  saliency[other.slices] = more[other.slices]
  found = localisation.localise(pixels, saliency)
  np.testing.assert_allclose(found.box, box, atol=1)


def test_grey_pictures_have_things_too():
  box = Rectangle(20, 30, 60, 90)
  pixels, saliency = scene(box)
  found = localisation.localise(pixels[..., :1], saliency)
  np.testing.assert_allclose(found.box, box, atol=1)


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_is_the_smallest_of_all(seed):
  random = np.random.default_rng(seed)
  colours = random.uniform(0, 255, (3, 4, 3))
  evidence = random.normal(0, 60, (3, 4))
  evidence[0, 0], evidence[2, 3] = np.inf, -np.inf
  square = {}
  for (y, x), (b, a) in itertools.combinations(np.ndindex(3, 4), 2):
    if max(abs(y - b), abs(x - a)) == 1:
      gap = np.sum((colours[y, x] - colours[b, a]) ** 2)
      square[(y, x), (b, a)] = gap, np.hypot(y - b, x - a)
  spread = 2 * np.mean([gap for gap, _ in square.values()])

  def energy(mask):
    cost = -np.sum(evidence[mask & np.isfinite(evidence)])
    for (one, other), (gap, far) in square.items():
      if mask[one] != mask[other]:
        cost += 50 * np.exp(-gap / spread) / far
    return cost

  masks = np.array(list(itertools.product([False, True], repeat=12)))
  masks = masks.reshape(-1, 3, 4)
  masks = masks[masks[:, 0, 0] & ~masks[:, 2, 3]]
  best = min(masks, key=energy)
  np.testing.assert_array_equal(localisation.cut(colours, evidence), best)


def test_parts_hang_together_by_their_sides():
  mask = np.array(
    [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], bool
  )
  part = localisation.largest_part(mask)
  np.testing.assert_array_equal(np.argwhere(part), [[1, 2], [2, 2], [2, 3]])
  assert localisation.bounding_box(part) == Rectangle(1, 2, 3, 4)
  nothing = np.zeros((2, 2), bool)
  np.testing.assert_array_equal(localisation.largest_part(nothing), nothing)


def test_what_shows_no_thing_is_refused():
  pixels = np.zeros((20, 30, 3), np.uint8)
  with pytest.raises(JdeepvisError, match="shows no object"):
    localisation.localise(pixels, np.zeros((20, 30)))
  with pytest.raises(JdeepvisError, match=r"\(3, 3\), the picture \(20, 30\)"):
    localisation.localise(pixels, np.zeros((3, 3)))


def test_espresso_is_in_the_cup(squeezenet):
  photo = read_picture(third_party() / "photos" / "coffee.jpg")
  image = preprocess(photo, squeezenet.input)
  first = classify.probabilities(squeezenet, image[None]).argmax(axis=1)
  assert squeezenet.labels[int(first[0])] == "espresso"
  saliency = backprop.saliency(squeezenet, image[None], jnp.asarray(first))
  shown = to_pixels(image, squeezenet.input)
  box = localisation.localise(shown, np.asarray(saliency[0])).box
  # The cup's inside is within these, seen by eye.
  assert 10 <= box.top <= 70 and 100 <= box.bottom <= 140
  assert 50 <= box.left <= 90 and 130 <= box.right <= 170
