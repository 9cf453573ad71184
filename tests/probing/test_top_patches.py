"""The running top-k against a brute-force pass in NumPy."""

import functools

import jax
import numpy as np
import pytest
import small_networks
from small_networks import random_network

from jdeepvis.networks.tables import conv
from jdeepvis.probing import top_patches

LAYERS = ("a", "b")


def brute_force(values, images, k):
  """Sorts all images of each unit by (-value, number): `[u, k]` each."""
  rows = []
  for unit in range(values.shape[-1]):
    ranked = []
    for number, one in zip(images, values[..., unit], strict=True):
      best, place = -np.inf, None
      for cell, value in enumerate(one.ravel()):
        if value > best:
          best, place = value, cell
      if place is not None:
        ranked.append((-best, number, place))
    ranked = [(-s, n, c) for s, n, c in sorted(ranked)[:k]]
    rows.append(ranked + [(-np.inf, -1, -1)] * (k - len(ranked)))
  score, image, cell = np.moveaxis(np.array(rows), 2, 0)
  return np.float32(score), np.int32(image), np.int32(cell)


def make_values(seed, n, *, coarse):
  rng = np.random.default_rng(seed)
  draw = (
    rng.integers(-2, 3, (n, 4, 5, 7))
    if coarse
    else rng.normal(0, 1, (n, 4, 5, 7))
  )
  return {"a": np.float32(draw), "b": np.float32(draw[:, 0, 0, :3] * -1)}


@functools.partial(jax.jit, static_argnames="bottom")
def step(survey, blobs, images, bottom):
  low = top_patches.peaks(blobs, LAYERS, -1) if bottom else None
  return top_patches.update(
    survey, top_patches.peaks(blobs, LAYERS), low, images
  )


def run(blobs, images, batch, k, bottom=0):
  survey = top_patches.begin(10, k, bottom)
  for first in range(0, len(images), batch):
    part = slice(first, first + batch)
    missing = batch - len(images[part])
    padded = {
      name: np.pad(
        values[part],
        [(0, missing)] + [(0, 0)] * (values.ndim - 1),
        constant_values=99,
      )
      for name, values in blobs.items()
    }
    numbers = np.pad(images[part], (0, missing), constant_values=-1)
    survey = step(survey, padded, numbers, bool(bottom))
  return jax.tree.map(np.asarray, survey)


def check(survey, blobs, images, k, bottom=0):
  split = {"a": slice(0, 7), "b": slice(7, 10)}
  for name, units in split.items():
    wanted = brute_force(blobs[name], images, k)
    for got, want in zip(survey.top, wanted, strict=True):
      np.testing.assert_array_equal(got[units], want)
    wanted = brute_force(-blobs[name], images, bottom) if bottom else ()
    for got, want in zip(survey.bottom, wanted, strict=bool(bottom)):
      np.testing.assert_array_equal(got[units], want)


@pytest.mark.parametrize("coarse", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("batch", [1, 4, 50])
def test_bit_equal_to_brute_force(coarse, batch):
  blobs, images = (
    make_values(0, 23, coarse=coarse),
    np.arange(23, dtype=np.int32),
  )
  for k, bottom in ((1, 0), (9, 3), (30, 30)):
    check(run(blobs, images, batch, k, bottom), blobs, images, k, bottom)


@pytest.mark.parametrize("coarse", [False, True], ids=["distinct", "ties"])
def test_parts_merge_exactly_in_any_order(coarse):
  blobs, images = (
    make_values(1, 40, coarse=coarse),
    np.arange(40, dtype=np.int32),
  )
  parts = [
    run({n: v[i::3] for n, v in blobs.items()}, images[i::3], 4, 9, 2)
    for i in range(3)
  ]
  whole = run(blobs, images, 4, 9, 2)
  for order in ((0, 1, 2), (2, 0, 1)):
    merged = top_patches.merge([parts[i] for i in order])
    jax.tree.map(np.testing.assert_array_equal, merged, whole)
  check(merged, blobs, images, 9, 2)


def test_what_is_no_number_counts_for_nothing():
  blobs, images = make_values(2, 6, coarse=False), np.arange(6, dtype=np.int32)
  for values in blobs.values():
    values[2] = np.nan
    values[4] = -np.inf
  survey = run(blobs, images, 3, 9)
  kept = set(survey.top.image.ravel().tolist())
  assert kept == {-1, 0, 1, 3, 5}
  assert (survey.top.score[survey.top.image < 0] == -np.inf).all()


def test_the_histogram_is_numpys():
  rng = np.random.default_rng(0)
  scale = 10.0 ** rng.uniform(-6, 6, (500, 1, 1, 1))
  a = np.float32(rng.normal(0, 1, (500, 1, 1, 7)) * scale)
  a[:9, ..., 0] = np.reshape(
    [0, -0.0, 1, 1.5, 2, -1, -1.5, 3, 1e-30], (9, 1, 1)
  )
  blobs = {"a": a, "b": a[:, 0, 0, :3]}
  survey = run(blobs, np.arange(500, dtype=np.int32), 64, 3)
  above = top_patches.bin_edges()
  assert above[32] == 1 and above[33] == 1.5 and above[34] == 2
  for unit in range(7):
    values = a[..., unit].ravel()
    for sign, got in (
      (1, survey.histogram[unit, 65:]),
      (-1, survey.histogram[unit, 63::-1]),
    ):
      mine = np.float64(values[values * sign > 0] * sign)
      edges = np.concatenate([[0], above[1:], [np.inf]])
      np.testing.assert_array_equal(got, np.histogram(mine, edges)[0])
    assert survey.histogram[unit, 64] == (values == 0).sum()
  assert (survey.histogram.sum(1) == 500).all()


def test_a_histogram_in_words():
  counts = np.asarray(
    jax.numpy.zeros(top_patches.BINS, int)
    .at[top_patches.bin_of(np.float32([0, 1.7, 1.5, -3, 1e9, 1e-9]))]
    .add(1)
  )
  assert top_patches.spell_histogram(counts) == [
    (-4, -3, 1),
    (0, 0, 1),
    (0, 1.5 * 2**-16, 1),
    (1.5, 2, 2),
    (1.5 * 2**15, np.inf, 1),
  ]


def test_a_networks_units_are_those_of_its_activations():
  network = small_networks.classifier()
  layers = top_patches.probed_layers(network)
  assert layers == (
    "conv1", "pool1", "conv2", "conv10", "scores", "pool10", "prob",
  )  # fmt: skip
  rng = np.random.default_rng(0)
  pixels = np.float32(rng.normal(0, 60, (12, *network.input.shape)))
  slices = top_patches.layer_slices(network, layers)
  survey = top_patches.begin(slices["prob"].stop, 5, 2)
  run = jax.jit(lambda network, pixels: network(pixels))
  blobs = []
  for first in (0, 4, 8):
    images = np.arange(first, first + 4, dtype=np.int32)
    survey = _look(network, layers, survey, pixels[first : first + 4], images)
    blobs.append(run(network, pixels[first : first + 4]))

  def agree(found, name, units, k, sign=1):
    """Two programs: what is said of a place holds there, but for rounding."""
    values = np.concatenate([np.asarray(part[name]) for part in blobs])
    score, *_ = brute_force(sign * values, np.arange(12), k)
    near = {"rtol": 1e-4, "atol": 1e-4 * np.abs(score).max()}
    np.testing.assert_allclose(found.score[units], score, **near)
    cells = sign * values.reshape(12, -1, score.shape[0])
    rows = np.arange(score.shape[0])[:, None]
    there = cells[found.image[units], found.cell[units], rows]
    np.testing.assert_allclose(there, score, **near)

  for name in layers:
    agree(survey.top, name, slices[name], 5)
  agree(survey.bottom, "conv2/pre", slices["conv2"], 2, sign=-1)


_look = jax.jit(top_patches.look, static_argnums=1)


def test_one_unit_that_never_fires_has_scores_of_zero():
  network = random_network(conv("conv", "data", 1, 1), (3, 3, 1))
  params = {
    "conv": {
      "kernel": np.zeros((1, 1, 1, 1), np.float32),
      "bias": np.float32([-1]),
    }
  }
  network = network.replace(params=params)
  pixels = np.ones((2, 3, 3, 1), np.float32)
  survey = _look(
    network,
    ("conv",),
    top_patches.begin(1, 3),
    pixels,
    np.arange(2, dtype=np.int32),
  )
  np.testing.assert_array_equal(survey.top.score, [[0, 0, -np.inf]])
  np.testing.assert_array_equal(survey.top.image, [[0, 1, -1]])
