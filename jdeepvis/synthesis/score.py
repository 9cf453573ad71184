"""An objective bound to a network: the score that synthesis maximises."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from jdeepvis.networks.classify import require_exclusive
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import locate
from jdeepvis.synthesis.objective import Objective, WeightedSum, as_objective
from jdeepvis.synthesis.objectives import Channel, LogProbability, Neuron
from jdeepvis.types import Activations, Image, JdeepvisError, Scalar

_BOUNDED = ("softmax", "softmax_axis", "sigmoid")

Score = Callable[..., tuple[Scalar, dict[str, Array]]]
"""`score(key, image)` gives a scalar to raise, and more scalars to record."""


def bind(network: Network, objective: Objective | Callable) -> Score:
  """The score of an image: an objective of the network's activations.

  >>> import jax, jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> score = jdeepvis.bind(network, jdeepvis.neuron("fire2/concat", 7))
  >>> image = jax.numpy.zeros(network.input.shape)
  >>> value, facts = jax.jit(lambda score: score(None, image))(score)

  Args:
    network: any network.
    objective: any objective, or a function of the activations.

  Returns:
    `score(key, image)` for one centred image `[h, w, c]`: the value, float32,
    and a dict, with `is_largest` where the objective defines it. The score is
    a pytree whose leaves are the weights and the objective's own: pass it to
    jit as an argument, so that the program holds no weights as constants. The
    key is not used; augmentations use theirs.

  Raises:
    JdeepvisError: the network has no such layer, unit or position.
  """
  objective = as_objective(objective)
  check(network, objective)
  return Partial(ask, network, objective)


def check(network: Network, objective: Objective) -> None:
  """Checks that the network has what the objective reads.

  Raises:
    JdeepvisError: the network has no such layer, unit or position.
  """
  for layer in blobs_read(network, objective):
    find_layer(network, layer)
  _check_units(network, objective)


def ask(network: Network, objective: Objective, _key: Any, image: Image):
  """The score that `bind` gives, unchecked.

  Args:
    network: any network.
    objective: what is asked of it.
    _key: not used.
    image: centred, `[h, w, c]`, grey levels.
  """
  blobs = network(image[None], until=blobs_read(network, objective))
  blobs = {name: blob[0] for name, blob in blobs.items()}
  return evaluate(network, objective, blobs)


def blobs_read(network: Network, *objectives: Objective) -> tuple[str, ...]:
  """The blobs that objectives read; functions of one's own are watched.

  Raises:
    JdeepvisError: a function reads a blob that there is not.
  """
  read = [layer for one in objectives for layer in _read(network, one)]
  return tuple(dict.fromkeys(_blob(network, layer) for layer in read))


def evaluate(network: Network, objective: Objective, blobs: Activations):
  """An objective's value of one image's activations, and what to record.

  Args:
    network: whose activations they are.
    objective: what is asked of them.
    blobs: of one image, `[h, w, c]` or `[c]`.
  """
  blobs = {name: jnp.asarray(x, jnp.float32) for name, x in blobs.items()}
  if network.output in blobs:
    blobs["output"] = blobs[network.output]
  flag = objective.is_largest(blobs)
  more = {} if flag is None else {"is_largest": flag}
  return jnp.float32(objective(blobs)), more


def ceiling(network: Network, objective: Objective) -> float | None:
  """The largest value that an objective can have, where there is one.

  A log-probability's is 0; that of a softmax's or a sigmoid's units 1. There
  the gradient is 0, since nothing is left to gain.
  """
  if isinstance(objective, LogProbability):
    return 0.0
  if not isinstance(objective, Neuron | Channel):
    return None
  writer = next(
    (x for x in network.layers if objective.layer in x.outputs), None
  )
  bounded = writer is not None and writer.kind in _BOUNDED
  upward = getattr(objective, "direction", 1.0) > 0
  return float(upward) if bounded else None


def _read(network: Network, objective: Objective) -> tuple[str, ...]:
  if objective.layers is not None:
    return objective.layers
  if isinstance(objective, WeightedSum):
    return tuple(x for term in objective.terms for x in _read(network, term))

  def call(image):
    blobs = {name: x[0] for name, x in network(image).items()}
    if network.output in blobs:
      blobs["output"] = blobs[network.output]
    watched.append(_Watched(network, blobs))
    return objective(watched[-1])

  watched: list[_Watched] = []
  jax.eval_shape(
    call, jax.ShapeDtypeStruct((1, *network.input.shape), jnp.float32)
  )
  return tuple(watched[-1].read)


class _Watched(dict):
  """Activations that know which of them were read; all, if walked over."""

  def __init__(self, network: Network, blobs: Activations):
    super().__init__(blobs)
    self.network, self.read = network, {}

  def __getitem__(self, name):
    self.read[name] = None
    return super().__getitem__(name)

  def __missing__(self, name):
    find_layer(self.network, name)
    raise KeyError(name)

  def get(self, name, default=None):
    return self[name] if name in self else default  # noqa: SIM401

  def __iter__(self):
    self.read |= dict.fromkeys(super().keys())
    return super().__iter__()

  def keys(self):
    return list(self)

  def values(self):
    return [self[name] for name in self]

  def items(self):
    return [(name, self[name]) for name in self]


def _blob(network: Network, layer: str) -> str:
  return network.output or layer if layer == "output" else layer


def _check_units(network: Network, objective: Objective) -> None:
  """Out of range, JAX would silently read the nearest unit."""
  if isinstance(objective, WeightedSum):
    for term in objective.terms:
      check(network, term)
    return
  if objective.layers is None:
    return
  if isinstance(objective, LogProbability) and objective.layer == "output":
    require_exclusive(network)
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
