"""Whether a held-out classifier recognises a picture's class."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jdeepvis.networks import classify
from jdeepvis.networks.input_spec import WARP, InputSpec
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.synthesis.augmentation import random_affine
from jdeepvis.types import (
  Classes,
  Images,
  JdeepvisError,
  Pictures,
  PRNGKey,
)

_BATCH = 8
# Fixed, so that the measure does not depend on a recipe's augmentations.
_SHIFT, _SCALE = 0.05, 1.3


class Recognisability(NamedTuple):
  """A network's classification of pictures whose classes are known.

  Attributes:
    rank: place of the picture's class among all, 1 for the first.
    probability: of the picture's class.
    top1: share of pictures whose class comes first.
    top5: share of pictures whose class is among the first five.
    median_rank: half of the pictures do as well or better.
  """

  rank: Int[np.ndarray, " n"]
  probability: Float[np.ndarray, " n"]
  top1: float
  top5: float
  median_rank: float


class UnderAugmentation(NamedTuple):
  """Means over random augmentations of pictures whose classes are known.

  Attributes:
    probability: of the picture's class.
    activation: its score, before softmax.
  """

  probability: Float[np.ndarray, " n"]
  activation: Float[np.ndarray, " n"]


def recognisability(
  network: Network, images: Pictures, classes: Classes
) -> Recognisability:
  """How well a network names the classes that pictures were made for.

  The network should be a held-out classifier, one that did not make them. Ties
  count against a picture, as does NaN: a network that gives every class the
  same probability names none.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> red, blue = np.zeros((2, 8, 8, 3), np.uint8)
  >>> red[..., 0], blue[..., 2] = 255, 255
  >>> jdeepvis.recognisability(network, [red, blue], [0, 2]).top1
  1.0

  Args:
    network: any with these classes.
    images: uint8 `[h, w, c]` of any sizes, preprocessed as photographs are.
    classes: the class of each.

  Returns:
    Each picture's rank and probability, and their summary.

  Raises:
    JdeepvisError: there are no images, not one class an image, or a class
      that the network does not have.
  """
  values = _probabilities(network, _centred(images, network.input))
  own = _of_classes(values, classes)
  rank = np.sum(~(values < own[:, None]), axis=1)
  return Recognisability(
    rank=rank,
    probability=own,
    top1=float(np.mean(rank <= 1)),
    top5=float(np.mean(rank <= 5)),
    median_rank=float(np.median(rank)),
  )


def under_augmentation(
  key: PRNGKey,
  network: Network,
  images: Pictures,
  classes: Classes,
  *,
  samples: int = 16,
) -> UnderAugmentation:
  """A network's mean answer to pictures under random shifts and rescalings.

  A picture that convinces from one exact viewpoint alone scores low. Shifts
  have a standard deviation of 5 % of the side, magnifications lie within a
  factor of 1.3; all images get the same ones.

  Args:
    key: of the augmentations.
    network: any network, the one that made the images among them.
    images: uint8 `[h, w, c]` of any sizes, each filling the whole input.
    classes: the class of each.
    samples: how many augmentations.

  Raises:
    JdeepvisError: as in `recognisability`.
  """
  centred = _centred(images, network.input.replace(resize=None, rule=WARP))
  look = jax.vmap(
    functools.partial(random_affine, shift=_SHIFT, scale=_SCALE),
    in_axes=(None, 0),
  )
  values, scores = [], []
  for one in jax.random.split(key, samples):
    seen = look(one, centred)
    values.append(_of_classes(_probabilities(network, seen), classes))
    scores.append(_of_classes(_scores(network, seen), classes))
  return UnderAugmentation(np.mean(values, axis=0), np.mean(scores, axis=0))


def _centred(images: Pictures, spec: InputSpec) -> Images:
  if not len(images):
    raise JdeepvisError("There are no images to recognise anything in.")
  return np.stack([preprocess(image, spec) for image in images])


def _probabilities(
  network: Network, images: Images
) -> Float[np.ndarray, "n k"]:
  ask = functools.partial(classify.probabilities, network)
  return _in_batches(ask, images)


def _scores(network: Network, images: Images) -> Float[np.ndarray, "n k"]:
  scores = class_scores(network)
  ask = functools.partial(classify.activations, network, scores)
  return _in_batches(ask, images).reshape(len(images), -1)


def _in_batches(ask: Callable, images: Images) -> np.ndarray:
  """In batches of one size: one program and little memory for any number."""
  answers = []
  for first in range(0, len(images), _BATCH):
    batch = images[first : first + _BATCH]
    padding = [(0, _BATCH - len(batch)), *[(0, 0)] * 3]
    answers.append(np.asarray(ask(np.pad(batch, padding)))[: len(batch)])
  return np.concatenate(answers)


def _of_classes(
  values: Float[np.ndarray, "n k"], classes: Classes
) -> Float[np.ndarray, " n"]:
  classes = np.asarray(classes)
  if len(classes) != len(values):
    raise JdeepvisError(
      f"Each image needs a class: {len(values)} images, {len(classes)} classes."
    )
  count = values.shape[1]
  for unit in classes:
    if not 0 <= unit < count:
      raise JdeepvisError(
        f"The network has classes 0 to {count - 1}, so {unit} is none of them."
      )
  return values[np.arange(len(classes)), classes]
