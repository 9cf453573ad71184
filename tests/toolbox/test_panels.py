"""What a page shows, as a function of its state and arrays."""

import dataclasses

import numpy as np
import pytest
import toolbox_network

from jdeepvis.networks.regions import Rectangle
from jdeepvis.toolbox import panels as panes
from jdeepvis.toolbox.engine import Answer, Program, Start

RNG = np.random.default_rng(0)


def scene(values, **more):
  pixels = np.zeros((8, 8, 3), np.uint8)
  image = np.float32(RNG.normal(size=(8, 8, 3)))
  pinned = more.pop("pinned", None)
  answer = Answer(np.float32(values), **more)
  return panes.Scene(pixels, image, answer, pinned, Rectangle(0, 1, 2, 3))


def random_values():
  return RNG.normal(size=(13, 13, 12))


def conv5(**fields):
  return toolbox_network.state(layer=2, **fields)


def test_tiles_run_from_the_layers_least_to_its_most():
  values = np.float32(random_values())
  tiles = panes.scaled(values, 0.0, 1.0)
  low, high = values.min(), values.max()
  expected = 255 * (values - low) / (high - low)
  assert tiles.dtype == np.uint8
  np.testing.assert_allclose(tiles, expected, atol=0.51)


def test_gamma_brightens_and_boost_lifts_each_channel():
  values = np.float32(np.stack([[[0, 1.0]], [[0, 0.25]]], axis=-1))
  assert panes.scaled(values, 0.0, 1.0)[0, 1].tolist() == [255, 64]
  assert panes.scaled(values, 0.0, 0.5)[0, 1].tolist() == [255, 128]
  assert panes.scaled(values, 1.0, 1.0)[0, 1].tolist() == [255, 255]
  assert panes.scaled(values, 0.5, 1.0)[0, 1].tolist() == [255, 128]


@pytest.mark.parametrize("boost", [0.0, 1.0])
def test_a_layer_alike_everywhere_is_black(boost):
  assert not panes.scaled(np.full((3, 3, 2), 7, np.float32), boost, 0.5).any()


def test_signed_values_have_zero_in_the_middle():
  values = np.float32([[[-2, 0, 1]]])
  assert panes.balanced(values).tolist() == [[[1, 128, 192]]]
  assert panes.balanced(0 * values).tolist() == [[[128, 128, 128]]]


def test_the_selected_unit_is_told_at_its_peak_or_where_one_chose():
  values = random_values()
  values[4, 6, 3] = 99
  facts = panes.panels_of(conv5(unit=3), scene(values)).facts
  assert (facts["position"], facts["value"]) == ([4, 6], 99)
  facts = panes.panels_of(conv5(unit=3, position=(1, 2)), scene(values)).facts
  assert facts["position"] == [1, 2]
  assert facts["value"] == pytest.approx(values[1, 2, 3])
  assert facts["largest"] == 99
  assert facts["mean"] == pytest.approx(values[..., 3].mean(), abs=1e-5)
  assert facts["name"] == "3"
  assert facts["field"] == Rectangle(0, 1, 2, 3)


def test_units_are_sorted_and_found():
  values = np.float32([[[1, 9, 3, 7, 0, 0, 0, 0, 0, 5]]])
  state = toolbox_network.state(layer=4)
  shown = dataclasses.replace(state, sort="activation")
  assert panes.order(shown, values)[:4] == [1, 3, 9, 2]
  assert panes.order(dataclasses.replace(state, search="SHARK"), values) == [
    2,
    3,
  ]
  assert panes.order(dataclasses.replace(state, search="9"), values) == [9]
  assert panes.order(dataclasses.replace(state, search="zebra"), values) == []
  both = dataclasses.replace(shown, search="shark")
  assert panes.order(both, values) == [3, 2]


def test_the_five_likeliest_classes_by_name():
  probability = np.float32([0, 0.1, 0.4, 0.05, 0, 0.2, 0.25, 0, 0, 0])
  panels = panes.panels_of(
    conv5(), scene(random_values(), probabilities=probability)
  )
  names = [name for name, _ in panels.facts["classes"]]
  assert names == ["white shark", "stingray", "ray", "goldfish", "tiger shark"]
  assert panels.facts["classes"][0][1] == pytest.approx(0.4)


@pytest.mark.parametrize(
  ("kind", "channels"), [("raw", 3), ("grey", 1), ("blurred_norm", 1)]
)
def test_the_backward_view_is_filtered(kind, channels):
  signal = np.float32(RNG.normal(size=(8, 8, 3)))
  state = conv5(rule="deconv", filter=kind)
  panels = panes.panels_of(state, scene(random_values(), signal=signal))
  assert panels.arrays["backward"].shape == (8, 8, channels)
  assert not panels.facts["dark"]


def test_gradient_times_input_is_that():
  signal = np.ones((8, 8, 3), np.float32)
  state = conv5(rule="gradient_times_input")
  seen = scene(random_values(), signal=signal)
  expected = panes.FILTERS["raw"](seen.image)
  found = panes.panels_of(state, seen).arrays["backward"] / 255
  np.testing.assert_allclose(found, expected, atol=1 / 255)


def test_a_signal_of_zeros_is_explained():
  signal = np.zeros((8, 8, 3), np.float32)
  state = conv5(rule="gradient")
  panels = panes.panels_of(state, scene(random_values(), signal=signal))
  assert panels.facts["dark"]
  assert (panels.arrays["backward"] == 128).all()


def test_diffs_and_pinned_images_show_signed_differences():
  values, others = random_values(), random_values()
  pinned = Answer(np.float32(others))
  panels = panes.panels_of(conv5(unit=2), scene(values, pinned=pinned))
  assert panels.facts["signed"]
  expected = panes.balanced(np.float32(values) - np.float32(others))
  np.testing.assert_array_equal(panels.arrays["tiles"], expected)
  row, column = panels.facts["position"]
  reported = panels.facts["pinned_value"]
  assert reported == pytest.approx(others[row, column, 2], abs=1e-6)
  diffs = np.float32(random_values())
  panels = panes.panels_of(conv5(), scene(values, diffs=diffs, pinned=pinned))
  np.testing.assert_array_equal(panels.arrays["tiles"], panes.balanced(diffs))


def test_the_question_is_what_the_state_needs():
  state = conv5(unit=7)
  assert panes.question(state) == (
    Program("conv5", labels=True),
    Start(7, -1, whole=True),
  )
  held = dataclasses.replace(
    state,
    origin=(4, 3, None),
    rule="gradient_times_input",
    diffs=True,
    seed="point",
    show_labels=False,
  )
  assert panes.question(held) == (
    Program("conv5", False, "gradient", "fc8", diffs=True),
    Start(3, -1, whole=False),
  )
  placed = conv5(unit=1, position=(2, 3), rule="guided")
  assert panes.question(placed) == (
    Program("conv5", True, "guided", "conv5"),
    Start(1, 2 * 13 + 3, whole=True),
  )
