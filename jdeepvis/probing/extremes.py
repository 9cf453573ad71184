"""The patches of photographs that excite units most, and those that least."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from jdeepvis.networks import classify
from jdeepvis.networks.names import before_relu, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import centre, fit
from jdeepvis.probing import top_patches
from jdeepvis.probing.patches import find_patches
from jdeepvis.types import JdeepvisError, Pictures


class ExtremePatches(NamedTuple):
  """For each of u units the patches of k photographs, the most extreme first.

  Attributes:
    strong: where the unit's value is largest, uint8 `[u, k, h, w, c]`.
    weak: where its value is smallest, of k other photographs.
    strong_value: what the unit says of them, before its ReLU.
    weak_value: likewise.
  """

  strong: UInt8[np.ndarray, "u k h w c"]
  weak: UInt8[np.ndarray, "u k h w c"]
  strong_value: Float[np.ndarray, "u k"]
  weak_value: Float[np.ndarray, "u k"]


def extreme_patches(
  network: Network,
  photos: Pictures,
  layer: str,
  units: Sequence[int],
  *,
  count: int,
) -> ExtremePatches:
  """Patches of different photographs, of strong and of weak excitation.

  Of each photograph the patch of the largest value in the unit's map before its
  ReLU, and that of the smallest. The `count` photographs with the largest
  values are strong; of the others those with the smallest are weak, so that no
  photograph is both.

  Args:
    network: any network.
    photos: uint8 `[h, w, c]` of any sizes, preprocessed as it demands.
    layer: whose units.
    units: which of them.
    count: how many of either kind.

  Raises:
    JdeepvisError: there are fewer photographs than 2 `count`, or there is no
      such layer.
  """
  if len(photos) < 2 * count:
    raise JdeepvisError(
      f"{count} strong and {count} weak photographs of each unit need "
      f"{2 * count} or more; there are {len(photos)}."
    )
  layer = find_layer(network, layer)
  origin = before_relu(network, layer)
  fitted = np.stack([fit(photo, network.input) for photo in photos])
  found = [_peaks(network, origin, units, photo) for photo in fitted]
  most, most_at, least, least_at = np.stack(found, axis=-1)
  strong = np.argsort(-most, axis=1, kind="stable")[:, :count]
  # A unit of no ReLU of its own is 0 in many: of these, where it answers least.
  others = least.copy()
  np.put_along_axis(others, strong, np.inf, axis=1)
  weak = np.lexsort((most, others), axis=1)[:, :count]
  window = _windows(network, layer)

  def taken(which, cells):
    return np.array(
      [
        [window(fitted[photo], cell) for photo, cell in zip(*row, strict=True)]
        for row in zip(which, _at(cells, which), strict=True)
      ]
    )

  return ExtremePatches(
    strong=taken(strong, most_at),
    weak=taken(weak, least_at),
    strong_value=_at(most, strong),
    weak_value=_at(least, weak),
  )


def _peaks(network, layer, units, photo):
  """Each unit's largest value and its cell, its smallest and its."""
  image = centre(photo, network.input)[None]
  blobs = {layer: classify.activations(network, layer, image)}
  top, low = (top_patches.peaks(blobs, (layer,), sign) for sign in (1, -1))
  rows = np.stack([top.score, top.cell, -low.score, low.cell])
  return np.float64(rows[:, 0, list(units)])


def _windows(network, layer):
  """Cuts a unit's field from an image; at its edges as large as elsewhere."""
  patch_of = find_patches(network, layer)

  def window(image, cell):
    field, size = patch_of(int(cell))
    top = min(field.top, image.shape[0] - size[0])
    left = min(field.left, image.shape[1] - size[1])
    return image[top : top + size[0], left : left + size[1]]

  return window


def _at(values, which):
  return np.take_along_axis(values, which, axis=1)
