"""Which pixels of the image a unit sees."""

import bisect
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks.graph import INPUT, infer_shapes
from jdeepvis.networks.jaxpr.crops import image_region, unit_regions
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import (
  Position,
  Rectangle,
  locate,
  needed_regions,
  whole,
)
from jdeepvis.types import JdeepvisError


class FieldGeometry(NamedTuple):
  """The receptive fields of a layer's units, were the image without edges.

  Unit `(i, j)` sees the rows from `i * stride[0] + offset[0]`, `extent[0]` of
  them, and the columns likewise.

  Attributes:
    extent: height and width, pixels.
    stride: from one unit's field to the next one's, down and across, pixels.
    offset: top and left of unit (0, 0), pixels; negative within padding.
  """

  extent: tuple[int, int]
  stride: tuple[int, int]
  offset: tuple[int, int]


def receptive_field(
  network: Network, layer: str, position: Position | None = None
) -> Rectangle:
  """The pixels that one unit sees.

  The layer graph is walked back from the unit; the region needed of every blob
  on the way is the smallest rectangle around what its readers need, clipped to
  the map, as in the original toolbox's `find_maxes`. A layer that reads a whole
  map, such as an inner product, sees the whole image. A unit in a rim of
  padding that sees nothing is given the nearest pixel.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> jdeepvis.receptive_field(network, "fire2/concat", (0, 0))
  Rectangle(top=0, left=0, bottom=11, right=11)

  Without a layer graph, and for tokens, the network's jaxpr is walked instead,
  which takes convolutions, pooling, padding, slices and all that is done at
  each position for what they are. Beyond what it does not know, such as
  `lax.scan`, the field is measured by `numerical_receptive_field`; it is the
  whole image where that fails, or where the unit's value in noise changes with
  what lies beyond.

  Args:
    network: any network.
    layer: a blob of it; `output` stands for the class scores.
    position: row and column of the unit in the layer's map; None is the
      centre, `(h // 2, w // 2)`.

  Returns:
    The rectangle in the input, pixels; always within it and never empty.

  Raises:
    JdeepvisError: there is no such layer or position.
  """
  layer = find_layer(network, layer)
  unit = locate(layer, network.shapes[layer], position)
  if not in_graph(network, layer):
    regions = unit_regions(network, layer, unit)
    field = image_region(network, regions)
    return _measured(network, layer, unit) if regions.unknown else field
  shapes = infer_shapes(network.layers, network.input.shape).blobs
  return needed_regions(network.layers, shapes, layer, unit)[INPUT]


def field_geometry(network: Network, layer: str) -> FieldGeometry:
  """Extent, stride and offset of a layer's receptive fields, unclipped.

  Args:
    network: any network.
    layer: a blob of it. Beyond a layer that reads a whole map, or of whose
      reach nothing is known, all units see the same, and the strides are 0.

  Raises:
    JdeepvisError: there is no such layer.
  """
  layer = find_layer(network, layer)
  first, second = (
    _unclipped(network, layer, Rectangle(i, i, i + 1, i + 1)) for i in (0, 1)
  )
  stride = (second.top - first.top, second.left - first.left)
  return FieldGeometry(first.size, stride, (first.top, first.left))


def in_graph(network: Network, layer: str) -> bool:
  """Whether the layer graph has a blob as it is, a map or a vector.

  Of tokens, which a network gives as a map of patches, it has them all as one.
  """
  if not network.layers:
    return False
  shapes = infer_shapes(network.layers, network.input.shape).blobs
  return shapes.get(layer) == network.shapes[layer]


def _unclipped(network: Network, layer: str, unit: Rectangle) -> Rectangle:
  if not in_graph(network, layer):
    regions = unit_regions(network, layer, unit, clip=False)
    return image_region(network, regions)
  shapes = infer_shapes(network.layers, network.input.shape).blobs
  needed = needed_regions(network.layers, shapes, layer, unit, clip=False)
  return needed[INPUT]


def numerical_receptive_field(
  network: Network, layer: str, position: Position | None = None
) -> Rectangle:
  """The pixels that one unit sees, found by running the network.

  A pixel that is NaN makes everything that depends on it NaN, whatever the
  weights are: also where a ReLU is off or another position wins the pooling, so
  that the derivative is zero. Each edge of the field is found by bisection, by
  painting parts of the image with NaN, in `4 log2(size)` runs.

  It fails where NaN is removed: `jnp.where(x > 0, x, 0)` in place of
  `jax.nn.relu` or `jnp.maximum`, `nan_to_num`, integers, comparisons. A unit
  that never becomes NaN is an error; one whose paths remove it in part gets a
  field that is too small.

  Args:
    network: any network; its weights must be free of NaN.
    layer: a blob of it; `output` stands for the class scores.
    position: row and column of the unit in the layer's map; None is the
      centre.

  Raises:
    JdeepvisError: there is no such layer or position, or the unit does not
      show what it depends on.
  """
  layer = find_layer(network, layer)
  unit = locate(layer, network.shapes[layer], position)
  height, width, _ = network.input.shape
  rows, columns = np.indices((height, width))
  noise = _noise(network)

  def sees(pixels):
    image = np.where(pixels[..., None], np.float32(np.nan), noise)
    with jax.debug_nans(False):
      return bool(jnp.isnan(_values(network, image, unit[:2], layer)).any())

  if sees(rows < 0) or not sees(rows >= 0):
    raise JdeepvisError(
      f"Layer {layer!r} does not show which pixels it depends on: its values "
      "must be numbers for an image of numbers, and not for one of NaN."
    )
  first = functools.partial(bisect.bisect_left, x=True)
  return Rectangle(
    first(range(height), key=lambda end: sees(rows <= end)),
    first(range(width), key=lambda end: sees(columns <= end)),
    first(range(height), key=lambda start: not sees(rows >= start)),
    first(range(width), key=lambda start: not sees(columns >= start)),
  )


def _measured(network: Network, layer: str, unit: Rectangle) -> Rectangle:
  whole_image = whole(network.input.shape)
  try:
    field = numerical_receptive_field(network, layer, unit[:2])
  except JdeepvisError:
    return whole_image
  noise = _noise(network)
  part = np.zeros_like(noise)
  part[field.slices] = noise[field.slices]
  expected, found = (
    np.asarray(_values(network, image, unit[:2], layer), np.float32)
    for image in (noise, part)
  )
  scale = np.abs(expected).max()
  alike = np.allclose(found, expected, rtol=1e-3, atol=1e-4 * scale)
  return field if alike else whole_image


def _noise(network: Network) -> np.ndarray:
  rng = np.random.default_rng(0)
  return np.float32(rng.normal(0, 50, network.input.shape))


@functools.partial(jax.jit, static_argnames="layer")
def _values(network, image, position, layer):
  """All of a layer's units at one position; of a vector, its units."""
  values = network(image[None], until=layer)[layer][0]
  return values[position[0], position[1]] if values.ndim == 3 else values
