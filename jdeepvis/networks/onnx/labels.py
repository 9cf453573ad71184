"""The class names that a model's own metadata say."""

import ast
import json
from collections.abc import Mapping, Sequence

_KEYS = ("character", "names", "labels", "classes", "id2label", "class_names")
_LONGEST = 2**22


def class_names(said: Mapping[str, str], count: int) -> tuple[str, ...]:
  """As many names as there are classes, or none.

  A list with one a line, in JSON, or as Python writes a dict from number to
  name. Readers of text (`character`) have a blank before their characters and
  may have a space behind.

  Args:
    said: the model's metadata.
    count: how many classes it has.
  """
  for key in _KEYS:
    names = _names(said.get(key, ""))
    if key == "character" and names:
      rest = count - 1 - len(names)
      if rest in (0, 1):
        names = ["blank", *names, *[" "] * rest]
    if names and len(names) == count:
      return tuple(names)
  return ()


def _names(text: str) -> Sequence[str]:
  text = text[:_LONGEST]
  if text.lstrip().startswith(("{", "[")):
    for read in (json.loads, ast.literal_eval):
      try:
        found = read(text)
      except (ValueError, SyntaxError, RecursionError, MemoryError):
        continue
      return _in_order(found)
  lines = text.split("\n")
  return lines[:-1] if lines and not lines[-1] else lines


def _in_order(found) -> Sequence[str]:
  if isinstance(found, dict):
    try:
      numbered = {int(number): name for number, name in found.items()}
    except (TypeError, ValueError):
      return ()
    if sorted(numbered) != list(range(len(numbered))):
      return ()
    found = [numbered[number] for number in range(len(numbered))]
  return [str(name) for name in found] if isinstance(found, list) else ()
