"""All units of the bundled network on real photographs, and hand-made sums."""

import jax
import numpy as np
import pytest

from jdeepvis.probing import images, scan, top_patches

pytestmark = [pytest.mark.slow, pytest.mark.optimised]
BATCH = 8


def test_every_unit_is_bit_equal_to_brute_force(shared_data, squeezenet):
  """The same activations, ranked and placed by NumPy alone."""
  listing = images.list_images(shared_data / "photos")
  assert len(listing.names) == 100
  layers = top_patches.probed_layers(squeezenet)
  for progress in scan.scan(
    squeezenet, layers, listing, k=9, per_device=BATCH, workers=2
  ):
    last = progress
  top = last.collect().survey.top
  assert not (top.image < 0).any()

  run = jax.jit(lambda network, x: network(x, until=layers))
  peaks = {name: [] for name in layers}
  cells = {name: [] for name in layers}
  for first in range(0, 100, BATCH):
    numbers = range(first, min(first + BATCH, 100))
    pixels = np.zeros((BATCH, *squeezenet.input.shape), np.float32)
    for place, number in enumerate(numbers):
      pixels[place] = images.read_image(listing, number, squeezenet.input)[0]
    blobs = run(squeezenet, pixels)
    for name in layers:
      values = np.asarray(blobs[name])[: len(numbers)]
      values = values.reshape(len(numbers), -1, values.shape[-1])
      peaks[name].append(values.max(1))
      cells[name].append(values.argmax(1))
  slices = top_patches.layer_slices(squeezenet, layers)
  for name in layers:
    score, cell = np.concatenate(peaks[name]), np.concatenate(cells[name])
    order = np.argsort(-score, axis=0, kind="stable")[:9]
    mine = jax.tree.map(lambda leaf, name=name: leaf[slices[name]], top)
    np.testing.assert_array_equal(
      mine.score, np.take_along_axis(score, order, 0).T, err_msg=name
    )
    np.testing.assert_array_equal(mine.image, order.T, err_msg=name)
    np.testing.assert_array_equal(
      mine.cell, np.take_along_axis(cell, order, 0).T, err_msg=name
    )


def test_other_batches_find_the_same_images(shared_data, squeezenet):
  listing = images.list_images(shared_data / "photos")
  layers = ("fire5/concat", "scores")
  tops = []
  for per_device in (8, 5):
    for progress in scan.scan(
      squeezenet, layers, listing, k=9, per_device=per_device, workers=2
    ):
      last = progress
    tops.append(last.collect().survey.top)
  one, other = tops
  gaps = np.abs(np.diff(one.score, axis=1))
  apart = (gaps > 1e-3).all(1)
  assert apart.mean() > 0.8
  np.testing.assert_array_equal(one.image[apart], other.image[apart])
