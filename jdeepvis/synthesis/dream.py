"""DeepDream: a picture made more of what a layer already sees in it.

Mordvintsev, Olah and Tyka 2015 ("Inceptionism: Going deeper into neural
networks", and the notebook published with it): climb the mean square of a
layer's activations from a photograph, from coarse to fine (octaves), moving the
picture about between steps (jitter), each step as large as the last on average.
Guided dreams climb the match with another picture's activations. Gradients are
taken in tiles, so that memory does not grow with the picture.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.networks.network import Network
from jdeepvis.synthesis.inversion import code_of
from jdeepvis.synthesis.objectives import Objective
from jdeepvis.synthesis.score import bind
from jdeepvis.types import Image, JdeepvisError, Leaf, PRNGKey, Scalar


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Strength(Objective):
  """Half the mean square of a layer's values: whatever it sees, more of it.

  Attributes:
    layer: a blob's name.
  """

  layer: str = dataclasses.field(metadata={"static": True})

  def __call__(self, blobs):
    return 0.5 * jnp.mean(blobs[self.layer] ** 2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Likeness(Objective):
  """Mean over places of the match with the guide's most alike place.

  Attributes:
    layer: a blob's name.
    guide: the guide's values there, `[places, c]`; see `guided`.
  """

  layer: str = dataclasses.field(metadata={"static": True})
  guide: Leaf

  def __call__(self, blobs):
    values = blobs[self.layer]
    values = values.reshape(-1, values.shape[-1])
    # The choice is the match's argmax: its derivative is the guide's place.
    return jnp.mean(jnp.max(values @ self.guide.T, axis=1))


def guided(network: Network, layer: str, image: Image) -> Likeness:
  """The objective of a dream guided by another picture.

  Args:
    network: any network.
    layer: a blob of it.
    image: the guide, centred.

  Raises:
    JdeepvisError: there is no such layer.
  """
  values = code_of(network, layer, image)
  return Likeness(layer, values.reshape(-1, values.shape[-1]))


def dream(
  network: Network,
  objective: Objective,
  image: Image,
  *,
  key: PRNGKey,
  octaves: int = 4,
  ratio: float = 1.4,
  steps: int = 10,
  rate: Scalar = 1.5,
  jitter: int = 32,
  tile: int = 256,
) -> Float[Array, "h w c"]:
  """The picture after a climb at every octave, coarse to fine.

  What an octave added is enlarged and put on the next one's picture.

  Args:
    network: any network that takes images of any size.
    objective: `Strength`, `guided`, or any other: a channel, a class.
    image: centred, of any size; its mean must be one number a channel.
    key: of the jitter.
    octaves: sizes, at least 1. Static.
    ratio: of one size to the next smaller. Static.
    steps: at each size. Static.
    rate: mean size of a step, grey levels.
    jitter: largest shift between steps, pixels. Static.
    tile: largest side of what a gradient is taken of at once, pixels. Static.

  Raises:
    JdeepvisError: the network has no such layer or unit, or its mean is an
      image.
  """
  if jnp.ndim(network.input.mean) != 1:
    raise JdeepvisError(
      "This network's mean is an image of one size, so it cannot dream at "
      "others; give it a mean of one number a channel."
    )
  score = bind(network, objective)
  height, width, channels = image.shape
  detail = jnp.zeros((1, 1, channels))
  for octave in reversed(range(octaves)):
    size = (
      max(1, round(height / ratio**octave)),
      max(1, round(width / ratio**octave)),
      channels,
    )
    base = jax.image.resize(image, size, "linear")
    detail = jax.image.resize(detail, size, "linear")
    made = _climb(
      score,
      base + detail,
      network.input.bounds,
      rate,
      jax.random.fold_in(key, octave),
      steps,
      jitter,
      tile,
    )
    detail = made - base
  return made


def zoom(
  step: Callable[[PRNGKey, Image], Image],
  image: Image,
  *,
  key: PRNGKey,
  frames: int,
  closer: float = 0.05,
) -> Iterator[Float[Array, "h w c"]]:
  """Dreams of dreams, each a little closer to the middle of the last.

  Args:
    step: a dream, from key and image to image of the same size.
    image: the first, centred.
    key: a frame's own is `fold_in(key, frame)`.
    frames: how many.
    closer: share of the sides that is cut away from frame to frame.

  Yields:
    The frames.
  """
  for frame in range(frames):
    image = step(jax.random.fold_in(key, frame), image)
    yield image
    image = magnify(image, 1 / (1 - closer))


def magnify(image: Image, factor: Scalar) -> Float[Array, "h w c"]:
  """The image seen `factor` times larger, about its middle, bilinearly."""
  sides = jnp.array(image.shape[:2], jnp.float32)
  return jax.image.scale_and_translate(
    jnp.asarray(image),
    image.shape,
    (0, 1),
    jnp.full(2, factor, jnp.float32),
    (1 - factor) * sides / 2,
    "linear",
    antialias=False,
  )


def tiled_gradient(
  score: Callable, image: Image, *, key: PRNGKey, tile: int
) -> Float[Array, "h w c"]:
  """The gradient of a score that sees one tile of the image at a time.

  Tiles of one size cover the image; where they overlap, their mean counts.
  They leave seams unless the image moves about between steps.

  Args:
    score: as for `render`, of an image of any size.
    image: centred.
    key: for scores that are random.
    tile: largest side of a tile, pixels. Static.
  """
  height, width, channels = image.shape
  down, tall = _spread(height, tile)
  right, wide = _spread(width, tile)
  starts = jnp.array([(y, x) for y in down for x in right])
  size = (tall, wide, channels)

  def value(part):
    told = score(key, part)
    return told[0] if isinstance(told, tuple) else told

  def add(carry, start):
    total, count = carry
    corner = (start[0], start[1], 0)
    grad = jax.grad(value)(lax.dynamic_slice(image, corner, size))
    seen = lax.dynamic_slice(total, corner, size) + grad
    counted = lax.dynamic_slice(count, corner, size) + 1
    return (
      lax.dynamic_update_slice(total, seen, corner),
      lax.dynamic_update_slice(count, counted, corner),
    ), None

  nothing = jnp.zeros_like(image)
  (total, count), _ = lax.scan(add, (nothing, nothing), starts)
  return total / count


@functools.partial(jax.jit, static_argnums=(5, 6, 7))
def _climb(score, image, bounds, rate, key, steps, jitter, tile):
  def step(image, number):
    mine = jax.random.fold_in(key, number)
    shift = jax.random.randint(mine, (2,), -jitter, jitter + 1)
    rolled = jnp.roll(image, shift, (0, 1))
    grad = tiled_gradient(score, rolled, key=mine, tile=tile)
    size = jnp.mean(jnp.abs(grad))
    rolled = rolled + rate * grad / jnp.where(size > 0, size, 1)
    return jnp.clip(jnp.roll(rolled, -shift, (0, 1)), *bounds), None

  return lax.scan(step, jnp.asarray(image), jnp.arange(steps))[0]


def _spread(side: int, tile: int) -> tuple[list[int], int]:
  """Where tiles begin that cover a side evenly, and how long each is."""
  if side <= tile:
    return [0], side
  count = math.ceil(side / tile)
  return [round(i * (side - tile) / (count - 1)) for i in range(count)], tile
