"""The engine against the functions of which it is made, and differences."""

import jax
import numpy as np
import pytest
import toolbox_network

import jdeepvis
from jdeepvis.probing.backprop import map_seed, point_seed
from jdeepvis.toolbox.engine import Engine, Program, Start, _look


@pytest.fixture(name="engine", scope="module")
def fixture_engine():
  return Engine(toolbox_network.network())


def test_values_and_probabilities_are_the_networks_own(engine):
  network, image = toolbox_network.network(), toolbox_network.image()
  answer = engine.look(image, Program("conv5", True), Start(0, -1, True))
  blobs = network(image[None])
  np.testing.assert_allclose(answer.values, blobs["conv5"][0], atol=1e-3)
  np.testing.assert_allclose(answer.probabilities, blobs["prob"][0], atol=1e-5)
  assert answer.signal is None and answer.diffs is None
  assert isinstance(answer.values, np.ndarray)


def test_a_vector_is_a_map_of_one_cell(engine):
  image = toolbox_network.image()
  answer = engine.look(image, Program("fc8", False), Start(0, -1, True))
  assert answer.values.shape == (1, 1, 10)
  assert answer.probabilities is None


@pytest.mark.parametrize("rule", ["gradient", "deconv", "guided"])
def test_signals_start_at_the_map_or_at_a_cell(engine, rule):
  network, images = toolbox_network.network(), toolbox_network.image()[None]
  program = Program("conv1", False, rule, "conv5")
  values = network(images)["conv5"]
  unit = np.array([3])
  peak = divmod(int(np.argmax(values[0, :, :, 3])), 13)
  seeds = {
    Start(3, -1, True): map_seed(values, unit),
    Start(3, -1, False): point_seed(values, unit, np.array([peak])),
    Start(3, 15, False): point_seed(values, unit, np.array([[1, 2]])),
  }
  for start, seed in seeds.items():
    answer = engine.look(images[0], program, start)
    expected = jdeepvis.backward(network, images, "conv5", seed, rule=rule)[0]
    scale = np.abs(expected).max() or 1
    np.testing.assert_allclose(answer.signal, expected, atol=1e-4 * scale)


def test_units_and_cells_share_a_program(engine):
  program = Program("conv5", False, "gradient", "conv5")
  image = toolbox_network.image()
  _look.clear_cache()
  for unit in range(3):
    engine.look(image, program, Start(unit, unit - 1, unit > 1))
  assert _look._cache_size() == 1
  assert engine.knows(program)
  assert not engine.knows(program._replace(diffs=True))


def test_diffs_are_derivatives_by_the_layers_own_values(engine):
  network, images = toolbox_network.network(), toolbox_network.image()[None]
  program = Program("conv4", False, "gradient", "fc8", diffs=True)
  answer = engine.look(images[0], program, Start(2, -1, False))
  values = network(images)["conv4"]
  way = np.random.default_rng(1).normal(size=values.shape)
  way = np.float32(way * 1e-2)

  def score(shift):
    given = {"conv4": values + shift * way}
    return network(images, given=given)["fc8"][0, 2]

  slope = float(jax.jvp(score, (0.0,), (1.0,))[1])
  assert np.vdot(answer.diffs, way[0]) == pytest.approx(slope, rel=1e-3)


def test_diffs_are_the_seed_at_the_origin_and_zero_above(engine):
  image = toolbox_network.image()
  start = Start(3, 15, False)
  at = engine.look(
    image, Program("conv5", False, "deconv", "conv5", True), start
  )
  assert at.diffs.sum() == 1 and at.diffs[1, 2, 3] == 1
  above = Program("fc8", False, "deconv", "conv5", True)
  assert not engine.look(image, above, start).diffs.any()


def test_given_blobs_replace_what_a_graph_computes():
  network, images = toolbox_network.network(), toolbox_network.image()[None]
  blobs = network(images)
  again = network(images * 0, given={"conv4": blobs["conv4"]})
  np.testing.assert_array_equal(again["prob"], blobs["prob"])


def test_fields_are_receptive_fields(engine):
  field = engine.field("conv1", 0)
  assert field == jdeepvis.receptive_field(engine.network, "conv1", (0, 0))
