"""Batches that fit the memory, fill the devices and leave no place empty."""

import pytest
import small_networks

from jdeepvis.networks.crop import crop
from jdeepvis.networks.tables import conv, dense
from jdeepvis.synthesis.batch_size import choose_batch


def test_batch_follows_the_free_memory(squeezenet):
  def batch(free):
    return choose_batch(
      squeezenet,
      "scores",
      wanted=1024,
      free_bytes=free,
      devices=2,
      busy=64 * 1_150_000_000,
    )

  assert batch(0) == 2
  # A gradient takes 1.15 Gflop, conv10 being one product behind the mean.
  assert batch(10**12) == 128
  sizes = [batch(free * 10**9) for free in (1, 2, 4, 8)]
  assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
  assert all(size % 2 == 0 for size in sizes)


def test_a_layer_counts_with_all_that_is_computed_before_it(squeezenet):
  """conv1 takes 1.8 million values: the image, the sums and what is rectified.

  `conv1/pre` comes before it, though not in the alphabet.
  """
  values = 227 * 227 * 3 + 2 * 113 * 113 * 64
  # Four bytes a value, forward, backward and in between; see `choose_batch`.
  picture = 4 * 3 * (values + 12 * 227 * 227 * 3)

  def batch(pictures):
    room = {
      "free_bytes": int(2 * pictures * picture),
      "devices": 1,
      "busy": 10**12,
    }
    return choose_batch(squeezenet, "conv1", wanted=8, **room)

  assert (batch(8), batch(7.99)) == (8, 4)


def test_small_pictures_fill_a_device_together(squeezenet):
  def batch(layer):
    small = crop(squeezenet, layer)
    room = {"free_bytes": 10**12, "devices": 2, "busy": 20_000_000}
    return choose_batch(small, layer, wanted=2 * 49 * 15, **room)

  # 15 x 15 pixels, 0.4 Mflop a step; 23 x 23, 1.4; 111 x 111, 103.
  sizes = [batch(f"fire{n}/expand3x3") for n in (2, 3, 6)]
  assert sizes == [2 * 49, 2 * 15, 2]


@pytest.mark.parametrize("wanted", [1, 2, 7, 8, 9, 40, 41, 999])
@pytest.mark.parametrize("free", [2 * 10**7, 10**12])
def test_batches_are_full(squeezenet, wanted, free):
  """Three of fire4 keep a device busy; four at once are better than 3 + 1."""
  small = crop(squeezenet, "fire4/expand3x3")
  room = {"free_bytes": free, "devices": 2, "busy": 3 * 10_400_000}
  size = choose_batch(small, "fire4/expand3x3", wanted=wanted, **room)
  batches = -(-wanted // size)
  assert size % 2 == 0 and size <= 2 * (2 if free < 10**8 else 4)
  # One place a device and batch can be left, and one for an odd number.
  assert size * batches - wanted <= 2 * (batches - 1) + 1


def test_batch_shares_large_weights_among_the_pictures_wanted(squeezenet):
  def batch(network, layer, wanted=999):
    room = {"free_bytes": 10**12, "devices": 2, "busy": 1}
    return choose_batch(network, layer, wanted=wanted, **room)

  assert batch(squeezenet, "scores") == 2
  table = (*conv("conv", "data", 8, 3), *dense("fc6", "conv", 500))
  network = small_networks.random_network(table, (33, 33, 3))
  # A convolution's weights meet many cells. A dense one is four bytes for two
  # operations, the time of 18: nine tenths of them are shared by 90 pictures.
  assert batch(network, "conv") == 2
  assert 2 * 80 <= batch(network, "fc6") <= 2 * 90
  assert batch(network, "fc6", wanted=5) == 6
