"""Occlusion sensitivity: which parts of an image a unit depends on.

Zeiler and Fergus 2014 ("Visualizing and Understanding Convolutional Networks",
arXiv:1311.2901, §4.2 and figure 7) slide a grey square over a photograph and
map the class's probability (their column d) or the total activation of a
feature map (column b), for each place of the square.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import locate
from jdeepvis.types import Image, Index, JdeepvisError


def occlude(
  network: Network,
  image: Image,
  layer: str,
  unit: Index,
  *,
  position: tuple[int, int] | None = None,
  size: int = 48,
  stride: int = 12,
  batch: int = 16,
) -> Float[Array, "rows columns"]:
  """A unit's value for an image with each place of it covered in turn.

  The square has the mean colour and is clipped at the borders; its middle is
  at row `i * stride + stride // 2` of the image for row i of the map, and so
  for columns. Units and images share one program.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> image = np.zeros((8, 8, 3), np.float32)
  >>> jdeepvis.occlude(network, image, "output", 2, size=4, stride=4).shape
  (2, 2)

  Args:
    network: any network.
    image: centred, `[h, w, c]`.
    layer: a blob of it; `output` stands for the class scores, and a softmax's
      blob gives probabilities, as in the paper. Static.
    unit: the channel.
    position: row and column in the map; None sums the unit over its whole map,
      as the paper does.
    size: side of the square, pixels; at least 1.
    stride: from one place to the next, pixels; at least 1. Static.
    batch: covered images shown to the network at once. Static.

  Returns:
    The unit's values. A place that matters has a low one: sensitivity is
    `value(network, image, layer, unit) - occlude(...)`.

  Raises:
    JdeepvisError: the network has no such layer, unit or position, or a number
      is out of its range.
  """
  blob = _check(network, layer, unit, position)
  if min(size, stride, batch) < 1:
    raise JdeepvisError(
      f"Size {size}, stride {stride} and batch {batch} must be at least 1."
    )
  middles = [
    np.arange(stride // 2, side, stride) for side in network.input.shape[:2]
  ]
  places = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)
  rows, columns, _ = places.shape
  places = places.reshape(-1, 2)
  padding = -len(places) % batch
  places = np.concatenate([places, places[:1].repeat(padding, axis=0)])
  values = _occlude(
    network,
    blob,
    image,
    unit,
    position,
    size,
    jnp.asarray(places.reshape(-1, batch, 2), jnp.int32),
  )
  return values.reshape(-1)[: rows * columns].reshape(rows, columns)


def value(
  network: Network,
  image: Image,
  layer: str,
  unit: Index,
  *,
  position: tuple[int, int] | None = None,
) -> Float[Array, ""]:
  """The unit's value for the whole image.

  Args:
    network: any network.
    image: centred, `[h, w, c]`, grey levels.
    layer: a blob.
    unit: the channel.
    position: row and column of the neuron in its map; None is the whole map.
  """
  blob = _check(network, layer, unit, position)
  return _value(network, blob, image, unit, position)


def _check(network, layer, unit, position) -> str:
  blob = find_layer(network, layer)
  shape = network.shapes[blob]
  if not 0 <= unit < shape[-1]:
    raise JdeepvisError(
      f"Layer {blob!r} has units 0 to {shape[-1] - 1}, so not {unit}."
    )
  if position is not None:
    locate(blob, shape, position)
  return blob


@functools.partial(jax.jit, static_argnames="blob")
def _value(network, blob, image, unit, position):
  values = network(image[None], until=blob)[blob]
  return _read(values, unit, position)[0]


@functools.partial(jax.jit, static_argnames="blob")
def _occlude(network, blob, image, unit, position, size, places):
  def some(middles):
    covered = jax.vmap(_cover, in_axes=(None, 0, None))(image, middles, size)
    return _read(network(covered, until=blob)[blob], unit, position)

  return lax.map(some, places)


def _cover(image: Image, middle, size) -> Image:
  """The square's rows are `middle - size // 2` and `size - 1` further ones."""
  height, width, _ = image.shape
  down = jnp.arange(height, dtype=jnp.int32) - middle[0] + size // 2
  right = jnp.arange(width, dtype=jnp.int32) - middle[1] + size // 2
  inside = ((down >= 0) & (down < size))[:, None] & (
    (right >= 0) & (right < size)
  )[None]
  return jnp.where(inside[..., None], 0, image)


def _read(values, unit, position):
  values = jnp.asarray(values, jnp.float32)
  if values.ndim == 2:
    return values[:, unit]
  if position is not None:
    return values[:, position[0], position[1], unit]
  return jnp.sum(values[..., unit].reshape(len(values), -1), axis=1)
