"""An objective asked of a network: the score that synthesis climbs."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array

from jdeepvis.networks.cells import locate
from jdeepvis.networks.names import class_scores, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.objectives import (
  LogProbability,
  Objective,
  WeightedSum,
  as_objective,
)
from jdeepvis.types import Activations, Image, JdeepvisError, Scalar

Score = Callable[..., tuple[Scalar, dict[str, Array]]]
"""`score(key, image)` gives a scalar to raise, and more scalars to record."""


def bind(network: Network, objective: Objective | Callable) -> Score:
  """The score of an image: an objective asked of a network.

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
    and a dict, with `is_largest` where the objective knows it. The score is a
    pytree whose leaves are the weights and the objective's own: hand it to
    jit as an argument, and nothing is baked into the program. The key is not
    used; augmentations use theirs.

  Raises:
    JdeepvisError: the network has no such layer, unit or position.
  """
  objective = as_objective(objective)
  check(network, objective)
  return Partial(ask, network, objective)


def check(network: Network, objective: Objective) -> None:
  """Nothing, if the network has what the objective asks for.

  Raises:
    JdeepvisError: the network has no such layer, unit or position.
  """
  for layer in objective.layers or ():
    find_layer(network, layer)
  _check_units(network, objective)


def ask(network: Network, objective: Objective, key: Any, image: Image):
  """The score that `bind` gives, unchecked; the key is not used."""
  del key
  blobs = network(image[None], until=blobs_read(network, objective))
  blobs = {name: blob[0] for name, blob in blobs.items()}
  return evaluate(network, objective, blobs)


def blobs_read(
  network: Network, *objectives: Objective
) -> tuple[str, ...] | None:
  """The blobs that objectives read; None where nobody knows."""
  read = [objective.layers for objective in objectives]
  if None in read:
    return None
  return tuple(_blob(network, layer) for layers in read for layer in layers)


def evaluate(network: Network, objective: Objective, blobs: Activations):
  """An objective's value of one image's activations, and what to record."""
  blobs = {name: jnp.asarray(x, jnp.float32) for name, x in blobs.items()}
  if network.output in blobs:
    blobs["output"] = blobs[network.output]
  flag = objective.is_largest(blobs)
  more = {} if flag is None else {"is_largest": flag}
  return jnp.float32(objective(blobs)), more


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
    class_scores(network)
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
