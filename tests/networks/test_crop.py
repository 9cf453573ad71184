import jax
import jax.numpy as jnp
import numpy as np
import pytest
from crop_checks import differences, places
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
  branching,
  caffenet,
  padded_average,
  pool,
  random_network,
  residual,
  with_rim,
)

from jdeepvis.networks.crop import crop
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers import pooling
from jdeepvis.networks.layers.layer_type import LayerType, padding
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.own import from_function
from jdeepvis.networks.receptive_field import receptive_field
from jdeepvis.networks.tables import conv, layer
from jdeepvis.networks.zoo import load_network


@pytest.mark.parametrize(
  ("make", "blob"),
  [
    (caffenet, "conv2/pre"),
    (caffenet, "conv5"),
    (branching, "concat"),
    (branching, "pool3"),
    (residual, "a"),
    (residual, "c"),
    (padded_average, "pool1"),
    (padded_average, "pool2"),
    (with_rim, "rim/pre"),
  ],
)
def test_crop_equals_the_whole(make, blob):
  network = make()
  for position in places(network, blob):
    assert max(differences(network, blob, position)) < 1e-4


@pytest.mark.parametrize(
  ("blob", "position"),
  [
    ("conv1", (56, 56)),
    ("pool1", (55, 0)),
    ("fire5/concat", (14, 14)),
    ("fire5/concat", (27, 27)),
    ("fire9/concat", (0, 7)),
    ("conv10", (13, 13)),
  ],
)
def test_crop_equals_the_whole_on_squeezenet(blob, position):
  network = load_network("squeezenet1.1")
  assert max(differences(network, blob, position)) < 1e-4


# Plain numbers: the checked types draw at random, which strategies may not.
PLACES = st.floats(0, 1, exclude_max=True)
SIZES = st.integers(9, 20)
STAGES = st.tuples(
  st.sampled_from(["conv", "max_pooling", "average_pooling"]),
  st.integers(1, 3),
  st.integers(1, 2),
  st.booleans(),
  st.booleans(),
)


def chain(stages):
  """Windows one after another, with a branch where a stage has one."""
  table, source = (), "data"
  for index, (kind, kernel, stride, padded, branch) in enumerate(stages):
    name, pad = f"layer{index}", (kernel - 1) // 2 * padded
    if kind == "conv":
      table += conv(name, source, 3, kernel, stride=stride, pad=pad)
    else:
      table += pool(
        kind, name, source, (kernel, kernel), (stride, stride), (pad, pad)
      )
    if branch:
      table += conv(f"{name}b", name, 2, 3, pad=1)
      table += layer(f"{name}c", "concat", name, f"{name}b")
    source = f"{name}c" if branch else name
  return table, source


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SIZES, SIZES, st.lists(STAGES, min_size=1, max_size=3), PLACES, PLACES)
def test_crop_equals_the_whole_on_random_graphs(h, w, stages, down, right):
  table, source = chain(stages)
  network = random_network(table, (h, w, 2))
  height, width = network.shapes[source][:2]
  position = int(down * height), int(right * width)
  assert max(differences(network, source, position)) < 1e-4


def test_the_unit_is_one_cell_on_both_sides_of_its_relu():
  network = crop(caffenet(), "conv4")
  shapes = network.shapes
  assert shapes["conv4"] == shapes["conv4/pre"] == (1, 1, 16)
  assert shapes["data"] == (131, 131, 3)
  assert network.output is None


def test_only_what_is_needed_stays():
  network = crop(branching(), "3x3")
  names = [info.name for info in network.layers]
  assert names == [
    *("stem", "stem/relu", "pool", "3x3_reduce", "3x3_reduce/relu"),
    *("3x3", "3x3/relu"),
  ]
  assert network.params.keys() == {"stem", "3x3_reduce", "3x3"}


def test_the_mean_is_cut_along():
  network = branching()
  field = receptive_field(network, "3x3", (0, 5))
  mean = crop(network, "3x3", (0, 5)).input.mean
  np.testing.assert_array_equal(mean, network.input.mean[field.slices])
  assert mean.shape[:2] == field.size != network.input.shape[:2]


def test_labels_stay_with_the_class_scores():
  network = load_network("squeezenet1.1")
  scores, hidden = crop(network, "output"), crop(network, "conv10")
  assert (scores.output, scores.labels) == ("scores", network.labels)
  assert (hidden.output, hidden.labels) == (None, ())


def test_places_away_from_the_border_share_one_program():
  network = residual()
  traces = []

  @jax.jit
  def run(network, image):
    traces.append(None)
    return network(image)

  for position in [(4, 3), (4, 4), (5, 4), (0, 0)]:
    cropped = crop(network, "c", position)
    run(cropped, jnp.ones((1, *cropped.input.shape)))
  assert len(traces) == 2


@pytest.mark.parametrize("blob", ["fc6", "output", "prob"])
def test_past_an_inner_product_the_crop_is_the_whole(blob):
  network = caffenet()
  cropped = crop(network, blob)
  assert cropped.input.shape == network.input.shape
  image = np.float32(np.random.default_rng(0).normal(0, 50, (1, 227, 227, 3)))
  name = find_layer(network, blob)
  np.testing.assert_array_equal(
    cropped(image)[name],
    network(image)[name],
  )


@pytest.fixture
def own_kinds(monkeypatch):
  """Kinds that crop.py has not heard of."""

  def centred(layer, weights, inputs, relu):
    return inputs[0] - inputs[0].mean((1, 2), keepdims=True)

  def halves(layer, weights, inputs, relu):
    return tuple(jnp.split(inputs[0], 2, axis=-1))

  def times(layer, weights, inputs, relu):
    return inputs[0] * inputs[1]

  def min_pooling(layer, weights, inputs, relu):
    where = padding(layer, inputs[0].shape[1:3], ceil=True)
    return -pooling.max_pool(-inputs[0], layer.kernel, layer.stride, where)

  for kind in (
    LayerType(centred, reach="map"),
    LayerType(halves, reach="position", several_outputs=True),
    LayerType(times, reach="position", inputs=(2, 2)),
    LayerType(min_pooling, reach="window"),
  ):
    monkeypatch.setitem(LAYER_TYPES, kind.apply.__name__, kind)


@pytest.mark.usefixtures("own_kinds")
@pytest.mark.parametrize("blob", ["centred", "conv2", "gated"])
def test_one_cell_is_kept_past_a_whole_map(blob):
  table = (
    *conv("conv1", "data", 4, 3, stride=2),
    *layer("centred", "centred", "conv1"),
    *conv("conv2", "centred", 4, 3, pad=1),
    *layer("mean", "global_average", "conv1"),
    *layer("gated", "times", "conv2", "mean"),
  )
  network = random_network(table, (12, 14, 3))
  cropped = crop(network, blob, (4, 2))
  assert cropped.input.shape == network.input.shape
  assert cropped.shapes[blob] == (1, 1, 4)
  for position in places(network, blob):
    assert max(differences(network, blob, position)) < 1e-4


@pytest.mark.usefixtures("own_kinds")
def test_kinds_of_ones_own_are_cropped_by_their_reach():
  table = (
    *pool("min_pooling", "pool", "data", pad=(1, 1)),
    LayerInfo("halves", "halves", ("pool",), ("left", "right")),
    *conv("wide", "left", 3, 3, pad=1),
    *layer("joined", "concat", "wide", "right", "left"),
  )
  network = random_network(table, (12, 14, 4))
  assert crop(network, "right", (3, 3)).shapes["right"] == (1, 1, 2)
  for position in places(network, "joined"):
    assert max(differences(network, "joined", position)) < 1e-4


def test_a_crop_can_be_cropped():
  network = residual()
  once = crop(network, "c", (2, 7))
  twice = crop(once, "c", (0, 0))
  assert twice.input.shape == once.input.shape
  image = np.float32(np.random.default_rng(0).normal(size=once.input.shape))
  np.testing.assert_array_equal(
    twice(image[None])["c"],
    once(image[None])["c"],
  )
  inner = crop(once, "a1", None)
  assert max(differences(once, "a1", (1, 1))) < 1e-4
  assert inner.input.shape[0] < once.input.shape[0]


def test_own_models_can_be_cropped():
  network = from_function(_twice, {}, residual().input)
  image = np.float32([[[[1, 2, 3]]]])
  np.testing.assert_array_equal(
    crop(network, "output")(image)["output"], 2 * image
  )


def _twice(params, images):
  return images * 2


def test_average_pooling_divides_as_caffe_does():
  """Crop and whole share the divisor: here it is counted cell by cell."""
  size, kernel, stride, pad = (8, 9), (4, 3), (3, 2), (2, 1)
  table = pool("average_pooling", "pool", "data", kernel, stride, pad)
  network = random_network(table, (*size, 1))
  image = np.float32(np.random.default_rng(0).normal(0, 1, (*size, 1)))
  found = network(image[None])["pool"][0]
  assert found.shape == (4, 5, 1)
  for row, column in np.ndindex(*found.shape[:2]):
    top, left = row * stride[0] - pad[0], column * stride[1] - pad[1]
    bottom = min(top + kernel[0], size[0] + pad[0])
    right = min(left + kernel[1], size[1] + pad[1])
    seen = image[max(top, 0) : bottom, max(left, 0) : right]
    expected = seen.sum() / ((bottom - top) * (right - left))
    np.testing.assert_allclose(found[row, column, 0], expected, rtol=1e-5)
