"""What is asked of a network, and its binding to one: the score.

An objective turns one image's activations into a scalar. It is a pytree: unit,
position and weights are leaves, so that another unit is another argument of
the same program; layer names are static. Objectives add up and scale:
`neuron("output", 130) + 0.5 * channel("fire5/concat", 7)`.

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

from jdeepvis.networks.cells import locate
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.types import (
  Activations,
  AnyArray,
  Flag,
  Image,
  Index,
  JdeepvisError,
  Leaf,
  Scalar,
)

Score = Callable[..., tuple[Scalar, dict[str, Array]]]
"""`score(key, image)` gives a scalar to raise, and more scalars to record."""


class Objective:
  """Base of all: a frozen pytree dataclass with these methods."""

  @property
  def layers(self) -> tuple[str, ...]:
    """The blobs it reads."""
    return (self.layer,)

  def __call__(self, blobs: Activations) -> Scalar:
    """The value, from one image's blobs (no batch axis)."""
    raise TypeError(f"{type(self).__name__} gives no value")

  def is_largest(self, blobs: Activations) -> Flag | None:
    """Whether the unit is its layer's largest; None where nothing is."""
    return None

  def __add__(self, other: "Objective") -> "Objective":
    return _Sum((1.0, 1.0), (self, other))

  def __mul__(self, weight: Scalar) -> "Objective":
    return _Sum((weight,), (self,))

  __rmul__ = __mul__


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

  def __call__(self, blobs):
    values = _at(_values(blobs, self.layer), self.position)
    return jnp.vdot(values, self.vector)


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
class _Sum(Objective):
  """Weighted sum; the largest of its layer where all its terms are."""

  weights: tuple[Leaf, ...]
  terms: tuple[Leaf, ...]

  @property
  def layers(self):
    return tuple(
      dict.fromkeys(layer for term in self.terms for layer in term.layers)
    )

  def __call__(self, blobs):
    pairs = zip(self.weights, self.terms, strict=True)
    return sum(weight * term(blobs) for weight, term in pairs)

  def is_largest(self, blobs):
    flags = [term.is_largest(blobs) for term in self.terms]
    flags = [flag for flag in flags if flag is not None]
    return jnp.all(jnp.stack(flags)) if flags else None


def neuron(
  layer: str,
  unit: Index,
  position: tuple[Index, Index] | None = None,
  *,
  direction: Scalar = 1.0,
) -> Neuron:
  """One unit at one place, the original's objective.

  Args:
    layer: a blob's name; `output` stands for the class scores.
    unit: the channel.
    position: row and column in the map, cells; None is the centre,
      `(h // 2, w // 2)`. Vectors have none.
    direction: 1 looks for what excites the unit, -1 for what inhibits it.
  """
  return Neuron(layer, unit, position, direction)


def channel(layer: str, unit: Index) -> Channel:
  """The mean of one channel over its map (Olah et al. 2017).

  Args:
    layer: a blob's name.
    unit: the channel.
  """
  return Channel(layer, unit)


def direction(
  layer: str,
  vector: Float[AnyArray, " c"],
  position: tuple[Index, Index] | None = None,
) -> Direction:
  """A combination of a layer's channels at one place.

  Args:
    layer: a blob's name.
    vector: weight of each channel.
    position: as for `neuron`.
  """
  return Direction(layer, vector, position)


def log_probability(
  unit: Index,
  layer: str = "output",
  position: tuple[Index, Index] | None = None,
  *,
  direction: Scalar = 1.0,
) -> LogProbability:
  """The log of a class's softmax probability: it beats all others.

  Args:
    unit: the class; in a hidden layer the channel, among those of its place.
    layer: a blob with scores before softmax.
    position: as for `neuron`.
    direction: as for `neuron`.
  """
  return LogProbability(layer, unit, position, direction)


def bind(network: Network, objective: Objective) -> Score:
  """The score of an image: an objective asked of a network.

  Args:
    network: any network.
    objective: any objective.

  Returns:
    `score(key, image)` for one centred image `[h, w, c]`: the value and a
    dict, with `is_largest` where the objective knows it. The score is a
    pytree whose leaves are the weights and the objective's own: hand it to
    jit as an argument, and nothing is baked into the program. The key is not
    used; wrappers that show the network random views use theirs.

  Raises:
    JdeepvisError: the network has no such layer, unit or position.
  """
  for layer in objective.layers:
    find_layer(network, layer)
  _check_units(network, objective)
  return Partial(
    BoundScore(network.apply, network.output), network.params, objective
  )


@dataclasses.dataclass(frozen=True)
class BoundScore:
  """What is static of a score; equal ones share a compilation."""

  apply: Callable
  output: str

  def __call__(self, params, objective, key, image: Image):
    del key
    names = [self._blob(layer) for layer in objective.layers]
    blobs = self.apply(params, image[None], until=tuple(names))
    blobs = {name: blob[0] for name, blob in blobs.items()}
    blobs["output"] = blobs.get(self.output)
    flag = objective.is_largest(blobs)
    more = {} if flag is None else {"is_largest": flag}
    return objective(blobs), more

  def _blob(self, layer: str) -> str:
    return self.output if layer == "output" else layer


def _values(blobs: Activations, layer: str) -> Array:
  """A layer's values, with the gradient of what comes before its ReLU."""
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


def _check_units(network: Network, objective: Objective) -> None:
  """Out of range, JAX would silently read the nearest unit."""
  if isinstance(objective, _Sum):
    for term in objective.terms:
      _check_units(network, term)
    return
  layer = find_layer(network, objective.layer)
  shape = network.shapes[layer]
  at_a_place = hasattr(objective, "position")
  if not shape or (at_a_place and len(shape) not in (1, 3)):
    raise JdeepvisError(
      f"Layer {layer!r} has shape {shape} for an image; units are read from "
      "(h, w, c) or (c,)."
    )
  unit = getattr(objective, "unit", 0)
  if isinstance(unit, int) and not 0 <= unit < shape[-1]:
    raise JdeepvisError(
      f"Layer {layer!r} has units 0 to {shape[-1] - 1}, so not {unit}."
    )
  position = getattr(objective, "position", None)
  if position is not None and all(isinstance(x, int) for x in position):
    locate(layer, shape, position)
