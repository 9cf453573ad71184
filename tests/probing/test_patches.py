"""Patches against the original's rules, worked out by hand for CaffeNet."""

import dataclasses

import numpy as np
import pytest
import small_networks

from jdeepvis.networks.names import before_relu
from jdeepvis.networks.own import from_function
from jdeepvis.probing import backprop, patches

# kernel, stride, pad, map before and after: the original's own table.
CHAIN = [
  ("conv1", 11, 4, 0, 55),
  ("pool1", 3, 2, 0, 27),
  ("conv2", 5, 1, 2, 27),
  ("pool2", 3, 2, 0, 13),
  ("conv3", 3, 1, 1, 13),
  ("conv4", 3, 1, 1, 13),
  ("conv5", 3, 1, 1, 13),
  ("pool5", 3, 2, 0, 6),
]
EXTENTS = {
  "conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99,
  "conv4": 131, "conv5": 163, "pool5": 195, "fc6": 227, "fc8": 227,
}  # fmt: skip


def by_hand(layer, index):
  """Where a unit's field begins and ends along one axis, as `find_maxes`."""
  names = [name for name, *_ in CHAIN]
  start, end = index, index + 1
  for _, kernel, stride, pad, size in reversed(CHAIN[: names.index(layer) + 1]):
    start, end = max(start, 0), min(end, size)
    start, end = start * stride - pad, (end - 1) * stride + kernel - pad
  return max(start, 0), min(end, 227)


@pytest.mark.parametrize("layer", EXTENTS)
def test_canvases_are_the_originals(layer):
  find = patches.find_patches(small_networks.caffenet(), layer)
  assert find(0).canvas == (EXTENTS[layer],) * 2


@pytest.mark.parametrize("layer", [name for name, *_ in CHAIN])
def test_crops_are_the_originals(layer):
  find = patches.find_patches(small_networks.caffenet(), layer)
  size = {name: size for name, *_, size in CHAIN}[layer]
  extent = EXTENTS[layer]
  image = np.arange(1, 227 * 227 + 1).reshape(227, 227, 1)
  for row in (0, 1, size // 2, size - 1):
    for column in (0, 2, size - 2, size - 1):
      (top, bottom), (left, right) = by_hand(layer, row), by_hand(layer, column)
      wanted = np.zeros((extent, extent, 1), int)
      part = image[top:bottom, left:right]
      # At the image's start to the far side, else to the near one.
      rows = slice(extent - len(part), None) if top == 0 else slice(len(part))
      width = part.shape[1]
      columns = slice(extent - width, None) if left == 0 else slice(width)
      wanted[rows, columns] = part
      got = patches.cut(image, find(row * size + column), 0)
      np.testing.assert_array_equal(got, wanted)


def test_without_a_graph_patches_are_the_same():
  network = small_networks.classifier()
  apply = dataclasses.replace(network.apply, plain=True)
  bare = from_function(apply, network.params, network.input, output="scores")
  for cell in (0, 5, 17):
    patch = patches.find_patches(bare, "conv1")(cell)
    assert patch == patches.find_patches(network, "conv1")(cell)
  whole = patches.find_patches(bare, "scores")(0)
  assert whole.field == (0, 0, 33, 33) and whole.canvas == (33, 33)


@pytest.mark.parametrize("layer", ["conv2", "prob"])
def test_a_viewer_seeds_one_cell(layer):
  network = small_networks.classifier()
  rng = np.random.default_rng(0)
  images = np.float32(rng.normal(0, 60, (3, 33, 33, 3)))
  units = np.array([1, 8, 5])
  shape = network.shapes[layer]
  cells = np.array([0, 9, 20]) % np.prod(shape[:2])
  viewer = patches.Viewer(network, layer, batch=4)
  for rule in backprop.RULES:
    views, values = viewer(rule, images, units, cells)
    seed = np.zeros((3, *shape), np.float32)
    for i in range(3):
      seed[i].reshape(-1, shape[-1])[cells[i], units[i]] = 1
    wanted = backprop.backward(network, images, layer, seed, rule=rule)
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(views, wanted, atol=1e-6)
    blob = before_relu(network, layer)
    seen = np.asarray(network(images)[blob])
    np.testing.assert_allclose(
      values,
      (seen * seed).sum(axis=tuple(range(1, seen.ndim))),
      rtol=1e-5,
      atol=1e-5,
    )
