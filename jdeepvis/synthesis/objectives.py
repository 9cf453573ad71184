"""Objectives: what gradient ascent maximises.

Unit, position and weights are leaves, so that another unit is another argument
of the same program; layer names are static.

Values are read after a layer's ReLU and gradients taken before it, as the
original does: a unit at 0 still gets a gradient.
"""

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.synthesis.objective import Objective
from jdeepvis.types import Activations, AnyArray, Index, Leaf, Scalar


@struct.dataclass
class Neuron(Objective):
  """See `neuron`."""

  layer: str = struct.field(pytree_node=False)
  unit: Leaf
  position: Leaf
  direction: Leaf

  def __call__(self, blobs):
    values = _values(blobs, self.layer)
    return self.direction * _at(values, self.position)[self.unit]

  def is_largest(self, blobs):
    values = self.direction * blobs[self.layer]
    return _at(values, self.position)[self.unit] >= jnp.max(values)


@struct.dataclass
class Channel(Objective):
  """See `channel`."""

  layer: str = struct.field(pytree_node=False)
  unit: Leaf

  def __call__(self, blobs):
    return _channel_means(_values(blobs, self.layer))[self.unit]

  def is_largest(self, blobs):
    means = _channel_means(blobs[self.layer])
    return means[self.unit] >= jnp.max(means)


@struct.dataclass
class Direction(Objective):
  """See `direction`."""

  layer: str = struct.field(pytree_node=False)
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


@struct.dataclass
class LayerMeanSquare(Objective):
  """See `layer_mean_square`."""

  layer: str = struct.field(pytree_node=False)

  def __call__(self, blobs):
    return jnp.mean(_values(blobs, self.layer) ** 2)


@struct.dataclass
class LogProbability(Objective):
  """See `log_probability`."""

  layer: str = struct.field(pytree_node=False)
  unit: Leaf
  position: Leaf
  direction: Leaf

  def __call__(self, blobs):
    values = self.direction * _at(_values(blobs, self.layer), self.position)
    return jax.nn.log_softmax(values)[self.unit]

  def is_largest(self, blobs):
    values = self.direction * _at(blobs[self.layer], self.position)
    return values[self.unit] >= jnp.max(values)


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
