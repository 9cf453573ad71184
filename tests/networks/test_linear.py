"""Filters of layers that are linear in the image."""

import numpy as np
import pytest
import small_networks
from scipy import signal

from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.linear import is_linear, linear_filters
from jdeepvis.networks.own import from_function
from jdeepvis.networks.pixels import fold_pixels
from jdeepvis.networks.tables import conv, layer
from jdeepvis.types import JdeepvisError


def test_of_a_first_convolution_they_are_its_kernel():
  network = small_networks.caffenet()
  kernel = network.params["conv1"]["kernel"]
  for name in ("conv1", "conv1/pre"):
    assert is_linear(network, name)
    found = linear_filters(network, name, [3, 0])
    np.testing.assert_allclose(found, np.moveaxis(kernel, -1, 0)[[3, 0]])


def test_of_an_inner_product_they_are_its_rows_as_images():
  table = layer("scores", "inner_product", "data", features=5)
  network = small_networks.random_network(table, (4, 6, 3))
  kernel = network.params["scores"]["kernel"].reshape(4, 6, 3, 5)
  found = linear_filters(network, "scores", range(5))
  np.testing.assert_allclose(found, np.moveaxis(kernel, -1, 0))


def test_two_convolutions_without_a_relu_between_are_one():
  """Correlating with both kernels is correlating with their convolution."""
  table = (
    *conv("first", "data", 4, 3),
    *conv("second", "first/pre", 2, 5),
  )
  network = small_networks.random_network(table, (17, 17, 3))
  first, second = (network.params[x]["kernel"] for x in ("first", "second"))
  expected = sum(
    signal.convolve(first[..., c], second[:, :, c, 1][..., None])
    for c in range(4)
  )
  (found,) = linear_filters(network, "second", [1])
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pixels_that_are_turned_and_scaled_count():
  table = (*conv("a", "data", 4, 3), *layer("b", "lrn", "data"))
  network = small_networks.random_network(table, (9, 9, 3))
  layers, params = fold_pixels(
    table, network.params, (9, 9, 3), reverse=True, scale=0.5
  )
  assert layers[0].kind == "pixels"
  turned = network.replace(
    apply=GraphApply(layers), layers=layers, params=params
  )
  (found,) = linear_filters(turned, "a", [2])
  kernel = network.params["a"]["kernel"][:, :, ::-1, 2]
  np.testing.assert_allclose(found, 0.5 * kernel)


@pytest.mark.parametrize("name", ["pool1", "conv2", "fc6", "prob"])
def test_behind_a_relu_nothing_is_linear(name):
  network = small_networks.caffenet()
  assert not is_linear(network, name)
  with pytest.raises(JdeepvisError, match=f"'{name}' are not linear"):
    linear_filters(network, name, [0])


def test_without_a_graph_nobody_knows():
  own = from_function(
    lambda params, images: {"twice": 2 * images},
    {},
    small_networks.features().input,
    output=None,
  )
  assert not is_linear(own, "twice")
