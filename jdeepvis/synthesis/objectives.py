"""Objectives: what gradient ascent maximises.

An objective turns one image's activations into a scalar. It is a pytree: unit,
position and weights are leaves, so that another unit is another argument of
the same program; layer names are static. Objectives add, subtract and scale:
`neuron("output", 130) - 0.5 * channel("inception_4c/output", 7)`. Any function
of the activations is one: `as_objective(lambda blobs: blobs["prob"].max())`.

Values are read after a layer's ReLU and gradients taken before it, as the
original does: a unit at 0 still gets a gradient.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jdeepvis.types import (
  Activations,
  AnyArray,
  Flag,
  Index,
  Leaf,
  Scalar,
)


class Objective:
  """Base of all: a frozen pytree dataclass with these methods."""

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


def _objective(cls):
  return jax.tree_util.register_dataclass(
    dataclasses.dataclass(frozen=True)(cls)
  )


def _static():
  return dataclasses.field(metadata={"static": True})


@_objective
class Neuron(Objective):
  """See `neuron`."""

  layer: str = _static()
  unit: Leaf
  position: Leaf
  direction: Leaf

  def __call__(self, blobs):
    values = _values(blobs, self.layer)
    return self.direction * _at(values, self.position)[self.unit]

  def is_largest(self, blobs):
    values = self.direction * blobs[self.layer]
    return _at(values, self.position)[self.unit] >= jnp.max(values)


@_objective
class Channel(Objective):
  """See `channel`."""

  layer: str = _static()
  unit: Leaf

  def __call__(self, blobs):
    return _channel_means(_values(blobs, self.layer))[self.unit]

  def is_largest(self, blobs):
    means = _channel_means(blobs[self.layer])
    return means[self.unit] >= jnp.max(means)


@_objective
class Direction(Objective):
  """See `direction`."""

  layer: str = _static()
  vector: Leaf
  position: Leaf
  cosine_power: Leaf

  def __call__(self, blobs):
    values = _at(_values(blobs, self.layer), self.position)
    product = jnp.vdot(values, self.vector)
    if self.cosine_power is None:
      return product
    square = jnp.vdot(values, values) * jnp.vdot(self.vector, self.vector)
    # The root has no derivative at 0, and Lucid's floor at 0.1 keeps a gradient
    # where the cosine is negative.
    cosine = product / jnp.sqrt(jnp.maximum(square, 1e-12))
    return product * jnp.maximum(cosine, 0.1) ** self.cosine_power


@_objective
class LayerMeanSquare(Objective):
  """See `layer_mean_square`."""

  layer: str = _static()

  def __call__(self, blobs):
    return jnp.mean(_values(blobs, self.layer) ** 2)


@_objective
class OwnObjective(Objective):
  """See `as_objective`."""

  function: Callable

  @property
  def layers(self):
    return None

  def __call__(self, blobs):
    return self.function(blobs)


@_objective
class LogProbability(Objective):
  """See `log_probability`."""

  layer: str = _static()
  unit: Leaf
  position: Leaf
  direction: Leaf

  def __call__(self, blobs):
    values = self.direction * _at(_values(blobs, self.layer), self.position)
    return jax.nn.log_softmax(values)[self.unit]

  def is_largest(self, blobs):
    values = self.direction * _at(blobs[self.layer], self.position)
    return values[self.unit] >= jnp.max(values)


@_objective
class WeightedSum(Objective):
  """Weighted sum; the largest where all terms of positive weight are."""

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
    flags = [
      # What counts against the score shall not be the largest.
      flag | (jnp.asarray(weight) <= 0)
      for weight, term in zip(self.weights, self.terms, strict=True)
      if (flag := term.is_largest(blobs)) is not None
    ]
    return jnp.all(jnp.stack(flags)) if flags else None


def neuron(
  layer: str,
  unit: Index,
  position: tuple[Index, Index] | None = None,
  *,
  direction: Scalar = 1.0,
) -> Neuron:
  """One unit at one position, as the original (Yosinski et al. 2015, §3).

  >>> import jdeepvis
  >>> flamingo_not_crane = jdeepvis.neuron(
  ...   "output", 130
  ... ) - 0.5 * jdeepvis.neuron("output", 134)

  Args:
    layer: a blob's name; `output` stands for the class scores.
    unit: the channel.
    position: row and column in the map; None is the centre, `(h // 2, w // 2)`.
      Vectors have none.
    direction: 1 looks for what excites the unit, -1 for what inhibits it.

  Returns:
    The objective; it adds, subtracts and scales.
  """
  return Neuron(layer, unit, position, direction)


def channel(layer: str, unit: Index) -> Channel:
  """The mean of one channel over its map (Olah et al. 2017, "Objectives").

  >>> import jdeepvis
  >>> texture = jdeepvis.channel("inception_3b/output", 100)

  Args:
    layer: a blob's name.
    unit: the channel.

  Returns:
    The objective; it adds, subtracts and scales.
  """
  return Channel(layer, unit)


def direction(
  layer: str,
  vector: Float[AnyArray, " c"],
  position: tuple[Index, Index] | None = None,
  *,
  cosine_power: Scalar | None = None,
) -> Direction:
  """A combination of a layer's channels at one position.

  `(v . a) max(.1, cos(v, a))**p`: without the cosine the product can grow along
  channels with little weight in v (Carter et al. 2019, "Activation atlas",
  "Aggregating neurons", has p = 4).

  >>> import numpy as np, jdeepvis
  >>> mix = jdeepvis.direction("inception_4c/output", np.ones(512, np.float32))

  Args:
    layer: a blob's name.
    vector: weight of each channel.
    position: as for `neuron`.
    cosine_power: p; None is the product alone.

  Returns:
    The objective; it adds, subtracts and scales.
  """
  return Direction(layer, vector, position, cosine_power)


def layer_mean_square(layer: str) -> LayerMeanSquare:
  """The mean of a layer's squares: DeepDream's (Mordvintsev et al. 2015).

  >>> import jdeepvis
  >>> dream = jdeepvis.layer_mean_square("inception_4c/output")

  Args:
    layer: a blob's name.

  Returns:
    The objective; it adds, subtracts and scales.
  """
  return LayerMeanSquare(layer)


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


def log_probability(
  unit: Index,
  layer: str = "output",
  *,
  position: tuple[Index, Index] | None = None,
  direction: Scalar = 1.0,
) -> LogProbability:
  """The log of a class's softmax probability, which must beat the others.

  >>> import jdeepvis
  >>> flamingo = jdeepvis.log_probability(130)

  Args:
    unit: the class; in a hidden layer a channel, among those at its position.
    layer: a blob with scores before softmax.
    position: as for `neuron`.
    direction: as for `neuron`.

  Returns:
    The objective; it adds, subtracts and scales.
  """
  return LogProbability(layer, unit, position, direction)


def _values(blobs: Activations, layer: str) -> Array:
  """A layer's values, with the gradient of those before its ReLU."""
  values, before = blobs[layer], blobs.get(f"{layer}/pre")
  if before is None:
    return values
  return before + lax.stop_gradient(values - before)


def _at(values: Array, position: tuple[Index, Index] | None) -> Array:
  if values.ndim == 1:
    return values
  row, column = position or (values.shape[0] // 2, values.shape[1] // 2)
  return values[row, column]


def _channel_means(values: Array) -> Array:
  return jnp.mean(values.reshape(-1, values.shape[-1]), axis=0)
