"""Operations against those of loops written out, and XLA's own count."""

import jax
import numpy as np
import pytest
import small_networks

from jdeepvis.networks.operations import count_operations
from jdeepvis.networks.tables import conv, dense, layer


def test_squeezenet_and_a_gradient_by_hand(squeezenet):
  counts = count_operations(squeezenet)
  # 113 x 113 cells, 64 channels, 3 x 3 x 3 weights each.
  assert counts["conv1"] == 2 * 113 * 113 * 64 * 27
  assert counts["conv10"] == 2 * 14 * 14 * 512 * 1000
  # The paper's second version: "2.4 times less" than 1.72 GFLOPS of 1.0.
  assert sum(counts.values()) == pytest.approx(0.72e9, rel=0.1)
  until = count_operations(squeezenet, "fire2/squeeze1x1")
  assert list(until) == ["conv1", "fire2/squeeze1x1"]


def test_groups_and_vectors():
  table = (
    *conv("conv", "data", 8, 3, stride=2, groups=2),
    *dense("fc6", "conv", 5),
    *layer("prob", "softmax", "fc6"),
  )
  network = small_networks.random_network(table, (9, 7, 4))
  # 4 x 3 cells, each of 8 outputs sees half of 4 inputs.
  assert count_operations(network) == {
    "conv": 2 * 12 * 8 * 9 * 2,
    "fc6": 2 * 12 * 8 * 5,
  }


def test_no_more_than_xla_counts():
  """XLA counts the rectifiers too, and no products with the padding."""
  network = small_networks.caffenet()
  image = np.zeros((1, *network.input.shape), np.float32)
  lowered = jax.jit(network.apply).lower(network.params, image)
  told = lowered.compile().cost_analysis()["flops"]
  counted = sum(count_operations(network).values())
  assert 0.8 * told < counted < 1.2 * told
