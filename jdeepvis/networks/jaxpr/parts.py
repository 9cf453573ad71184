"""An equation's settings where it makes a part of its output.

Its operands are padded and cut beforehand, so what it pads itself is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from jdeepvis.networks.jaxpr.program import Equation


def changes(
  equation: Equation, made: tuple[int, ...], sizes: Mapping[int, int]
) -> dict[str, Any]:
  """Settings for a part of an output, its operands padded and cut to fit.

  Args:
    equation: which.
    made: the shape of its whole output.
    sizes: how much of it is made, by axis.
  """
  change = _CHANGES.get(equation.name)
  return change(equation.params, made, sizes) if change else {}


def padding_value(equation: Equation, inputs: Sequence[Any]) -> Any:
  """What stands in for floats beyond an operand's edge."""
  if equation.name == "pad":
    return inputs[1]
  extremes = {"reduce_window_max": -jnp.inf, "reduce_window_min": jnp.inf}
  return extremes.get(equation.name, 0)


def _convolution_part(params, made, sizes):
  spatial = params["dimension_numbers"].out_spec[2:]
  padding = [
    (0, 0) if axis in sizes else pair
    for axis, pair in zip(spatial, params["padding"], strict=True)
  ]
  return {"padding": tuple(padding)}


def _pooling_part(params, made, sizes):
  padding = [
    (0, 0) if axis in sizes else pair
    for axis, pair in enumerate(params["padding"])
  ]
  return {"padding": tuple(padding)}


def _slice_part(params, made, sizes):
  starts, limits = list(params["start_indices"]), list(params["limit_indices"])
  steps = params["strides"] or [1] * len(made)
  for axis, size in sizes.items():
    starts[axis], limits[axis] = 0, (size - 1) * steps[axis] + 1
  return {"start_indices": tuple(starts), "limit_indices": tuple(limits)}


def _pad_part(params, made, sizes):
  config = [
    (0, 0, 0) if axis in sizes else one
    for axis, one in enumerate(params["padding_config"])
  ]
  return {"padding_config": tuple(config)}


def _resized(name: str):
  def part(params, made, sizes):
    shape = [sizes.get(axis, size) for axis, size in enumerate(made)]
    return {name: tuple(shape)}

  return part


_CHANGES: Mapping[str, Callable[..., dict[str, Any]]] = MappingProxyType(
  dict.fromkeys(
    ("reduce_window_sum", "reduce_window_max", "reduce_window_min"),
    _pooling_part,
  )
  | {
    "broadcast_in_dim": _resized("shape"),
    "reshape": _resized("new_sizes"),
    "conv_general_dilated": _convolution_part,
    "slice": _slice_part,
    "pad": _pad_part,
  }
)
