"""Operations against those of loops written out, and XLA's own count."""

import jax
import numpy as np
import pytest
import small_networks

from jdeepvis.networks.flops import count_flops
from jdeepvis.networks.tables import conv, dense, layer


def test_squeezenet_and_a_gradient_by_hand(squeezenet):
  counts = count_flops(squeezenet)
  # 113 x 113 cells, 64 channels, 3 x 3 x 3 weights each.
  assert counts["conv1"] == 2 * 113 * 113 * 64 * 27
  assert counts["conv10"] == 2 * 14 * 14 * 512 * 1000
  # The paper's second version: "2.4 times less" than 1.72 GFLOPS of 1.0.
  assert sum(counts.values()) == pytest.approx(0.72e9, rel=0.1)
  until = count_flops(squeezenet, "fire2/squeeze1x1")
  assert list(until) == ["conv1", "fire2/squeeze1x1"]


def test_groups_and_vectors():
  table = (
    *conv("conv", "data", 8, 3, stride=2, groups=2),
    *dense("fc6", "conv", 5),
    *layer("prob", "softmax", "fc6"),
  )
  network = small_networks.random_network(table, (9, 7, 4))
  # 4 x 3 cells, each of 8 outputs sees half of 4 inputs.
  assert count_flops(network) == {
    "conv": 2 * 12 * 8 * 9 * 2,
    "fc6": 2 * 12 * 8 * 5,
  }


def test_no_more_than_xla_counts():
  """XLA counts the rectifiers too, and no products with the padding."""
  network = small_networks.caffenet()
  image = np.zeros((1, *network.input.shape), np.float32)
  lowered = jax.jit(lambda network, image: network(image)).lower(network, image)
  reported = lowered.compile().cost_analysis()["flops"]
  counted = sum(count_flops(network).values())
  assert 0.8 * reported < counted < 1.2 * reported


def test_a_mean_of_a_convolution_is_the_convolution_of_a_mean():
  """Value, gradient and count; and what is given is taken as it is."""
  network = small_networks.classifier()
  shape = (2, *network.input.shape)
  images = np.random.default_rng(0).normal(0, 30, shape).astype(np.float32)

  def written_out(images):
    return network(images)["conv10/pre"].mean((1, 2))[0]

  def fewer(images):
    return network(images)["scores"][0, 0, 0]

  np.testing.assert_allclose(fewer(images), written_out(images), rtol=1e-4)
  got, expected = (
    jax.grad(lambda x, f=function: f(x)[3])(images)
    for function in (fewer, written_out)
  )
  np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())

  until = count_flops(network, "scores")
  assert until["conv10"] == 2 * 12 * 9
  assert count_flops(network)["conv10"] > until["conv10"]
  assert count_flops(network, "prob")["conv10"] > until["conv10"]

  given = {"conv10/pre": np.full((2, 3, 4, 9), 5, np.float32)}
  blobs = network(images, given=given)
  np.testing.assert_array_equal(blobs["scores"], np.full((2, 1, 1, 9), 5))
