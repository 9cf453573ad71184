"""What a page shows: `panels_of(state, scene)`, pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from jdeepvis.display.filters import FILTERS
from jdeepvis.networks.regions import Rectangle
from jdeepvis.toolbox.engine import Answer, Program, Start, Values
from jdeepvis.toolbox.state import Layer, State
from jdeepvis.types import Pixels

_TOP = 5
_MIDDLE = 128
Bytes = UInt8[np.ndarray, "h w c"]


class Scene(NamedTuple):
  """All that the panels depend on beside the state.

  Attributes:
    pixels: the image as the network sees it.
    image: the same, centred.
    answer: what the network says of it.
    pinned: what it says of the image to compare with, if there is one.
    field: the pixels that the selected cell sees.
  """

  pixels: Pixels
  image: Values
  answer: Answer
  pinned: Answer | None = None
  field: Rectangle | None = None


class Panels(NamedTuple):
  """What a page shows.

  Attributes:
    arrays: uint8 `[h, w, c]`, 0..255, by name: `input`; `tiles`, every channel
      of the layer; `backward`, if any.
    facts: all else, plain values.
  """

  arrays: Mapping[str, Bytes]
  facts: Mapping[str, Any]


def question(state: State) -> tuple[Program, Start]:
  """The program that a state needs, and where its signals begin."""
  layer, unit, position = state.sent_from
  rule = None if state.rule == "off" else state.rule
  program = Program(
    layer=state.shown.name,
    labels=state.show_labels and state.catalogue.has_classes,
    rule="gradient" if rule == "gradient_times_input" else rule,
    origin=layer.name if rule else None,
    diffs=state.diffs and rule is not None,
  )
  return program, Start(unit, _cell(layer, position), state.seed == "map")


def selected_cell(state: State, values: Values) -> int:
  """The position of the selected unit that is shown, in row-major order."""
  cell = _cell(state.shown, state.position)
  return int(values[..., state.unit].argmax()) if cell < 0 else cell


def panels_of(state: State, scene: Scene) -> Panels:
  """The panels of a page.

  Args:
    state: what it looks at.
    scene: what there is to see.
  """
  answer = scene.answer
  shown, signed = _shown(state, scene)
  tiles = balanced(shown) if signed else scaled(shown, state.boost, state.gamma)
  arrays = {"input": scene.pixels, "tiles": tiles}
  facts = {
    "signed": signed,
    "order": order(state, shown),
    "range": [float(shown.min()), float(shown.max())],
    **_unit_facts(state, scene),
  }
  if answer.signal is not None:
    arrays["backward"] = _backward(state, scene)
    facts["dark"] = not answer.signal.any()
  if answer.probabilities is not None:
    facts["classes"] = _classes(state, answer.probabilities)
  return Panels(arrays, facts)


def scaled(values: Values, boost: float, gamma: float) -> Bytes:
  """Values from the layer's smallest to its largest as 0..255.

      s = (v - min v) / (max v - min v)
      s max_c(s)^(-boost), to the power of gamma

  A constant layer is black.

  Args:
    values: `[h, w, c]`.
    boost: lifts channels that are dim throughout, 0..1.
    gamma: below 1 brightens the dark.
  """
  low, high = values.min(), values.max()
  share = values - low
  # In place: fresh memory costs more than the sums do.
  share *= np.float32(1 / ((high - low) or 1))
  if boost:
    peaks = share.max(axis=(0, 1))
    share *= np.where(peaks > 0, peaks, 1) ** np.float32(-boost)
    np.minimum(share, 1, out=share)
  if gamma != 1:
    share **= np.float32(gamma)
  share *= 255
  share += np.float32(0.5)
  return share.astype(np.uint8)


def balanced(values: Values) -> Bytes:
  """Signed values with 0 at 128, the farthest from it at an end of 1..255."""
  peak = np.abs(values).max() or 1
  return np.uint8(np.round(127 * values / peak) + _MIDDLE)


def order(state: State, values: Values) -> list[int]:
  """The units that the grid shows, in its order."""
  layer, wanted = state.shown, state.search.strip().lower()
  units = range(layer.units)
  if wanted:
    units = [u for u in units if wanted in layer.unit_name(u).lower()]
  if state.sort == "activation":
    peaks = values.max(axis=(0, 1))
    units = sorted(units, key=lambda unit: -peaks[unit])
  return list(units)


def _shown(state: State, scene: Scene) -> tuple[Values, bool]:
  """What the tiles are of, and whether 0 is their middle."""
  answer = scene.answer
  if answer.diffs is not None:
    return answer.diffs, True
  if scene.pinned is not None:
    return answer.values - scene.pinned.values, True
  return answer.values, False


def _unit_facts(state: State, scene: Scene) -> dict[str, Any]:
  values = scene.answer.values
  plane = values[..., state.unit]
  cell = selected_cell(state, values)
  row, column = divmod(cell, plane.shape[1])
  facts = {
    "value": float(plane[row, column]),
    "position": [row, column],
    "largest": float(plane.max()),
    "mean": float(plane.mean()),
    "field": scene.field,
    "name": state.shown.unit_name(state.unit),
  }
  if scene.pinned is not None:
    pinned = scene.pinned.values[..., state.unit]
    facts["pinned_value"] = float(pinned[row, column])
  return facts


def _backward(state: State, scene: Scene) -> Bytes:
  signal = scene.answer.signal
  if state.rule == "gradient_times_input":
    signal = signal * scene.image
  return np.uint8(255 * FILTERS[state.filter](signal) + 0.5)


def _classes(
  state: State, probabilities: Float[np.ndarray, " k"]
) -> list[tuple[str, float]]:
  best = np.argsort(-probabilities, kind="stable")[:_TOP]
  names = next((x.labels for x in state.catalogue.layers if x.labels), ())
  known = len(names) == len(probabilities)
  return [
    (names[i] if known else f"class {i}", float(probabilities[i])) for i in best
  ]


def _cell(layer: Layer, position: tuple[int, int] | None) -> int:
  if position is None:
    return -1
  return position[0] * layer.size[1] + position[1]
