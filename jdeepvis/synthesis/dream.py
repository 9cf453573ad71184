"""DeepDream: a picture made more of what a network sees in it.

Mordvintsev, Olah and Tyka 2015 ("Inceptionism: Going Deeper into Neural
Networks", and the notebook published with it) maximise half the square of a
layer's values, from a photograph, at several sizes from small to large
(octaves): what one size added is enlarged and put on the next. Between steps
the picture is rolled at random (jitter); every step has the same mean change.
Guided dreams maximise the match with another picture's values.

Larger pictures are processed in tiles, and rolled by any amount so that no
seams form (Mordvintsev 2016, "DeepDreaming with TensorFlow"): neither memory
nor the compiled program grows with the picture. Resizing is antialiased, unlike
the notebook's.
"""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.synthesis import priors
from jdeepvis.synthesis.augmentation import affine
from jdeepvis.synthesis.inversion import code_of
from jdeepvis.synthesis.objective import Objective
from jdeepvis.synthesis.tiles import tile_size, tiled_gradient
from jdeepvis.types import Image, JdeepvisError, Leaf, PRNGKey, Scalar


class Plan(NamedTuple):
  """Settings of a dream; the defaults are the notebook's.

  Attributes:
    octaves: sizes, at least 1.
    ratio: of one size to the next smaller, at least 1.
    steps: at each size.
    rate: mean change of a value in a step, grey levels.
    jitter: largest roll of the picture between steps, pixels.
    tile: longest side that the network sees at once, pixels.
  """

  octaves: int = 4
  ratio: float = 1.4
  steps: int = 10
  rate: float = 1.5
  jitter: int = 32
  tile: int = 224


NOTEBOOK = Plan()


class Dream(NamedTuple):
  """A picture after some of its octaves.

  Attributes:
    image: of the size of the last octave done, centred.
    octave: how many are done.
    history: what each step of the last one recorded before it: `score`, the
      mean over tiles, and `gradient_norm`; arrays `[steps]`.
  """

  image: Float[Array, "h w c"]
  octave: int
  history: dict[str, Array]


def dream(
  score: Callable,
  image: Image,
  spec: InputSpec,
  plan: Plan = NOTEBOOK,
  *,
  key: PRNGKey,
) -> Dream:
  """The picture after gradient ascent at every size, from small to large.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> import jax
  >>> from jdeepvis.synthesis.dream import Plan
  >>> score = jdeepvis.bind(network, jdeepvis.layer_mean_square("output"))
  >>> photo, key = np.ones((12, 16, 3), np.float32), jax.random.key(0)
  >>> plan = Plan(octaves=1, steps=1)
  >>> jdeepvis.dream(score, photo, spec, plan, key=key).image.shape
  (12, 16, 3)

  Args:
    score: as for `ascend`, of images of any size, and a pytree as `bind` makes
      it of one of this module's objectives, a channel, a class.
    image: the picture, centred, of any size.
    spec: of the picture; see `InputSpec.of_size`.
    plan: sizes and steps; a tile's shape is static.
    key: of the jitter, and for scores that are random.

  Returns:
    The picture and the history of its steps.

  Raises:
    JdeepvisError: the network does not take tiles of some octave's size.
  """
  *_, last = octaves(score, image, spec, plan, key=key)
  return last


def octaves(
  score: Callable,
  image: Image,
  spec: InputSpec,
  plan: Plan = NOTEBOOK,
  *,
  key: PRNGKey,
  since: Dream | None = None,
) -> Iterator[Dream]:
  """`dream`, yielding after each octave.

  Args:
    score: as for `dream`, as are the other arguments.
    image: the picture.
    spec: of it.
    plan: sizes and steps.
    key: an octave's own is `fold_in(key, number)`.
    since: the last octave of an interrupted run, to resume from.
  """
  check(score, image.shape, plan)
  sizes = octave_sizes(image.shape[:2], plan)
  made = since and since.image
  if since and since.octave == plan.octaves:  # lacks nothing but its file
    yield since
  for number in range(int(since.octave) if since else 0, plan.octaves):
    initial = _resized(image, sizes[number])
    if number:
      detail = made - _resized(image, sizes[number - 1])
      initial = initial + _resized(detail, sizes[number])
    bounds = spec.of_size(sizes[number]).bounds
    own = jax.random.fold_in(key, number)
    made, history = _ascend_octave(score, initial, bounds, plan, key=own)
    yield Dream(made, number + 1, history)


def check(
  score: Callable, shape: tuple[int, int, int], plan: Plan = NOTEBOOK
) -> None:
  """Checks that the network takes the tiles of every octave.

  Args:
    score: as for `dream`.
    shape: of the picture.
    plan: its sizes and tiles count.

  Raises:
    JdeepvisError: it does not; names the first size that it refuses.
  """
  for size in octave_sizes(shape[:2], plan):
    tall, wide = tile_size(size, plan.tile)
    shown = jax.ShapeDtypeStruct((tall, wide, shape[-1]), jnp.float32)
    try:
      jax.eval_shape(score, jax.random.key(0), shown)
    except (TypeError, ValueError) as error:
      raise JdeepvisError(
        f"The network cannot be shown {tall} x {wide} pixels of a dream as far "
        "as the layer that is asked; choose an earlier layer, fewer octaves, "
        "or a tile of the size that it was made for."
      ) from error


def octave_sizes(size: tuple[int, int], plan: Plan) -> list[tuple[int, int]]:
  """Height and width at each octave, the smallest first."""
  factors = [plan.ratio**octave for octave in reversed(range(plan.octaves))]
  return [
    (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))
    for factor in factors
  ]


def match_guide(network: Network, layer: str, image: Image) -> "MatchGuide":
  """What a guided dream maximises: each position's best match in the guide.

  `mean_p max_q <x_p, y_q>` over the positions p of the picture's map and q of
  the guide's.

  Args:
    network: any network.
    layer: a blob of it.
    image: the guide, centred, of any size.

  Raises:
    JdeepvisError: there is no such layer.
  """
  code = code_of(network, layer, image)
  return MatchGuide(layer, code.reshape(-1, code.shape[-1]))


def closer(image: Image, share: Scalar) -> Float[Array, "h w c"]:
  """The image's middle, enlarged to its size: the next frame of a zoom.

  Args:
    image: centred.
    share: of each side that is left out, 0..1; the notebook's is 0.05.
  """
  return affine(image, shift=np.zeros(2, np.float32), scale=1 / (1 - share))


@struct.dataclass
class MatchGuide(Objective):
  """See `match_guide`."""

  layer: str = struct.field(pytree_node=False)
  guide: Leaf

  def __call__(self, blobs):
    # After the ReLU, as in the notebook: units at 0 get no gradient.
    values = blobs[self.layer]
    matches = values.reshape(-1, values.shape[-1]) @ self.guide.T
    return jnp.mean(jnp.max(matches, axis=1))


def _ascend_octave(score, image, bounds, plan, *, key):
  """The image after an octave's steps, and their history."""
  tile = tile_size(image.shape[:2], plan.tile)
  reach = [
    side if side > within else plan.jitter
    for side, within in zip(image.shape[:2], tile, strict=True)
  ]
  history = []
  for number in range(plan.steps):
    own = jax.random.fold_in(key, number)
    rolled, shift = _roll(own, image, jnp.array(reach, jnp.int32))
    value, grad = tiled_gradient(score, rolled, key=own, tile=plan.tile)
    image, norm = _step(rolled, grad, shift, plan.rate, bounds)
    history.append({"score": value, "gradient_norm": norm})
  return image, jax.tree.map(lambda *rows: jnp.stack(rows), *history)


@jax.jit
def _roll(key, image, reach):
  shift = jax.random.randint(key, (2,), -reach, reach + 1, jnp.int32)
  return jnp.roll(image, shift, (0, 1)), shift


@jax.jit
def _step(rolled, grad, shift, rate, bounds):
  size = jnp.mean(jnp.abs(grad))
  rolled = rolled + rate * grad / jnp.where(size > 0, size, 1)
  image = jnp.roll(rolled, -shift, (0, 1))
  return priors.box(image, *bounds), jnp.linalg.norm(grad)


@functools.partial(jax.jit, static_argnums=1)
def _resized(image, size):
  return jax.image.resize(image, (*size, image.shape[-1]), "linear")
