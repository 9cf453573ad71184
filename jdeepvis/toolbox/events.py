"""What an event makes of a page's state: `reduce(state, event)`, pure.

Events come from browsers, so everything in them is checked.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jdeepvis.toolbox.keys import press
from jdeepvis.toolbox.state import (
  CHOICES,
  SWITCHES,
  Catalogue,
  Layer,
  State,
  go_to,
  show_file,
)
from jdeepvis.types import JdeepvisError

_MAX_ASPECT = 20.0
_MAX_SEED = 9999
_MAX_SEARCH = 100


def reduce(state: State, event: Mapping[str, Any]) -> State:
  """The state after an event.

  Args:
    state: what it was.
    event: `{"type": "key", "key": ...}`, a key as browsers name it;
      `{"type": "set", "values": {...}}`, fields of the state, the layer by its
      name; `{"type": "shown", "units": ...}`, the order that a page put units
      in; or `{"type": "rendered"}`.

  Raises:
    JdeepvisError: there is no such event, field or value.
  """
  match event:
    case {"type": "key", "key": str(key)}:
      return press(state, key)
    case {"type": "set", "values": dict(values)}:
      return _set(state, values)
    case {"type": "shown", "units": units}:
      return dataclasses.replace(state, order=tuple(units))
    case {"type": "rendered"}:
      return dataclasses.replace(state, rendering=False)
  raise JdeepvisError(f"There is no event {str(event)[:80]!r}.")


def _set(state: State, values: Mapping[str, Any]) -> State:
  # The layer first, since what units there are depends on it.
  for name in sorted(values, key=lambda name: (name != "layer", str(name))):
    state = _set_one(state, name, values[name])
  return state


def _set_one(state: State, name: str, value: Any) -> State:
  catalogue = state.catalogue
  match name, value:
    case (_, bool()) if name not in SWITCHES:
      pass  # Python takes them for numbers
    case "layer", str():
      return go_to(state, _layer_place(catalogue, value))
    case "origin", [str(layer), int(unit), position]:
      place = _layer_place(catalogue, layer)
      shape = catalogue.layers[place]
      if 0 <= unit < shape.units and _is_position(shape, position):
        position = position and tuple(position)
        return dataclasses.replace(state, origin=(place, unit, position))
    case "unit", int() if 0 <= value < state.shown.units:
      return dataclasses.replace(state, unit=value, in_list=False)
    case ("position", _) if _is_position(state.shown, value):
      return dataclasses.replace(state, position=value and tuple(value))
    case "image", int() if 0 <= value < catalogue.images:
      return show_file(state, value)
    case "aspect", int() | float() if 1 / _MAX_ASPECT < value < _MAX_ASPECT:
      return dataclasses.replace(state, aspect=float(value))
    case "search", str() if len(value) <= _MAX_SEARCH:
      return dataclasses.replace(state, search=value)
    case "recipe", str() if value in catalogue.recipes:
      return dataclasses.replace(state, recipe=value)
    case "picture_seed", int() if 0 <= value <= _MAX_SEED:
      return dataclasses.replace(state, picture_seed=value)
    case ("diffs", True) if not catalogue.has_graph:
      raise JdeepvisError(
        "This network has no layer graph, so that signals cannot be shown at "
        "layers in between."
      )
    case _ if name in SWITCHES and isinstance(value, bool):
      return dataclasses.replace(state, **{name: value})
    case _ if name in CHOICES and value in CHOICES[name]:
      # JSON has 1 where the choice is 1.0.
      value = CHOICES[name][CHOICES[name].index(value)]
      return dataclasses.replace(state, **{name: value})
  raise JdeepvisError(
    f"A state cannot have {str(name)[:20]!r} = {str(value)[:40]!r}."
  )


def _layer_place(catalogue: Catalogue, name: str) -> int:
  for place, layer in enumerate(catalogue.layers):
    if layer.name == name:
      return place
  raise JdeepvisError(f"There is no layer {name[:80]!r}.")


def _is_position(layer: Layer, position: Any) -> bool:
  match position:
    case None:
      return True
    case [int(row), int(column)]:
      height, width = layer.size
      return 0 <= row < height and 0 <= column < width
  return False
