"""An objective asked of a network: the score that synthesis climbs."""

import dataclasses
from collections.abc import Callable

from jax.tree_util import Partial
from jaxtyping import Array

from jdeepvis.networks.cells import locate
from jdeepvis.networks.names import class_scores, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.objectives import (
  LogProbability,
  Objective,
  WeightedSum,
)
from jdeepvis.types import Image, JdeepvisError, Scalar

Score = Callable[..., tuple[Scalar, dict[str, Array]]]
"""`score(key, image)` gives a scalar to raise, and more scalars to record."""


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
  output: str | None

  def __call__(self, params, objective, key, image: Image):
    del key
    names = [self._blob(layer) for layer in objective.layers]
    blobs = self.apply(params, image[None], until=tuple(names))
    blobs = {name: blob[0] for name, blob in blobs.items()}
    if "output" in objective.layers:
      blobs["output"] = blobs[self._blob("output")]
    flag = objective.is_largest(blobs)
    more = {} if flag is None else {"is_largest": flag}
    return objective(blobs), more

  def _blob(self, layer: str) -> str:
    return self.output or layer if layer == "output" else layer


def _check_units(network: Network, objective: Objective) -> None:
  """Out of range, JAX would silently read the nearest unit."""
  if isinstance(objective, WeightedSum):
    for term in objective.terms:
      _check_units(network, term)
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
