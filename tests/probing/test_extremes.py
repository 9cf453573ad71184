"""Extreme patches against maps looked through by hand."""

import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks.pictures import preprocess
from jdeepvis.probing.extremes import extreme_patches


@pytest.fixture(scope="module")
def photos():
  return np.random.default_rng(0).integers(0, 256, (9, 27, 27, 3), np.uint8)


def test_patches_are_where_a_unit_answers_most_and_least(photos):
  network, units = small_networks.judge(), [4, 1]
  found = extreme_patches(network, photos, "conv2", units, count=3)
  images = np.stack([preprocess(one, network.input) for one in photos])
  maps = np.asarray(network(images)["conv2/pre"])
  for row, unit in enumerate(units):
    most = maps[..., unit].max(axis=(1, 2))
    least = maps[..., unit].min(axis=(1, 2))
    strong = np.argsort(-most)[:3]
    np.testing.assert_allclose(found.strong_value[row], most[strong], rtol=1e-4)
    rest = np.setdiff1d(np.arange(9), strong)
    weak = rest[np.argsort(least[rest])[:3]]
    np.testing.assert_allclose(found.weak_value[row], least[weak], rtol=1e-4)
    for number, photo in enumerate(strong):
      cell = np.unravel_index(maps[photo, ..., unit].argmax(), maps.shape[1:3])
      cell = tuple(map(int, cell))
      field = jdeepvis.receptive_field(network, "conv2", cell)
      patch = found.strong[row, number]
      own = photos[photo, field.top : field.bottom, field.left : field.right]
      if patch.shape == own.shape:
        np.testing.assert_array_equal(patch, own)
      else:  # at the edge: more of the photograph, on the other side
        top = min(field.top, 27 - patch.shape[0])
        left = min(field.left, 27 - patch.shape[1])
        height, width = patch.shape[:2]
        whole = photos[photo, top : top + height, left : left + width]
        np.testing.assert_array_equal(patch, whole)


def test_too_few_photographs_are_refused(photos):
  network = small_networks.judge()
  with pytest.raises(jdeepvis.JdeepvisError, match="10 or more; there are 9"):
    extreme_patches(network, photos, "conv2", [0], count=5)
