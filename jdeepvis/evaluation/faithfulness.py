"""Whether pictures take the paths of photographs through a network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.stats import rankdata

from jdeepvis.networks import classify
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.types import (
  AnyArray,
  Classes,
  JdeepvisError,
  Pictures,
  Pixels,
)


class Faithfulness(NamedTuple):
  """Mean rank correlations of activation patterns in one layer.

  Attributes:
    same: of each picture with the photographs of its class.
    other: with those of other classes.
    photos_same: of two photographs of one class, over all pairs.
    photos_other: of two photographs of different classes.
    normalised: where `same` lies between `photos_other`, 0, and
      `photos_same`, 1; NaN where no class has two photographs or these two
      do not differ.
  """

  same: Float[np.ndarray, " n"]
  other: Float[np.ndarray, " n"]
  photos_same: float
  photos_other: float
  normalised: Float[np.ndarray, " n"]


def faithfulness(
  network: Network,
  pictures: Pictures,
  classes: Classes,
  photos: Sequence[Pixels] | UInt8[np.ndarray, "m _ _ _"],
  photo_classes: Sequence[int] | Int[AnyArray, " m"],
  *,
  layers: Sequence[str],
) -> dict[str, Faithfulness]:
  """How alike a layer processes pictures of a class and photographs of it.

      normalised = (r(picture, same) - r(photo, other))
                   / (r(photo, same) - r(photo, other))

  with r the mean of Spearman's correlation over all values of the layer. Where
  pictures take the paths of photographs it is 1; 0 says that they are no more
  like them than photographs of something else.

  >>> import numpy as np, jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> photos = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), np.uint8)
  >>> found = jdeepvis.faithfulness(
  ...   network, photos[:1], [7], photos, [7, 7, 8], layers=["conv1"]
  ... )
  >>> bool(found["conv1"].same[0] > found["conv1"].other[0])
  True

  Args:
    network: the network that made the pictures.
    pictures: uint8 `[h, w, c]`, each filling the whole input.
    classes: the class of each.
    photos: uint8 `[h, w, c]` of any sizes.
    photo_classes: the class of each.
    layers: blobs of the network; `output` stands for the class scores.

  Returns:
    For each layer the correlations of each picture, NaN where no photograph is
    of its class or all are, and those of the photographs.

  Raises:
    JdeepvisError: there are no pictures or photographs, not one class for
      each, or no such layer.

  Source: after the sanity check of Geirhos et al. 2023, *Don't trust your eyes:
  on the (un)reliability of feature visualizations*.
  """
  for kind, some, known in (
    ("pictures", pictures, classes),
    ("photographs", photos, photo_classes),
  ):
    if not len(some) or len(some) != len(known):
      raise JdeepvisError(
        f"Each of the {kind} needs a class, and there must be some: there are "
        f"{len(some)} {kind} and {len(known)} classes."
      )
  filling = network.input.replace(resize=None)
  ours = [preprocess(one, filling) for one in pictures]
  theirs = [preprocess(one, network.input) for one in photos]
  same = np.equal.outer(np.asarray(classes), np.asarray(photo_classes))
  pairs = np.equal.outer(np.asarray(photo_classes), np.asarray(photo_classes))
  return {
    layer: _in_layer(network, layer, ours, theirs, same, pairs)
    for layer in layers
  }


def _in_layer(network, layer, pictures, photos, same, pairs) -> Faithfulness:
  ranks = _ranks(network, layer, photos)
  across = _ranks(network, layer, pictures) @ ranks.T
  among = ranks @ ranks.T
  twice = ~np.eye(len(photos), dtype=bool)
  alike, floor = _mean(across, same), _mean(among, ~pairs, axis=None)
  most = _mean(among, pairs & twice, axis=None)
  span = most - floor
  return Faithfulness(
    same=alike,
    other=_mean(across, ~same),
    photos_same=float(most),
    photos_other=float(floor),
    normalised=(alike - floor) / (span if span else np.nan),
  )


def _ranks(network, layer, images) -> np.ndarray:
  """Ranks of each image's values, centred and of length 1."""
  name = find_layer(network, layer)
  rows = []
  for image in images:
    values = classify.activations(network, name, image[None])
    rank = rankdata(np.asarray(values).ravel()).astype(np.float32)
    rank -= rank.mean()
    rows.append(rank / (np.linalg.norm(rank) or np.nan))
  return np.stack(rows)


def _mean(values, where, axis: int | None = 1) -> np.ndarray:
  count = np.sum(where, axis=axis)
  total = np.sum(np.where(where, values, 0), axis=axis, dtype=np.float64)
  return np.where(count, total / np.maximum(count, 1), np.nan)
