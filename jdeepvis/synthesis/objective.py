"""What an objective is: a pytree that makes one image's activations a scalar.

Objectives add, subtract and scale:
`neuron("output", 130) - 0.5 * channel("inception_4c/output", 7)`. Any function
of the activations is one: `as_objective(lambda blobs: blobs["prob"].max())`.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import struct
from jax.tree_util import Partial

from jdeepvis.types import Activations, Flag, Leaf, Scalar


class Objective:
  """Base of all, each a `flax.struct.dataclass` with these methods."""

  @property
  def layers(self) -> tuple[str, ...] | None:
    """The blobs it reads; None where unknown."""
    return (self.layer,)

  def __call__(self, blobs: Activations) -> Scalar:
    """The value, from one image's blobs (no batch axis)."""
    raise TypeError(f"{type(self).__name__} gives no value")

  def is_largest(self, blobs: Activations) -> Flag | None:
    """Whether the unit is its layer's largest; None where undefined."""
    return None

  def __add__(self, other: "Objective | Callable | int") -> "Objective":
    if isinstance(other, int) and other == 0:  # where `sum` begins
      return self
    return WeightedSum((1.0, 1.0), (self, as_objective(other)))

  __radd__ = __add__

  def __sub__(self, other: "Objective | Callable") -> "Objective":
    return WeightedSum((1.0, -1.0), (self, as_objective(other)))

  def __rsub__(self, other: Callable) -> "Objective":
    return as_objective(other) - self

  def __neg__(self) -> "Objective":
    return WeightedSum((-1.0,), (self,))

  def __mul__(self, weight: Scalar) -> "Objective":
    return WeightedSum((weight,), (self,))

  __rmul__ = __mul__

  def __truediv__(self, weight: Scalar) -> "Objective":
    return WeightedSum((1 / weight,), (self,))


@struct.dataclass
class OwnObjective(Objective):
  """See `as_objective`."""

  function: Callable

  @property
  def layers(self):
    return None

  def __call__(self, blobs):
    return self.function(blobs)


@struct.dataclass
class WeightedSum(Objective):
  """Weighted sum; the largest where in each layer a wanted term is.

  Of two units of a layer only one can be its largest.
  """

  weights: tuple[Leaf, ...]
  terms: tuple[Leaf, ...]

  @property
  def layers(self):
    read = [term.layers for term in self.terms]
    if None in read:
      return None
    return tuple(dict.fromkeys(layer for layers in read for layer in layers))

  def __call__(self, blobs):
    pairs = zip(self.weights, self.terms, strict=True)
    return sum(weight * term(blobs) for weight, term in pairs)

  def is_largest(self, blobs):
    layers: dict = {}
    for weight, term in zip(self.weights, self.terms, strict=True):
      if (flag := term.is_largest(blobs)) is not None:
        # What counts against the score shall not be the largest.
        wanted = jnp.asarray(weight) > 0
        layers.setdefault(term.layers, []).append((flag & wanted, wanted))
    flags = []
    for terms in layers.values():
      largest, wanted = map(jnp.stack, zip(*terms, strict=True))
      flags.append(largest.any() | ~wanted.any())
    return jnp.all(jnp.stack(flags)) if flags else None


def as_objective(function: "Objective | Callable") -> Objective:
  """Any function of one image's activations as an objective.

  >>> import jdeepvis
  >>> contrast = jdeepvis.as_objective(
  ...   lambda blobs: blobs["conv1/7x7_s2"].std()
  ... )

  Args:
    function: `function(blobs)` gives a scalar to raise; blobs are `[h, w, c]`
      or `[c]`, under their names and the class scores under `output` too. An
      objective is returned as it is. With `jax.tree_util.Partial(function,
      array)` the array is an argument of the program rather than a constant.

  Returns:
    The objective; it adds, subtracts and scales.

  Raises:
    TypeError: it is not a function.
  """
  if isinstance(function, Objective):
    return function
  if not callable(function):
    raise TypeError(
      f"An objective is a function of the activations, not {function!r}."
    )
  if not isinstance(function, Partial):
    function = Partial(function)
  return OwnObjective(function)
