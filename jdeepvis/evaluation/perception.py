"""What a second network sees in pictures, as vectors to compare."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.types import Images, JdeepvisError, Pictures

_BATCH = 8
# Added to lengths, so that a position where nothing answers stays zero.
_SMALL = 1e-10


def perceptual_features(
  network: Network, pictures: Pictures, layer: str
) -> Float[np.ndarray, "n d"]:
  """Pictures as unit vectors whose products are perceptual similarities.

      v = concatenation over positions p of y_p / |y_p|, over its own length

  of a layer's activations y. So `v @ w` is the mean over positions of the
  cosine between the channels of two pictures, and `|v - w|**2` is the distance
  LPIPS of that layer with all channels weighted alike. The network should be
  another than the one that made the pictures.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> dark, red, blue = np.zeros((3, 4, 4, 3), np.uint8)
  >>> dark[..., 0], red[..., 0], blue[..., 2] = 9, 255, 255
  >>> v = jdeepvis.perceptual_features(network, [dark, red, blue], "output")
  >>> (v @ v[0]).round(3).tolist()
  [1.0, 1.0, 0.0]

  Args:
    network: any network.
    pictures: uint8 `[h, w, c]` of any sizes, each resized to fill the whole
      input, without a centre crop.
    layer: a blob of it; `output` stands for the class scores.

  Returns:
    A vector of length 1 for each picture, of 0 where the layer is silent.

  Raises:
    JdeepvisError: there are no pictures, or no such layer.

  Source: Zhang et al. 2018, *The unreasonable effectiveness of deep features
  as a perceptual metric*, section 3, equation 1, with w = 1.
  """
  if not len(pictures):
    raise JdeepvisError("There are no pictures to take features of.")
  layer = find_layer(network, layer)
  spec = network.input.replace(resize=None)
  rows = []
  for first in range(0, len(pictures), _BATCH):
    batch = [preprocess(one, spec) for one in pictures[first : first + _BATCH]]
    missing = _BATCH - len(batch)  # one size, one program
    padded = np.pad(np.stack(batch), [(0, missing), *[(0, 0)] * 3])
    rows.append(np.asarray(_features(network, layer, padded))[: len(batch)])
  return np.concatenate(rows)


@functools.partial(jax.jit, static_argnames="layer")
def _features(
  network: Network, layer: str, images: Images
) -> Float[Array, "n d"]:
  values = network(images, until=layer)[layer].astype(jnp.float32)
  rows = _unit(values).reshape(len(values), -1)
  return _unit(rows)


def _unit(values: Float[Array, "..."]) -> Float[Array, "..."]:
  length = jnp.linalg.norm(values, axis=-1, keepdims=True)
  return values / (length + _SMALL)
