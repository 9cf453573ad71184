"""Backward views against a network by hand, and against closed forms."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpy_network
import pytest
from small_networks import random_network

from jdeepvis.networks.names import before_relu
from jdeepvis.networks.tables import conv, dense, layer, max_pool
from jdeepvis.probing import backprop
from jdeepvis.types import JdeepvisError

LAYERS = ("conv1", "pool1", "norm1", "conv2", "fc3")


@pytest.fixture(scope="module")
def network():
  return random_network(numpy_network.LAYERS, numpy_network.SHAPE)


@pytest.fixture(scope="module")
def images():
  rng = np.random.default_rng(1)
  return np.float32(rng.normal(0, 1, (3, *numpy_network.SHAPE)))


def test_the_network_by_hand_is_the_network(network, images):
  blobs = network(images)
  for i, image in enumerate(images):
    for name, values in numpy_network.forward(network.params, image).items():
      if name != "switches":
        np.testing.assert_allclose(blobs[name][i], values, atol=1e-5)


@pytest.mark.parametrize(
  ("rule", "layer_name"),
  list(itertools.product(backprop.RULES, LAYERS)),
)
def test_every_rule_from_every_layer_as_by_hand(
  network, images, rule, layer_name
):
  shape = network.shapes[layer_name]
  seed = np.float32(np.random.default_rng(2).normal(0, 1, (3, *shape)))
  views = backprop.backward(network, images, layer_name, seed, rule=rule)
  start = f"{layer_name}/pre" if "conv" in layer_name else layer_name
  for view, image, signal in zip(views, images, seed, strict=True):
    wanted = numpy_network.backward(network.params, image, start, signal, rule)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(view, wanted, atol=1e-5)


def test_the_rules_differ(network, images):
  seed = np.ones((3, 5), np.float32)
  views = [
    backprop.backward(network, images, "fc3", seed, rule=rule)
    for rule in backprop.RULES
  ]
  for one, other in itertools.combinations(views, 2):
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize("rule", backprop.RULES)
def test_normalisation_passed_as_by_hand(network, images, rule):
  passing = backprop.pass_normalisation(network)
  values = network(images)["fc3"]
  same = passing(images)["fc3"]
  np.testing.assert_array_equal(same, values)
  seed = np.ones((3, 5), np.float32)
  views = backprop.backward(passing, images, "fc3", seed, rule=rule)
  plain = backprop.backward(network, images, "fc3", seed, rule=rule)
  assert np.abs(views - plain).max() > 0.01
  for view, image in zip(views, images, strict=True):
    wanted = numpy_network.backward(
      network.params, image, "fc3", np.ones(5), rule, pass_lrn=True
    )
    np.testing.assert_allclose(view, wanted, atol=1e-5)


def test_a_window_of_zeros_goes_to_its_first_cell():
  """Nothing fires: a deconvnet still sends, and to the first cell alone."""
  table = (*conv("conv", "data", 1, 1), *max_pool("pool", "conv", 2, 2))
  network = random_network(table, (4, 6, 1))
  kernel = np.full((1, 1, 1, 1), 3, np.float32)
  params = {"conv": {"kernel": kernel, "bias": np.float32([-100])}}
  network = network.replace(params=params)
  images = np.float32(np.random.default_rng(0).normal(0, 1, (1, 4, 6, 1)))
  seed = np.ones((1, 2, 3, 1), np.float32)
  view = {
    rule: backprop.backward(network, images, "pool", seed, rule=rule)
    for rule in backprop.RULES
  }
  first = np.zeros((4, 6))
  first[::2, ::2] = 3
  np.testing.assert_array_equal(view["deconv"][0, ..., 0], first)
  assert not view["gradient"].any() and not view["guided"].any()


def test_a_unit_that_is_off_has_a_view_of_its_own(network, images):
  values = network(images)["conv2"]
  i, row, column, unit = np.argwhere(np.asarray(values) == 0)[0]
  seed = backprop.point_seed(
    values[i : i + 1], np.array([unit]), np.array([[row, column]])
  )
  for rule in backprop.RULES:
    view = backprop.backward(
      network, images[i : i + 1], "conv2", seed, rule=rule
    )
    assert view.any()


def test_a_linear_network_shows_its_weights():
  """With no ReLU on the way every rule gives the kernel, where it lies."""
  network = random_network(conv("conv", "data", 2, 3, pad=1), (7, 7, 3))
  images = np.ones((1, 7, 7, 3), np.float32)
  shape = np.zeros((1, *network.shapes["conv"]))
  seed = backprop.point_seed(shape, np.array([1]), np.array([[0, 4]]))
  wanted = np.zeros((9, 9, 3))
  wanted[0:3, 4:7] = network.params["conv"]["kernel"][..., 1]
  for rule in backprop.RULES:
    view = backprop.backward(network, images, "conv", seed, rule=rule)
    np.testing.assert_allclose(view[0], wanted[1:-1, 1:-1], atol=1e-6)


def test_saliency_and_gradient_times_input_of_a_linear_classifier():
  """Simonyan's own example: the map of `w.x + b` is |w|, and w * x sums up."""
  table = layer("scores", "inner_product", "data", features=4)
  network = random_network(table, (3, 5, 2))
  kernel, bias = network.params["scores"].values()
  images = np.float32(np.random.default_rng(0).normal(0, 1, (2, 3, 5, 2)))
  classes = np.array([3, 1])
  weights = kernel.T.reshape(4, 3, 5, 2)[classes]
  maps = backprop.saliency(network, images, classes)
  np.testing.assert_allclose(maps, np.abs(weights).max(-1), rtol=1e-6)
  seed = backprop.point_seed(np.zeros((2, 4)), classes)
  parts = backprop.gradient_times_input(network, images, "scores", seed)
  np.testing.assert_allclose(parts, weights * images, rtol=1e-6)
  scores = network(images)["scores"]
  np.testing.assert_allclose(
    parts.sum((1, 2, 3)) + bias[classes],
    scores[np.arange(2), classes],
    rtol=1e-5,
  )


def test_seeds():
  values = np.arange(2 * 3 * 5 * 4, dtype=np.float32).reshape(2, 3, 5, 4)
  units = np.array([3, 0])
  points = backprop.point_seed(values, units, np.array([[2, 4], [0, 1]]))
  assert points.sum() == 2 and points[0, 2, 4, 3] == points[1, 0, 1, 0] == 1
  centres = backprop.point_seed(values, units)
  assert centres.sum() == 2 and centres[0, 1, 2, 3] == centres[1, 1, 2, 0] == 1
  maps = backprop.map_seed(values, units)
  np.testing.assert_array_equal(maps[0, ..., 3], values[0, ..., 3])
  np.testing.assert_array_equal(maps[1, ..., 0], values[1, ..., 0])
  assert maps.sum() == values[0, ..., 3].sum() + values[1, ..., 0].sum()
  vector = backprop.map_seed(values[:, 0, 0], units)
  np.testing.assert_array_equal(vector, [[0, 0, 0, 3], [60, 0, 0, 0]])


def test_vmap_over_units_is_a_loop(network, images):
  values = network(images)["conv2"]

  def view(unit):
    seed = backprop.map_seed(values, jnp.full(3, unit))
    return backprop.backward(network, images, "conv2", seed, rule="guided")

  together = jax.vmap(view)(jnp.arange(4))
  for unit in range(4):
    np.testing.assert_allclose(together[unit], view(unit), atol=1e-6)


def test_wrong_names_are_one_sentence(network, images):
  with pytest.raises(JdeepvisError, match="'guide'; nearest: guided"):
    backprop.backward(network, images, "fc3", np.zeros((3, 5)), rule="guide")
  with pytest.raises(JdeepvisError, match="no layer 'fc4'; nearest: fc3"):
    backprop.backward(network, images, "fc4", np.zeros((3, 5)))
  with pytest.raises(JdeepvisError, match=r"has shape \(3, 9\).*'fc3' have"):
    backprop.backward(network, images, "fc3", np.zeros((3, 9)))


def test_the_origin_is_before_the_relu():
  table = (*conv("conv", "data", 2, 3), *dense("fc", "conv", 2))
  network = random_network(table, (5, 5, 1))
  assert before_relu(network, "fc") == "fc/pre"
  assert before_relu(network, "conv/pre") == "conv/pre"
