"""What each key does, after the original toolbox."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from jdeepvis.toolbox.state import CHOICES, State, go_to, show_file

_Change = Callable[[State], State]


def _step_file(by: int) -> _Change:
  return lambda state: show_file(
    state, (state.image + by) % max(state.catalogue.images, 1)
  )


def _move(rows: int, columns: int) -> _Change:
  def move(state: State) -> State:
    if state.in_list:
      if rows > 0:
        return dataclasses.replace(state, in_list=False)
      return go_to(state, state.layer + columns)
    order = state.order or range(state.shown.units)
    place = order.index(state.unit) if state.unit in order else 0
    row, column = divmod(place, state.columns)
    if rows < 0 and row == 0:
      return dataclasses.replace(state, in_list=True)
    last = (len(order) - 1) // state.columns
    row = min(max(row + rows, 0), last)
    column = min(max(column + columns, 0), state.columns - 1)
    place = min(row * state.columns + column, len(order) - 1)
    return dataclasses.replace(state, unit=order[place])

  return move


def _cycle(name: str) -> _Change:
  def cycle(state: State) -> State:
    values = CHOICES[name]
    place = values.index(getattr(state, name)) + 1
    return dataclasses.replace(state, **{name: values[place % len(values)]})

  return cycle


def _toggle(name: str) -> _Change:
  def toggle(state: State) -> State:
    if name == "diffs" and not state.catalogue.has_graph:
      return state
    return dataclasses.replace(state, **{name: not getattr(state, name)})

  return toggle


_LOOP = (
  *(("off", "raw"), ("gradient", "raw")),
  *(("gradient", "norm"), ("deconv", "raw")),
)


def _loop(state: State) -> State:
  now = (state.rule, state.filter)
  place = _LOOP.index(now) + 1 if now in _LOOP else 0
  rule, kind = _LOOP[place % len(_LOOP)]
  return dataclasses.replace(state, rule=rule, filter=kind)


def _zoom(state: State) -> State:
  state = _cycle("zoom")(state)
  if state.zoom == "backward" and state.rule == "off":
    return _cycle("zoom")(state)
  return state


def _freeze_origin(state: State) -> State:
  origin = None if state.origin else (state.layer, state.unit, state.position)
  return dataclasses.replace(state, origin=origin)


def _webcam(state: State) -> State:
  source = "files" if state.source == "webcam" else "webcam"
  return dataclasses.replace(state, source=source, frozen=False)


def _render(state: State) -> State:
  return dataclasses.replace(state, rendering=True)


def _reset(state: State) -> State:
  return State(
    catalogue=state.catalogue,
    source=state.source,
    image=state.image,
    aspect=state.aspect,
    rendering=state.rendering,
  )


def _close(state: State) -> State:
  return dataclasses.replace(state, closed=True)


class Key(NamedTuple):
  """What some keys do, and how that is called on the help page."""

  names: tuple[str, ...]
  does: str
  apply: _Change


KEYS = (
  Key(("ArrowLeft", "j"), "unit to the left", _move(0, -1)),
  Key(("ArrowRight", "l"), "unit to the right", _move(0, 1)),
  Key(("ArrowUp", "i"), "unit above; from the top, layers", _move(-1, 0)),
  Key(("ArrowDown", "k"), "unit below; from layers, back", _move(1, 0)),
  Key(("J",), "three to the left", _move(0, -3)),
  Key(("L",), "three to the right", _move(0, 3)),
  Key(("I",), "three up", _move(-3, 0)),
  Key(("K",), "three down", _move(3, 0)),
  Key(("u",), "previous layer", lambda state: go_to(state, state.layer - 1)),
  Key(("o",), "next layer", lambda state: go_to(state, state.layer + 1)),
  Key(("t",), "brightness: gamma", _cycle("gamma")),
  Key(("T",), "lift dim channels", _cycle("boost")),
  Key(("b",), "backward: off, gradient, norm, deconv", _loop),
  Key(("n",), "backward rule", _cycle("rule")),
  Key(("m",), "backward filter", _cycle("filter")),
  Key(("1",), "send back the map, or one position", _cycle("seed")),
  Key(("d",), "freeze where signals start", _freeze_origin),
  Key(("a",), "the layer's signals for its values", _toggle("diffs")),
  Key(("z",), "enlarge the unit, the backward view", _zoom),
  Key(("s",), "what units want to see, as tiles", _toggle("pattern")),
  Key(("8",), "classes on and off", _toggle("show_labels")),
  Key(("9",), "pictures of the unit on and off", _toggle("show_unit")),
  Key(("c",), "webcam, or files", _webcam),
  Key(("f",), "freeze the image", _toggle("frozen")),
  Key(("e", "PageDown"), "next image", _step_file(1)),
  Key(("w", "PageUp"), "previous image", _step_file(-1)),
  Key(("0",), "crop, stretch, as Caffe", _cycle("fit")),
  Key(("p",), "pin the image, compare with it", _toggle("pinned")),
  Key(("v",), "sort by activation, by number", _cycle("sort")),
  Key(("r",), "render a picture of the unit now", _render),
  Key(("5",), "more in the status line", _cycle("debug")),
  Key(("h", "?"), "this help", _toggle("help")),
  Key(("Escape",), "reset", _reset),
  Key(("q",), "leave", _close),
)
"""Every key that the server answers, in the order of the help page."""

_APPLY = {name: key.apply for key in KEYS for name in key.names}


def press(state: State, key: str) -> State:
  """The state after a key; one that nothing is bound to changes nothing."""
  return _APPLY[key](state) if key in _APPLY else state
