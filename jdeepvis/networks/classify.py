"""Probabilities and activations of images, by programs that compile once."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.types import Images


def probabilities(network: Network, images: Images) -> Float[Array, "n k"]:
  """Each class's probability, as the network itself gives it.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> image = np.zeros((1, 8, 8, 3), np.float32)
  >>> jdeepvis.probabilities(network, image).shape
  (1, 3)

  Args:
    network: any network with classes.
    images: centred, `[n, h, w, c]`.

  Returns:
    The last softmax of the layer graph, or that of the class scores where no
    graph is known.

  Raises:
    JdeepvisError: the network has no class scores.
  """
  scores, blob = class_scores(network), probability_blob(network)
  return as_probabilities(network, activations(network, blob or scores, images))


def as_probabilities(
  network: Network, values: Float[Array, "n ..."]
) -> Float[Array, "n k"]:
  """Values of `probability_blob`, or else of the scores, as probabilities."""
  values = jnp.asarray(values, jnp.float32).reshape(len(values), -1)
  return values if probability_blob(network) else jax.nn.softmax(values)


def probability_blob(network: Network) -> str | None:
  """The blob of the layer graph's last softmax, or None where none is.

  None as well where there are no class scores.
  """
  if network.output is None:
    return None
  softmax = [info for info in network.layers if LAYER_TYPES[info.kind].softmax]
  return softmax[-1].outputs[0] if softmax else None


@functools.partial(jax.jit, static_argnames="layer")
def activations(
  network: Network, layer: str, images: Images
) -> Float[Array, "n ..."]:
  """One layer's values, `[n, h, w, c]` or `[n, c]`.

  Args:
    network: any network.
    layer: a blob of it. Static.
    images: centred, `[n, h, w, c]`.
  """
  return network(images, until=layer)[layer]
