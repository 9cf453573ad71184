"""Finds the layers and units that people name."""

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jdeepvis.networks.network import Network
from jdeepvis.types import JdeepvisError


def find_layer(network: Network, layer: str) -> str:
  """The blob that `layer` names; `output` stands for the class scores.

  Raises:
    JdeepvisError: there is no such blob; the message names the nearest.
  """
  shapes = network.shapes
  # Without class scores `output` may be what a model of one's own returned.
  scored = network.output is not None or "output" not in shapes
  if layer == "output" and scored:
    return class_scores(network)
  if layer not in shapes:
    raise JdeepvisError(
      f"The network has no layer {layer!r}; {nearest(layer, shapes)}."
    )
  return layer


def class_scores(network: Network) -> str:
  """The blob with the class scores.

  Raises:
    JdeepvisError: the network has none.
  """
  if network.output is None:
    last = network.order[-1]
    raise JdeepvisError(
      f"This network has no class scores; name a layer, such as {last}, and "
      "its units by number, or use a network with classes."
    )
  return network.output


def before_relu(network: Network, layer: str) -> str:
  """The blob before a layer's own ReLU, where signals start; or the layer."""
  before = f"{layer}/pre"
  return before if before in network.shapes else layer


def find_units(network: Network, layer: str, units: str) -> tuple[int, ...]:
  """The channels that `units` names, in the order given, each once.

  Args:
    network: any network.
    layer: a blob of it.
    units: numbers, ranges (`3-7`, both ends in), `all`, and for the class
      scores class names, with commas between.

  Raises:
    JdeepvisError: an entry names no unit of this layer, or several, or there
      are not as many class names as classes.
  """
  count = network.shapes[layer][-1]
  labels = network.labels if layer == network.output else ()
  if len(labels) not in (0, count):
    raise JdeepvisError(
      f"The network has {count} classes, but there are {len(labels)} labels; "
      "give as many."
    )
  found: dict[int, None] = {}
  for entry in _entries(units, labels):
    found.update(dict.fromkeys(_find(entry, layer, count, labels)))
  if not found:
    raise JdeepvisError(
      f"No unit of layer {layer!r} is named by {units!r}; give numbers, "
      "ranges such as 3-7, or all."
    )
  return tuple(found)


def label_of(network: Network, layer: str, unit: int | None) -> str | None:
  """A class's names, commas between; None for what is no class or has none."""
  known = network.labels and layer == network.output and unit is not None
  return network.labels[unit] if known else None


def imported(name: str, what: str) -> Any:
  """What `package.module:name` stands for.

  Args:
    name: a module and a name in it.
    what: what is looked for, for the message.

  Raises:
    JdeepvisError: there is no such module, or no such name in it.
  """
  module, _, attribute = name.partition(":")
  try:
    return getattr(importlib.import_module(module), attribute)
  except (ImportError, AttributeError, ValueError) as error:
    raise JdeepvisError(
      f"There is no {what} {name!r}: {error}; give package.module:name."
    ) from error
  except Exception as error:  # foreign code can raise anything
    raise JdeepvisError(
      f"The module {module!r} cannot be imported: {repr(error)[:200]}."
    ) from error


def nearest(name: str, names: Iterable[str]) -> str:
  """The names most like `name`, as the end of an error message."""
  names = list(names)
  close = difflib.get_close_matches(name, names, n=4, cutoff=0.4)
  if close:
    return f"nearest: {', '.join(close)}"
  return f"there are: {', '.join(names[:12])}{', ...' * (len(names) > 12)}"


def _entries(units: str, labels: Sequence[str]) -> Iterator[str]:
  # A class name may hold commas itself: "flamingo, pink bird".
  if units.strip().lower() in map(str.lower, labels):
    yield units.strip()
    return
  yield from filter(None, map(str.strip, units.split(",")))


def _find(
  entry: str, layer: str, count: int, labels: Sequence[str]
) -> Iterable[int]:
  if entry == "all":
    return range(count)
  if match := re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", entry):
    first, last = int(match[1]), int(match[2] or match[1])
    if first <= last < count:
      return range(first, last + 1)
  if re.fullmatch(r"[\d.-]+", entry):
    raise JdeepvisError(
      f"Layer {layer!r} has units 0 to {count - 1}; {entry!r} is neither one "
      "of them nor a range of them, such as 3-7."
    )
  found = _find_label(entry, labels)
  if len(found) == 1:
    return found
  if found:
    some = ", ".join(f"{unit} ({labels[unit]})" for unit in found[:5])
    raise JdeepvisError(
      f"Class name {entry!r} is ambiguous; give a number: {some}."
    )
  hint = (
    nearest(entry, labels)
    if labels
    else f"the units of layer {layer!r} have numbers only, 0 to {count - 1}"
  )
  raise JdeepvisError(f"There is no unit {entry!r}; {hint}.")


def _find_label(entry: str, labels: Sequence[str]) -> list[int]:
  """Whole labels first, then one of a label's synonyms, then a part."""
  wanted = entry.lower()
  rules = (
    lambda label: label == wanted,
    lambda label: wanted in label.split(", "),
    lambda label: wanted in label,
  )
  for rule in rules:
    if found := [i for i, x in enumerate(labels) if rule(x.lower())]:
      return found
  return []
