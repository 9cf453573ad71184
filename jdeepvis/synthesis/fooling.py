"""Fooling images by gradient: noise that a network is certain of.

Nguyen, Yosinski and Clune 2015 ("Deep Neural Networks are Easily Fooled",
arXiv:1412.1897, the section on gradient ascent) maximise a class's softmax
probability from the mean image with a little noise until it is 99.99 %. Here
its logarithm is maximised, whose gradient has the same direction and does not
vanish where the probability is small, in steps of a fixed size. The network
always sees whole grey levels: what is reached holds for the picture in a file.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.tree_util import Partial
from jaxtyping import Array

from jdeepvis.networks.classify import (
  probability_blob,
  require_probabilities,
)
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.sharding import WHOLE, mesh_for, replicate, sharded
from jdeepvis.synthesis import ascend, assembly, priors
from jdeepvis.synthesis.objectives import log_probability
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.score import Score, bind
from jdeepvis.types import Image, Images, Index, PRNGKey, Scalar


class Fooling(NamedTuple):
  """A fooling image, or several with a leading axis.

  Attributes:
    image: the last image evaluated, before rounding; centred.
    confidence: the probability of the class in it, 0..1.
    steps: how many were taken to get there.
    history: what each evaluation recorded, arrays `[limit]`; only the first
      `steps + 1` entries count.
  """

  image: Array
  confidence: Array
  steps: Array
  history: dict[str, Array]


def certainty(network: Network, unit: Index) -> Score:
  """The score of an image rounded to whole grey levels: `log p(unit)`.

  It is the log-softmax of the class scores, and records `probability` as the
  network itself gives it; the two differ where a ReLU lies before the softmax.
  The gradient is that at the rounded image.

  Args:
    network: any network with classes.
    unit: the class.

  Raises:
    JdeepvisError: the network has no such class.
  """
  _require_classes(network, unit)
  return Partial(_certainty, network, unit)


def fool(
  score: Callable,
  transform: optax.GradientTransformation,
  image: Image,
  *,
  key: PRNGKey,
  confidence: Scalar = 0.996,
  limit: int = 200,
) -> Fooling:
  """Maximises `score` until its `probability` is high enough.

  Under `vmap` a picture that is done stays as it is while others go on.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> import jax, optax
  >>> from jdeepvis.synthesis.fooling import certainty
  >>> key, image = jax.random.key(0), np.zeros(spec.shape, np.float32)
  >>> fooled = jdeepvis.fool(
  ...   certainty(network, 2), optax.sgd(1e3), image, key=key, confidence=0.9
  ... )
  >>> bool(fooled.confidence > 0.9)
  True

  Args:
    score: as for `ascend`, recording `probability`; see `certainty`.
    transform: an optax chain; see `assembly.optimizer`.
    image: the initial image, centred.
    key: for scores that are random.
    confidence: the probability to reach, 0..1.
    limit: most evaluations, at least 1; static.

  Returns:
    The picture, how certain the network is of it, and the steps taken.
  """

  def look(carry):
    state, _, history = carry
    number = state.last.step + 1
    state, seen = ascend.advance(score, transform, state, number[None])
    history = jax.tree.map(
      lambda rows, row: rows.at[number].set(row[0]), history, seen
    )
    return state, seen["probability"][0], history

  def goes_on(carry):
    state, probability, _ = carry
    return ~(probability >= confidence) & (state.last.step + 1 < limit)

  state = ascend.init(key, transform, image)
  steps = jax.ShapeDtypeStruct((limit,), jnp.int32)
  _, shapes = jax.eval_shape(
    functools.partial(ascend.advance, score, transform), state, steps
  )
  history = jax.tree.map(lambda row: jnp.zeros(row.shape, row.dtype), shapes)
  state, probability, history = lax.while_loop(
    goes_on, look, (state, jnp.float32(0), history)
  )
  return Fooling(state.last.image, probability, state.last.step, history)


def fool_many(
  network: Network,
  recipe: Recipe,
  units: Sequence[int],
  images: Images,
  *,
  confidence: float = 0.996,
  limit: int = 200,
) -> Fooling:
  """`fool` for several classes side by side, split over the local devices.

  Each device goes on until its own pictures are done. Units, initial images,
  strengths and confidences are arguments of one compiled program.

  Args:
    network: any network with classes.
    recipe: step policy and priors; its augmentations, log_prob_weight and steps
      are ignored.
    units: the class of each picture, a multiple of the number of devices.
    images: the initial images, centred; clipped to the box.
    confidence: the probability to reach, 0..1.
    limit: most evaluations, at least 1; static.

  Raises:
    JdeepvisError: the network has no such class.
  """
  for unit in units:
    _require_classes(network, unit)
  return _fool_many(
    replicate(network),
    recipe,
    confidence,
    jnp.array(units),
    jnp.asarray(images),
    limit=limit,
    mesh=mesh_for(len(units)),
  )


def _require_classes(network, unit) -> None:
  require_probabilities(network)
  bind(network, log_probability(unit))


def _certainty(network, unit, key, image):
  del key
  scores, blob = class_scores(network), probability_blob(network)
  black, _ = network.input.bounds
  whole = jnp.round(image - black) + black
  image = image + lax.stop_gradient(whole - image)
  blobs = network(image[None], until=(scores, blob or scores))
  blobs = {name: jnp.asarray(x[0], jnp.float32) for name, x in blobs.items()}
  value = log_probability(unit)({"output": blobs[scores]})
  chance = blobs[blob].reshape(-1)[unit] if blob else jnp.exp(value)
  return value, {"probability": chance}


@functools.partial(jax.jit, static_argnames=("limit", "mesh"))
def _fool_many(network, recipe, confidence, units, images, *, limit, mesh):
  def one(network, recipe, confidence, unit, image):
    return fool(
      Partial(_certainty, network, unit),
      assembly.optimizer(recipe, network.input),
      priors.box(image, *network.input.bounds),
      key=jax.random.key(0),
      confidence=confidence,
      limit=limit,
    )

  batched = jax.vmap(one, in_axes=(None,) * 3 + (0, 0))
  return sharded(batched, mesh, *[WHOLE] * 3)(
    network, recipe, confidence, units, images
  )
