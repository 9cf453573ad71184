"""Backward views of a unit: gradient, deconvnet, guided backpropagation.

One function, `backward`; what a ReLU does to the backward signal is an
argument, passed to the network as its rectifier. With x the ReLU's input, and d
the signal from above:

    gradient   d where x > 0
    deconv     d where d > 0                (Zeiler and Fergus 2014, §2.1)
    guided     d where x > 0 and d > 0      (Springenberg et al. 2015, §3.4)

All else is the plain derivative: a max pooling sends everything to the
maximum's position, the first of equals. Since a deconvnet has no forward mask,
a window of zeros sends its signal to its first position, as in the original.
"""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jdeepvis.networks.graph import with_layers
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.names import (
  before_relu,
  class_scores,
  find_layer,
  nearest,
)
from jdeepvis.networks.network import Network
from jdeepvis.types import AnyArray, Images, JdeepvisError

Maps = Float[AnyArray, "n *cells f"]
Units = Int[AnyArray, " n"]
Positions = Int[AnyArray, "n 2"]


def backward(
  network: Network,
  images: Images,
  layer: str,
  seed: Maps,
  *,
  rule: str = "gradient",
) -> Float[Array, "n h w c"]:
  """A layer's signal propagated back to the images by a backward rule.

  The layer's own ReLU is left out, as in the original: the signal starts at
  `conv1/pre` where there is one, so that a unit at 0 has a view too.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> images = np.zeros((1, 8, 8, 3), np.float32)
  >>> seed = np.float32([[0, 0, 64]])
  >>> jdeepvis.backward(network, images, "output", seed)[0, 0, 0].tolist()
  [0.0, 0.0, 1.0]

  Args:
    network: any network; one without any ReLU has the rule `gradient` alone.
    images: centred, `[n, h, w, c]`.
    layer: a blob of it; `output` stands for the class scores. Static.
    seed: the signal, shaped as the layer's values; see `point_seed` and
      `map_seed`.
    rule: a key of `RULES`. Static. Under other rules than `gradient` a leaky
      ReLU counts as a plain one.

  Returns:
    Signals at the images, change of the seeded sum per grey level where the
    rule is `gradient`.

  Raises:
    JdeepvisError: there is no such layer or rule, or there is no ReLU, or the
      seed has another shape.
  """
  _require_known(rule)
  start = before_relu(network, find_layer(network, layer))
  return pull_back(network, images, seed, blob=start, rule=rule)[0]


def gradient_times_input(
  network: Network, images: Images, layer: str, seed: Maps
) -> Float[Array, "n h w c"]:
  """`image * gradient`: to first order what each value adds to the score.

  `images` are centred, so a pixel of the mean colour adds nothing (Shrikumar
  et al. 2016, arXiv:1605.01713).

  Args:
    network: as for `backward`.
    images: as for `backward`.
    layer: as for `backward`.
    seed: as for `backward`.
  """
  return images * backward(network, images, layer, seed)


def saliency(
  network: Network, images: Images, classes: Units
) -> Float[Array, "n h w"]:
  """The class saliency map: the largest `|gradient|` among the channels.

  Of the class score before softmax (Simonyan et al. 2013, arXiv:1312.6034,
  §3.1).

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> images = np.zeros((1, 8, 8, 3), np.float32)
  >>> jdeepvis.saliency(network, images, np.array([2])).shape
  (1, 8, 8)

  Args:
    network: any network with classes.
    images: centred, `[n, h, w, c]`.
    classes: of each image.

  Returns:
    A map for each image, `[n, h, w]`, class scores per grey level.

  Raises:
    JdeepvisError: the network has no class scores.
  """
  scores = class_scores(network)
  shape = (len(images), *network.shapes[scores])
  seed = point_seed(jnp.zeros(shape, jnp.float32), classes)
  gradient = backward(network, images, scores, seed)
  return jnp.max(jnp.abs(gradient), axis=-1)


def point_seed(
  values: Maps, units: Units, positions: Positions | None = None
) -> Float[Array, "n *cells f"]:
  """1 at one position of one unit for each image, 0 elsewhere.

  Args:
    values: anything of the layer's shape, `[n, h, w, c]` or `[n, c]`.
    units: the channel for each image.
    positions: row and column in the map for each image; None is the centre,
      and vectors have none.
  """
  n, *size, _ = values.shape
  if positions is None:
    positions = jnp.broadcast_to(jnp.array(size) // 2, (n, len(size)))
  cells = tuple(positions.T) if size else ()
  return jnp.zeros_like(values).at[(jnp.arange(n), *cells, units)].set(1)


def map_seed(values: Maps, units: Units) -> Float[Array, "n *cells f"]:
  """One unit's whole activation map for each image, 0 in the other channels.

  What the original's interactive tool sends back.

  Args:
    values: the layer's activations, `[n, h, w, c]` or `[n, c]`.
    units: the channel for each image.
  """
  chosen = jnp.arange(values.shape[-1])[None] == units[:, None]
  middle = (1,) * (values.ndim - 2)
  chosen = chosen.reshape(len(units), *middle, -1)
  return jnp.where(chosen, values, 0)


def pass_normalisation(network: Network) -> Network:
  """The network whose LRN passes signals back unchanged.

  Forward nothing changes. This is the original's `deconv_ignore`; without it
  LRN applies its derivative under every rule.

  Args:
    network: one with a layer graph; another is returned as it is.
  """
  if not network.layers:
    return network
  layers = tuple(
    layer._replace(kind=LAYER_TYPES[layer.kind].passed or layer.kind)
    for layer in network.layers
  )
  return with_layers(network, layers)


def require_rule(network: Network, rule: str) -> None:
  """Refuses a backward rule that a network cannot have; nothing is computed.

  Args:
    network: any network.
    rule: a key of `RULES`.

  Raises:
    JdeepvisError: there is no such rule, or the network has no ReLU.
  """
  _require_known(rule)
  image = jax.ShapeDtypeStruct((1, *network.input.shape), network.dtype)
  relu = RULES[rule]
  jax.eval_shape(lambda image: network(image, relu=relu), image)


def _require_known(rule: str) -> None:
  if rule not in RULES:
    raise JdeepvisError(
      f"There is no backward rule {rule!r}; {nearest(rule, RULES)}."
    )


@functools.partial(jax.jit, static_argnames=("blob", "rule"))
def pull_back(network, images, seed, *, blob, rule):
  """`backward`, for a blob and a rule that are known to exist.

  Args:
    network: any network.
    images: centred, `[n, h, w, c]`.
    seed: what is sent back, of the shape of the blob.
    blob: where it starts.
    rule: a key of `RULES`.

  Returns:
    The signal, and the blob's values that were computed on the way.

  Raises:
    JdeepvisError: the seed has another shape than the blob.
  """

  def values(images):
    return network(images, until=blob, relu=RULES[rule])[blob]

  blobs, pull = jax.vjp(values, images)
  if jnp.shape(seed) != blobs.shape:
    raise JdeepvisError(
      f"The seed has shape {jnp.shape(seed)}; the values of {blob!r} have "
      f"{blobs.shape}, and so must it."
    )
  return pull(jnp.asarray(seed, blobs.dtype))[0], blobs


def _rectifier(send_back: Callable) -> Callable:
  """A ReLU whose derivative is `send_back(on, signal)`, `on` where it let pass.

  A signal is sent back through the deconvnet's rectifiers as through a ReLU
  (Zeiler and Fergus 2014), guided only where they were on as well.
  """
  relu = jax.custom_vjp(jax.nn.relu)
  relu.defvjp(
    lambda x: (jax.nn.relu(x), x > 0),
    lambda on, signal: (send_back(on, signal),),
  )
  return relu


RULES: Mapping[str, Callable] = MappingProxyType(
  {
    "gradient": jax.nn.relu,
    "deconv": _rectifier(lambda on, signal: jax.nn.relu(signal)),
    "guided": _rectifier(
      lambda on, signal: jnp.where(on, jax.nn.relu(signal), 0)
    ),
  }
)
"""The rectifier of each backward rule, by its name."""
