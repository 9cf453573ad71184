"""A layer graph as plain lists, for files, and back with every entry checked.

Files may come from anyone: only known layer types and sane numbers pass.
"""

from collections.abc import Sequence
from typing import Any

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import MAX_EXTENT
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

_MAX_LAYERS = 10_000
_PAIRS = {"kernel": 1, "stride": 1, "pad": 0, "dilation": 1}


def to_plain(layers: Sequence[LayerInfo]) -> list[list[Any]]:
  """The layers as lists, fields in the order of `LayerInfo`."""
  return [list(layer) for layer in layers]


def from_plain(rows: Any, file: str) -> tuple[LayerInfo, ...]:
  """The layers that `to_plain` gave, after JSON.

  Args:
    rows: what the file holds.
    file: its name, for messages.

  Raises:
    JdeepvisError: the rows are no layers, or a layer is of an unknown type,
      has impossible numbers, or reads a blob that none before it writes.
  """
  if not isinstance(rows, list) or not 0 < len(rows) <= _MAX_LAYERS:
    raise JdeepvisError(f"{file} holds no table of layers.")
  layers, blobs, names = [], {INPUT}, set()
  for number, row in enumerate(rows):
    try:
      layer = _layer(row)
      check_layer(layer)
      if unknown := set(layer.inputs) - blobs:
        raise ValueError(f"it reads {min(unknown)!r}, which is not there yet")
      if taken := set(layer.outputs) & blobs:
        raise ValueError(f"it writes {min(taken)!r} again")
      if layer.name in names:
        raise ValueError("another layer has its name")
    except (TypeError, ValueError) as error:
      raise JdeepvisError(
        f"{file}: layer {number} of its table cannot be run: {error}."
      ) from error
    layers.append(layer)
    names.add(layer.name)
    blobs.update(layer.outputs)
  return tuple(layers)


def check_layer(layer: LayerInfo) -> None:
  """Checks that a layer's numbers are possible.

  Raises:
    ValueError: says what is wrong with it.
  """
  if layer.kind not in LAYER_TYPES:
    raise ValueError(
      f"its kind {layer.kind!r} is unknown; register it as LAYER_TYPES[kind] = "
      "LayerType(apply, weights)"
    )
  for name, least in _PAIRS.items():
    pair = getattr(layer, name)
    if not all(least <= extent <= MAX_EXTENT for extent in pair):
      raise ValueError(
        f"its {name} {list(pair)} is not within {least} to {MAX_EXTENT}"
      )
  if layer.kernel[0] * layer.kernel[1] > 4 * MAX_EXTENT:
    raise ValueError(f"its kernel {list(layer.kernel)} is too large")
  pairs = zip(layer.pad, layer.kernel, strict=True)
  if LAYER_TYPES[layer.kind].pooling and not all(
    pad < kernel for pad, kernel in pairs
  ):
    raise ValueError("its padding must be smaller than its window")
  features, groups = layer.option("features", 1), layer.option("groups", 1)
  if features < 1 or groups < 1 or features % groups:
    raise ValueError(f"{features} outputs cannot be in {groups} groups")
  _check_ends(layer)


def _check_ends(layer: LayerInfo) -> None:
  ours = LAYER_TYPES[layer.kind]
  least, most = ours.inputs
  found, made = len(layer.inputs), len(layer.outputs)
  if found < least or (most and found > most):
    needs = str(least) if least == most else f"{least} or more"
    if most and least < most:
      needs = f"{least} to {most}"
    raise ValueError(f"it reads {_blobs(found)}; it needs {needs}")
  if not made or (made > 1 and not ours.several_outputs):
    raise ValueError(f"it writes {_blobs(made)}; it needs 1")


def _blobs(count: int) -> str:
  return f"{count} blob{'s' * (count != 1)}"


def _layer(row: Any) -> LayerInfo:
  if not isinstance(row, list) or len(row) != len(LayerInfo._fields):
    raise ValueError(f"it is no list of {len(LayerInfo._fields)} entries")
  fields = dict(zip(LayerInfo._fields, row, strict=True))
  for name in ("name", "kind"):
    _expect(isinstance(fields[name], str), name)
  for name in ("inputs", "outputs"):
    _expect(_is_list_of(fields[name], str), name)
    fields[name] = tuple(fields[name])
  for name in _PAIRS:
    pair = fields[name]
    _expect(_is_list_of(pair, int) and len(pair) == 2, name)
    fields[name] = tuple(pair)
  options = fields["options"]
  _expect(_is_list_of(options, list), "options")
  fields["options"] = tuple(_option(option) for option in options)
  weights = fields["weights"]
  _expect(weights is None or isinstance(weights, str), "weights")
  return LayerInfo(**fields)


def _option(option: list) -> tuple[str, Any]:
  _expect(len(option) == 2 and isinstance(option[0], str), "options")
  name, value = option
  if name == "padding":
    return name, _padding(value)
  plain = value is None or isinstance(value, bool | int | float | str)
  numbers = _is_list_of(value, int | float)
  _expect(plain or numbers, "options")
  if name in ("features", "groups", "axis", "axes", "size", "top", "count"):
    whole = isinstance(value, int) and not isinstance(value, bool)
    _expect(whole and abs(value) <= 2**24, f"option {name}")
  return name, tuple(value) if numbers else value


def _padding(value: Any):
  pairs = _is_list_of(value, list) and len(value) == 2
  _expect(pairs and all(len(pair) == 2 for pair in value), "padding")
  for pair in value:
    whole = _is_list_of(pair, int) and all(abs(x) <= MAX_EXTENT for x in pair)
    _expect(whole, "padding")
  return tuple(tuple(pair) for pair in value)


def _is_list_of(value: Any, kind) -> bool:
  return isinstance(value, list) and all(
    isinstance(item, kind) and not isinstance(item, bool) for item in value
  )


def _expect(right: bool, what: str) -> None:
  if not right:
    raise ValueError(f"its {what} is not what it must be")
