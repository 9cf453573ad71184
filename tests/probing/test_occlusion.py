"""Occlusion against covering by hand, one image at a time."""

import itertools

import jax
import numpy as np
import pytest
import small_networks

from jdeepvis.networks import own
from jdeepvis.networks.network import InputSpec
from jdeepvis.probing import occlusion
from jdeepvis.types import JdeepvisError


@pytest.fixture(scope="module")
def network():
  return small_networks.classifier()


@pytest.fixture(scope="module")
def image(network):
  return np.random.default_rng(0).normal(0, 50, network.input.shape)


def by_hand(network, image, layer, position, size, stride):
  """Squares cut out with slices in a loop."""
  height, width, _ = image.shape
  downs, rights = (
    range(stride // 2, height, stride),
    range(stride // 2, width, stride),
  )
  covered = np.stack([image] * (len(downs) * len(rights)))
  for i, (down, right) in enumerate(itertools.product(downs, rights)):
    top, left = down - size // 2, right - size // 2
    covered[i, max(0, top) : top + size, max(0, left) : left + size] = 0
  values = np.asarray(network(covered)[layer])[..., 4]
  values = values[:, *position] if position else values.sum(axis=(1, 2))
  return values.reshape(len(downs), len(rights))


@pytest.mark.parametrize(
  ("layer", "position"),
  [("prob", None), ("conv2", None), ("conv2/pre", (2, 3)), ("output", None)],
)
@pytest.mark.parametrize(("size", "stride", "batch"), [(9, 8, 4), (6, 11, 16)])
def test_it_is_covering_by_hand(
  network, image, layer, position, size, stride, batch
):
  image = np.float32(image)
  values = occlusion.occlude(
    network,
    image,
    layer,
    4,
    position=position,
    size=size,
    stride=stride,
    batch=batch,
  )
  expected = by_hand(
    network, image, layer.replace("output", "scores"), position, size, stride
  )
  assert values.shape == expected.shape
  assert len(np.unique(expected)) > 1
  np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4)


def test_what_lies_elsewhere_changes_nothing(network, image):
  """A square that a cell cannot see leaves its value to the bit."""
  image = np.float32(image)
  cell = {"layer": "conv2", "unit": 3, "position": (0, 0)}
  whole = occlusion.value(network, image, **cell)
  values = occlusion.occlude(network, image, **cell, size=3, stride=8)
  assert values[-1, -1] == whole
  assert np.any(values != whole)


def test_a_bare_sum_loses_what_is_covered():
  """Closed form: a mean over pixels of 1 loses each covered pixel's share."""
  bare = own.from_function(
    lambda params, images: {"mean": images.mean(axis=(1, 2, 3))[:, None]},
    {},
    input=InputSpec((10, 12, 3), np.zeros(3, np.float32)),
    output="mean",
  )
  image = np.ones((10, 12, 3), np.float32)
  values = occlusion.occlude(bare, image, "mean", 0, size=4, stride=5)
  # Middles at 2 and 7 down, 2, 7 and 12 - 5 + ... across: 2, 7.
  lost = 1 - np.asarray(values)
  assert lost.shape == (2, 2)
  np.testing.assert_allclose(lost, 16 / 120, rtol=1e-5)
  corner = occlusion.occlude(bare, image, "mean", 0, size=7, stride=5)
  # Rows -1..5 and 4..10 of 10, columns -1..5 and 4..10 of 12.
  sides = np.outer([6, 6], [6, 7]) / 120
  np.testing.assert_allclose(1 - np.asarray(corner), sides, rtol=1e-5)


@pytest.mark.parametrize(
  ("changes", "reported"),
  [
    ({"layer": "conv9"}, "no layer 'conv9'"),
    ({"unit": 9}, "units 0 to 8, so not 9"),
    ({"position": (5, 0)}, "positions"),
    ({"size": 0}, "Size 0"),
    ({"stride": 0}, "stride 0"),
  ],
)
def test_what_is_not_there_is_refused(network, image, changes, reported):
  asked = {"layer": "prob", "unit": 4, **changes}
  with pytest.raises(JdeepvisError, match=reported):
    occlusion.occlude(network, np.float32(image), **asked)


def test_units_and_images_share_a_program(network, image):
  occlusion._occlude.clear_cache()
  for unit in (1, 2):
    for size in (5, 8):
      occlusion.occlude(
        network, np.float32(image) * unit, "conv2", unit, size=size
      )
  assert occlusion._occlude._cache_size() == 1
  jax.block_until_ready(occlusion.value(network, np.float32(image), "prob", 1))
