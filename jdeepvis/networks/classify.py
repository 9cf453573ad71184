"""Probabilities and activations of images, by programs that compile once."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.readings import SIGMOID, SOFTMAX, reading
from jdeepvis.networks.regions import Position
from jdeepvis.types import Images, JdeepvisError


def probabilities(
  network: Network, images: Images, position: Position | None = None
) -> Float[Array, "n k"]:
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
    network: a network with class scores that says how they become
      probabilities, see `reading_of`.
    images: centred, `[n, h, w, c]`.
    position: row and column, where the scores are a map; None is the centre.

  Returns:
    The last softmax of the layer graph, or its last sigmoid; where no graph is
    known the softmax of the class scores, or the sigmoid that a Keras model
    ends in.

  Raises:
    JdeepvisError: the network has no class scores, or does not say how they
      become probabilities.
  """
  require_probabilities(network)
  blob = probability_blob(network) or network.output
  values = activations(network, blob, images)
  return as_probabilities(network, values, position)


def as_probabilities(
  network: Network,
  values: Float[Array, "n ..."],
  position: Position | None = None,
) -> Float[Array, "n k"]:
  """Values of `probability_blob`, or else of the scores, as probabilities.

  Args:
    network: whose they are.
    values: `[n, k]`, or a map `[n, h, w, k]`.
    position: where it is read; None is the centre.
  """
  values = jnp.asarray(values, jnp.float32)
  if values.ndim == 4:
    # As `neuron` reads it: all classes of one place make 1 together.
    row, column = position or (values.shape[1] // 2, values.shape[2] // 2)
    values = values[:, row, column]
  if probability_blob(network):
    return values
  sigmoid = reading_of(network) == SIGMOID
  return jax.nn.sigmoid(values) if sigmoid else jax.nn.softmax(values)


def probability_blob(network: Network) -> str | None:
  """The blob of the layer graph's last softmax or sigmoid, or None.

  None as well where there are no class scores.
  """
  said = reading(network.layers) if network.output is not None else None
  return said.outputs[0] if said else None


def reading_of(network: Network) -> str | None:
  """How class scores become probabilities: `softmax`, `sigmoid` or None.

  What the layer graph says. A model without a graph names its scores as those
  before a softmax, see `from_function`, unless its framework says that a
  sigmoid follows. Of a single score a softmax would be 1 whatever it is, so
  nothing is said of it.
  """
  if network.output is None:
    return None
  if network.layers:
    said = reading(network.layers)
    return LAYER_TYPES[said.kind].probabilities if said else None
  if getattr(network.apply, "reading", SOFTMAX) == SIGMOID:
    return SIGMOID
  return SOFTMAX if network.shapes[network.output][-1] > 1 else None


def require_probabilities(network: Network) -> None:
  """Refuses a network whose scores are not said to become probabilities.

  Raises:
    JdeepvisError: the network has no class scores, or no such reading of them.
  """
  scores = class_scores(network)
  if reading_of(network) is None:
    raise JdeepvisError(
      f"Nothing says how the scores {scores!r} of this network become "
      "probabilities; give a network that ends in a softmax or a sigmoid "
      '(in a .prototxt: layer { name: "prob" type: "Softmax" bottom: '
      f'"{scores}" top: "prob" }}).'
    )


def require_exclusive(network: Network) -> None:
  """Refuses a network whose classes cannot have a softmax's probabilities.

  Raises:
    JdeepvisError: the network has no class scores, only one, or a sigmoid
      follows them.
  """
  scores = class_scores(network)
  if network.shapes[scores][-1] == 1:
    raise JdeepvisError(
      f"A single score, {scores!r}, has no softmax; take its value itself."
    )
  if reading_of(network) == SIGMOID:
    raise JdeepvisError(
      f"The classes of {scores!r} do not exclude one another, for a sigmoid "
      "follows; take their scores, or a network that ends in a softmax."
    )


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
