"""The reducer: every key, every field, and what browsers must not send."""

import dataclasses
import json

import pytest
import toolbox_network

from jdeepvis.toolbox.events import reduce
from jdeepvis.toolbox.keys import KEYS
from jdeepvis.toolbox.state import BOOSTS, GAMMAS, State, share
from jdeepvis.types import JdeepvisError


def press(state, *keys):
  for key in keys:
    state = reduce(state, {"type": "key", "key": key})
  return state


def put(state, **values):
  return reduce(state, {"type": "set", "values": values})


def at(unit, **fields):
  """Layer pool1 has 4 units, conv5 12: 4 in a row."""
  order = tuple(range(12))
  return toolbox_network.state(layer=2, unit=unit, order=order, **fields)


def test_the_grid_of_twelve_has_four_columns():
  assert at(0).columns == 4
  assert at(0, aspect=3.0).columns == 6


@pytest.mark.parametrize(
  ("keys", "start", "end"),
  [
    (("ArrowLeft", "j"), 5, 4),
    (("ArrowRight", "l"), 5, 6),
    (("ArrowUp", "i"), 5, 1),
    (("ArrowDown", "k"), 5, 9),
    (("J",), 7, 4),
    (("L",), 4, 7),
    (("I",), 11, 3),
    (("K",), 2, 10),
    (("j",), 4, 4),
    (("l",), 7, 7),
    (("K",), 9, 9),
  ],
)
def test_keys_move_the_cursor_within_the_grid(keys, start, end):
  for key in keys:
    assert press(at(start), key).unit == end


def test_the_cursor_follows_the_order_that_is_shown():
  state = reduce(at(9), {"type": "shown", "units": [9, 3, 7, 1, 0]})
  assert press(state, "l").unit == 3
  assert press(state, "k").unit == 1  # three columns


def test_up_from_the_top_goes_to_the_layers_and_down_back():
  state = press(at(2), "ArrowUp")
  assert state.in_list and state.unit == 2
  assert press(state, "l").shown.name == "fc6"
  assert press(state, "L").shown.name == "prob"
  assert press(state, "j", "ArrowDown").shown.name == "pool1"
  assert not press(state, "k").in_list


def test_layers_keep_the_unit_as_far_as_they_have_it():
  state = press(at(11), "o")
  assert (state.shown.name, state.unit, state.order) == ("fc6", 11, None)
  assert press(state, "u", "u", "u").unit == 3
  assert press(at(0), *"uuuuu").layer == 0
  assert press(at(0), *"ooooooo").shown.name == "prob"


@pytest.mark.parametrize(
  ("key", "name", "values"),
  [
    ("t", "gamma", GAMMAS[1:] + GAMMAS[:1]),
    ("T", "boost", BOOSTS[1:] + BOOSTS[:1]),
    ("n", "rule", ("gradient", "deconv", "guided", "gradient_times_input")),
    ("m", "filter", ("grey", "norm", "blurred_norm", "raw")),
    ("1", "seed", ("point", "map")),
    ("0", "fit", ("stretch", "caffe", "square")),
    ("v", "sort", ("activation", "index")),
    ("5", "debug", (1, 2, 0)),
    ("a", "diffs", (True, False)),
    ("s", "pattern", (True, False)),
    ("8", "show_labels", (False, True)),
    ("9", "show_unit", (False, True)),
    ("f", "frozen", (True, False)),
    ("p", "pinned", (True, False)),
    ("h", "help", (True, False)),
    ("?", "help", (True, False)),
    ("r", "rendering", (True, True)),
    ("q", "closed", (True, True)),
    ("c", "source", ("webcam", "files")),
    ("e", "image", (1, 2, 0)),
    ("PageDown", "image", (1, 2, 0)),
    ("w", "image", (2, 1, 0)),
    ("PageUp", "image", (2, 1, 0)),
  ],
)
def test_keys_cycle(key, name, values):
  state = toolbox_network.state()
  for value in values:
    state = press(state, key)
    assert getattr(state, name) == value


def test_b_loops_as_in_the_original():
  state, seen = toolbox_network.state(), []
  for _ in range(4):
    state = press(state, "b")
    seen.append((state.rule, state.filter))
  assert seen == [
    ("gradient", "raw"),
    ("gradient", "norm"),
    ("deconv", "raw"),
    ("off", "raw"),
  ]


def test_zoom_skips_the_backward_view_where_it_is_off():
  state = toolbox_network.state()
  assert press(state, "z").zoom == "unit"
  assert press(state, "z", "z").zoom == "grid"
  assert press(state, "b", "z", "z").zoom == "backward"
  assert press(state, "b", "z", "z", "z").zoom == "grid"


def test_a_held_origin_stays_while_layers_are_browsed():
  state = press(at(5, position=(1, 2)), "d", "o", "o")
  layer, unit, position = state.sent_from
  assert (layer.name, unit, position) == ("conv5", 5, (1, 2))
  assert state.shown.name == "fc8"
  assert press(state, "d").origin is None


def test_another_image_ends_a_freeze():
  state = press(toolbox_network.state(source="webcam"), "f", "e")
  assert (state.source, state.frozen, state.image) == ("files", False, 1)


def test_escape_resets_all_but_the_image():
  state = press(at(5, image=2, aspect=2.0), *"btTdas", "Escape")
  assert state == toolbox_network.state(image=2, aspect=2.0)


def test_every_key_has_its_test_or_changes_something():
  for key in KEYS:
    for name in key.names:
      states = [at(5), at(5, in_list=True), at(5, image=1)]
      assert any(press(state, name) != state for state in states), name


def test_other_keys_do_nothing():
  state = at(5)
  for key in ("x", "F5", "Enter", "", "ArrowUpp", "\0" * 1000):
    assert press(state, key) is state


def test_an_address_brings_the_same_view_back():
  state = press(at(5, position=(1, 2)), *"btTdsv")
  state = put(state, layer="fc8", unit=3, search="shark", picture_seed=7)
  reported = json.loads(json.dumps(share(state)))
  again = put(toolbox_network.state(), **reported)
  assert again == dataclasses.replace(state, order=None)
  assert share(toolbox_network.state()) == {"layer": "conv1"}


@pytest.mark.parametrize(
  "values",
  [
    {"layer": "conv99"},
    {"layer": 3},
    {"unit": 4},
    {"unit": -1},
    {"unit": True},
    {"unit": 1.5},
    {"unit": "1"},
    {"position": [55, 0]},
    {"position": [0]},
    {"position": "00"},
    {"origin": ["conv1", 99, None]},
    {"origin": ["conv1", 0, [0, 99]]},
    {"image": 3},
    {"image": "../../etc/passwd"},
    {"aspect": 1e9},
    {"aspect": float("nan")},
    {"search": "x" * 101},
    {"recipe": "../x"},
    {"picture_seed": 10**9},
    {"rule": "__class__"},
    {"rule": []},
    {"boost": 0.7},
    {"boost": True},
    {"frozen": 1},
    {"house": None},
    {"order": [1]},
    {"closed": True},
    {"rendering": True},
    {"": 0},
  ],
)
def test_what_a_state_cannot_have_is_refused(values):
  with pytest.raises(JdeepvisError, match=r"cannot have|no layer"):
    put(toolbox_network.state(), **values)


@pytest.mark.parametrize(
  "event",
  [
    {},
    {"type": "key"},
    {"type": "key", "key": 5},
    {"type": "set"},
    {"type": "set", "values": [1]},
    {"type": "quit"},
    {"type": ["set"]},
  ],
)
def test_what_is_no_event_is_refused(event):
  with pytest.raises(JdeepvisError, match="There is no event"):
    reduce(toolbox_network.state(), event)


def test_without_a_graph_there_are_no_diffs():
  catalogue = toolbox_network.catalogue()._replace(has_graph=False)
  state = State(catalogue=catalogue)
  assert not press(state, "a").diffs
  with pytest.raises(JdeepvisError, match="layer graph"):
    put(state, diffs=True)
