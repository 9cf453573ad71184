"""Arithmetic of whole numbers of arrays, value by value, in NumPy's words.

All values are floats: a truth is 1 or 0, a whole number its float. Operands of
other extents are broadcast, with as many axes as the first.
"""

import functools

import jax
import jax.numpy as jnp

from jdeepvis.networks.layers.layer_type import LayerType

_MOST_OPERANDS = 64


def _truth(function):
  return lambda *x: function(*x).astype(x[0].dtype)


def _logical(function):
  return lambda *x: function(*(one != 0 for one in x)).astype(x[0].dtype)


def _straight_through(rounded, x):
  """What is rounded has the derivative of what it was, not 0 throughout."""
  return x + jax.lax.stop_gradient(rounded - x)


def _quantize(x, scale, zero, least, most):
  """`clip(round(x / scale) + zero, least, most)`, by the straight-through rule.

  Its derivative is that without rounding (Bengio et al. 2013,
  arXiv:1308.3432).
  """
  exact = x / scale + zero
  return jnp.clip(
    _straight_through(jnp.round(x / scale) + zero, exact), least, most
  )


OPERATIONS = {
  "add": jnp.add,
  "subtract": jnp.subtract,
  "multiply": jnp.multiply,
  "divide": jnp.divide,
  "divide_whole": lambda x, y: jnp.trunc(x / y),
  "power": jnp.power,
  "minimum": jnp.minimum,
  "maximum": jnp.maximum,
  "remainder": jnp.mod,
  "truncated_remainder": jnp.fmod,
  "where": lambda condition, x, y: jnp.where(condition != 0, x, y),
  "less": _truth(jnp.less),
  "less_equal": _truth(jnp.less_equal),
  "greater": _truth(jnp.greater),
  "greater_equal": _truth(jnp.greater_equal),
  "equal": _truth(jnp.equal),
  "and": _logical(jnp.logical_and),
  "or": _logical(jnp.logical_or),
  "xor": _logical(jnp.logical_xor),
  "not": _logical(jnp.logical_not),
  "is_nan": _truth(jnp.isnan),
  "is_infinite": _truth(jnp.isinf),
  "quantize": _quantize,
  "negative": jnp.negative,
  "sqrt": jnp.sqrt,
  "reciprocal": jnp.reciprocal,
  "floor": jnp.floor,
  "ceil": jnp.ceil,
  "round": lambda x: _straight_through(jnp.round(x), x),
  "truncate": jnp.trunc,
  "sign": jnp.sign,
  "erf": jax.scipy.special.erf,
  "sin": jnp.sin,
  "cos": jnp.cos,
  "tan": jnp.tan,
  "arcsin": jnp.arcsin,
  "arccos": jnp.arccos,
  "arctan": jnp.arctan,
  "sinh": jnp.sinh,
  "cosh": jnp.cosh,
  "arcsinh": jnp.arcsinh,
  "arccosh": jnp.arccosh,
  "arctanh": jnp.arctanh,
}
"""Functions of one operand or several, by the option `operation`."""


def _arithmetic(layer, weights, inputs, relu):
  """An operation on blobs and numbers, in the order of the option `operands`.

  There -1 is the next blob, -2 the next of the option `numbers`, -3 the weight
  `value`.
  """
  blobs, numbers = list(inputs), list(layer.option("numbers", ()))
  operands = []
  for which in layer.option("operands") or (-1,) * len(inputs):
    if which == -1:
      operands.append(blobs.pop(0))
    elif which == -2:
      operands.append(jnp.asarray(numbers.pop(0), inputs[0].dtype))
    else:
      operands.append(weights["value"][None])
  return OPERATIONS[layer.option("operation")](*operands)


def _value(layer, shapes):
  dims = layer.option("dims")
  return {"value": tuple(dims)} if dims else {}


_operands = functools.partial(
  LayerType, _arithmetic, _value, inputs=(1, _MOST_OPERANDS), weighs=True
)

TYPES = {
  "arithmetic": _operands(reach="position"),
  # With a weight that differs from place to place.
  "arithmetic_map": _operands(),
}
