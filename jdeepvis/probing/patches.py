"""The part of an image that a unit sees, and what a backward rule makes of it.

A patch is the unit's receptive field, on a canvas as large as the layer's
fields are within the image. A field that is cut off by the image's edge is
aligned with the opposite side of the canvas: where it begins at row 0 it ends
at the canvas's last row, so that a unit's patches can be compared. After the
original's `crop_max_patches.py`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from jdeepvis.networks.names import before_relu
from jdeepvis.networks.network import Network
from jdeepvis.networks.receptive_field import field_geometry, receptive_field
from jdeepvis.networks.regions import Rectangle
from jdeepvis.probing.backprop import point_seed, pull_back
from jdeepvis.types import Images


class Patch(NamedTuple):
  """Where in an image a patch is.

  Attributes:
    field: the unit's receptive field, pixels.
    canvas: height and width of the picture that it is pasted on, pixels.
  """

  field: Rectangle
  canvas: tuple[int, int]


def find_patches(network: Network, layer: str) -> Callable[[int], Patch]:
  """From a position of a layer's map, in row-major order, to its patch.

  Args:
    network: any network.
    layer: a blob of it.
  """
  shape = network.shapes[layer]
  extent = field_geometry(network, layer).extent
  canvas = tuple(map(min, extent, network.input.shape[:2]))

  @functools.cache
  def find(cell: int) -> Patch:
    position = to_position(shape, cell)
    return Patch(receptive_field(network, layer, position), canvas)

  return find


def to_position(shape: tuple[int, ...], cell: int) -> tuple[int, int]:
  """Row and column of a cell of a blob; a vector's only one is (0, 0)."""
  return divmod(cell, shape[1]) if len(shape) == 3 else (0, 0)


def cut(
  image: Shaped[np.ndarray, "_ _ c"], patch: Patch, fill: float | int
) -> Shaped[np.ndarray, "_ _ c"]:
  """Cuts a patch from an image, or from anything of an image's size.

  Args:
    image: where to cut.
    patch: what to cut.
    fill: the value where the canvas is larger than the field.
  """
  canvas = np.full((*patch.canvas, image.shape[-1]), fill, image.dtype)
  start = [
    extent - size if first == 0 else 0
    for first, size, extent in zip(
      patch.field[:2], patch.field.size, patch.canvas, strict=True
    )
  ]
  height, width = patch.field.size
  place = slice(start[0], start[0] + height), slice(start[1], start[1] + width)
  canvas[place] = image[patch.field.slices]
  return canvas


class View(NamedTuple):
  """Backward signals of some images, each from one position of one unit.

  Attributes:
    signal: the backward signal, of the images' size.
    value: the cell's own, before its ReLU, as computed on the way.
  """

  signal: Float[np.ndarray, "n h w c"]
  value: Float[np.ndarray, " n"]


class Viewer:
  """Backward views of one layer's units, in batches of one shape.

  Attributes:
    batch: pictures at once.
  """

  def __init__(self, network: Network, layer: str, batch: int):
    self.batch = batch
    self._network = network
    self._origin = before_relu(network, layer)
    self._shape = network.shapes[layer]

  def __call__(
    self,
    rule: str,
    images: Images,
    units: Int[np.ndarray, " n"],
    cells: Int[np.ndarray, " n"],
  ) -> View:
    """The signal of each image from one position of one unit, seeded with 1.

    Args:
      rule: a key of `backprop.RULES`.
      images: centred, at most `batch`.
      units: the channel for each.
      cells: the cell for each, in row-major order.
    """
    missing = self.batch - len(images)
    images = np.pad(images, [(0, missing)] + [(0, 0)] * 3)
    units, cells = (np.pad(one, (0, missing)) for one in (units, cells))
    positions = np.array(
      [to_position(self._shape, cell) for cell in cells.tolist()]
    )
    seed = point_seed(
      jnp.zeros((self.batch, *self._shape), jnp.float32), units, positions
    )
    signals, blob = pull_back(
      self._network, images, seed, blob=self._origin, rule=rule
    )
    values = blob.reshape(self.batch, -1, self._shape[-1])
    values = values[np.arange(self.batch), cells, units]
    given = self.batch - missing
    return View(np.asarray(signals)[:given], np.asarray(values)[:given])
