"""What a node is given: views of blobs, constants, settings."""

import math
from collections.abc import Sequence

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Value
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.views import View

Inputs = Sequence[Value | None]
"""One for each input of a node, None where it is left out."""


def view_at(inputs: Inputs, place: int) -> View:
  """The input that must be a blob."""
  value = inputs[place] if place < len(inputs) else None
  if not isinstance(value, View):
    raise CannotRunError(f"its input {place} is not computed from the images")
  return value


def constant_at(inputs: Inputs, place: int) -> np.ndarray | None:
  """The input that must be known beforehand; None where it is left out."""
  value = inputs[place] if place < len(inputs) else None
  if isinstance(value, View):
    raise CannotRunError(f"its input {place} is computed from the images")
  return value


def needed(value, what: str):
  """A setting that must be there."""
  if value is None:
    raise ValueError(f"it lacks {what}")
  return value


def whole_numbers(value) -> tuple[int, ...]:
  """A constant, or an attribute, as a tuple of whole numbers."""
  return tuple(int(x) for x in np.asarray(value).reshape(-1))


def numbers_at(
  node: Node, name: str, inputs: Inputs, place: int
) -> tuple[int, ...] | None:
  """Numbers that were an attribute once and are an input since."""
  value = node.get(name)
  if value is None:
    value = constant_at(inputs, place)
  return None if value is None else whole_numbers(value)


def counted_axis(axis: int, rank: int) -> int:
  """An axis counted from the front."""
  if not -rank <= axis < max(rank, 1):
    raise ValueError(f"its axis {axis} is none of {rank}")
  return axis % rank if rank else 0


def number(value: float | int) -> np.ndarray:
  """A number as a constant."""
  return np.asarray(value, np.float32)


def single(value: np.ndarray) -> float:
  """The one number that a constant holds."""
  if value.size != 1:
    raise CannotRunError("it needs one number, not several")
  return float(value.reshape(-1)[0])


def size_of(shape: Sequence[int]) -> int:
  """How many values an array of this shape has."""
  return math.prod(shape)
