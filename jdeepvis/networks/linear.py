"""Layers that are linear in the image, whose optimum has a closed form."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jdeepvis.networks.crop import crop
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.names import before_relu, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.types import JdeepvisError


def is_linear(network: Network, layer: str) -> bool:
  """Whether a layer's values, before their ReLU, are linear in the image.

  Args:
    network: any network; without a layer graph the answer is False.
    layer: a blob of it.
  """
  if not network.layers:
    return False
  seen = crop(network, before_relu(network, find_layer(network, layer)))
  return all(LAYER_TYPES[info.kind].linear for info in seen.layers)


def linear_filters(
  network: Network, layer: str, units: Sequence[int]
) -> Float[np.ndarray, "units h w c"]:
  """The filters of units that are linear in the image, as first layers' are.

  Before its ReLU such a unit is `k . x + b` for the centred image x that it
  sees. Of all x of one norm, `|x| k / |k|` maximises it; of all in the box of
  0..255, the one with each value at the end that k's sign selects.

  Args:
    network: a network with a layer graph.
    layer: a blob of it that `is_linear`.
    units: the channels.

  Returns:
    k of each unit in the middle of the map, change per grey level.

  Raises:
    JdeepvisError: there is no such layer, or it is not linear.

  >>> network = jdeepvis.load_network("alexnet-conv")
  >>> linear_filters(network, "conv1", [0, 7]).shape
  (2, 11, 11, 3)
  """
  layer = find_layer(network, layer)
  if not is_linear(network, layer):
    raise JdeepvisError(
      f"Units of layer {layer!r} are not linear in the image, so they have no "
      "filter of its kind; name a first layer."
    )
  before = before_relu(network, layer)
  seen = crop(network, before)

  def values(image):
    return seen(image[None], until=before)[before].ravel()

  found, pull = jax.vjp(values, jnp.zeros(seen.input.shape, jnp.float32))
  seeds = jax.nn.one_hot(jnp.array(units), len(found), dtype=found.dtype)
  return np.asarray(jax.vmap(pull)(seeds)[0])
