"""The images, and the places in them, that excite each unit most.

A running top-k over a stream of batches, all units of all layers at once.

Each image counts once for a unit: by the largest value in its map, at the first
such position in row-major order. Images are ranked by that value, the earlier
one first of equals. So the ranking does not depend on how a stream is cut into
batches, or split over devices and merged. After the original's
`find_max_acts.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.names import before_relu
from jdeepvis.networks.network import Network
from jdeepvis.types import Activations, AnyArray, Images

# u: units, of all layers one after another; k: images kept of each.
Numbers = Int[AnyArray, " n"]

_FEWEST, _STEPS = -16, 64  # the first octave of the histogram; half octaves
BINS = 2 * _STEPS + 1


class Extremes(NamedTuple):
  """The k images with the largest scores for each of u units, best first.

  Attributes:
    score: the value, -inf where there is no image yet.
    image: the image's number, -1 where there is none.
    cell: the position in the unit's map, in row-major order.
  """

  score: Float[AnyArray, "u k"]
  image: Int[AnyArray, "u k"]
  cell: Int[AnyArray, "u k"]


class Peaks(NamedTuple):
  """For n images and u units the largest value and its first position."""

  score: Float[AnyArray, "n u"]
  cell: Int[AnyArray, "n u"]


class Survey(NamedTuple):
  """The extremes and histograms of u units over a stream of images so far.

  Attributes:
    top: where each unit's value is largest.
    bottom: where its value before the ReLU is smallest, with the sign turned;
      k may be 0.
    histogram: how many images have their largest value in each of `BINS`
      bins, see `bin_edges`.
  """

  top: Extremes
  bottom: Extremes
  histogram: Int[AnyArray, "u bins"]


def probed_layers(network: Network) -> tuple[str, ...]:
  """Every blob but the images, in order; rectified ones after their ReLU."""
  return tuple(
    name
    for name in network.order
    if name != INPUT and not name.endswith("/pre")
  )


def layer_slices(network: Network, layers: Sequence[str]) -> dict[str, slice]:
  """Where among all units of `layers` each layer's own are."""
  shapes = network.shapes
  ends = np.cumsum([shapes[name][-1] for name in layers]).tolist()
  return {
    name: slice(end - shapes[name][-1], end)
    for name, end in zip(layers, ends, strict=True)
  }


def begin(units: int, k: int, bottom: int = 0) -> Survey:
  """A survey that has seen nothing.

  Args:
    units: how many, of all layers together.
    k: images to keep for each.
    bottom: how many of the opposite kind.
  """
  histogram = np.zeros((units, BINS), np.int32)
  return Survey(_empty(units, k), _empty(units, bottom), histogram)


def look(
  network: Network,
  layers: Sequence[str],
  survey: Survey,
  pixels: Images,
  images: Numbers,
) -> Survey:
  """Runs one batch through the network and updates the survey.

  Args:
    network: any network.
    layers: whose units, in the order in which the survey has them. Static.
    survey: of the images so far.
    pixels: centred images.
    images: their numbers, growing, and larger than all seen before; -1 marks
      padding, which is left out.
  """
  layers, lows = tuple(layers), None
  if survey.bottom.score.shape[1]:
    origins = tuple(before_relu(network, name) for name in layers)
    blobs = network(pixels, until=(*layers, *origins))
    lows = peaks(blobs, origins, sign=-1)
  else:
    blobs = network(pixels, until=layers)
  return update(survey, peaks(blobs, layers), lows, images)


def peaks(blobs: Activations, layers: Sequence[str], sign: int = 1) -> Peaks:
  """Each unit's largest value in each image, and the first position of it.

  Args:
    blobs: activations, `[n, h, w, f]` or `[n, f]`.
    layers: whose units.
    sign: -1 looks for the smallest, and turns their signs.
  """
  found = [_peak(sign * blobs[name]) for name in layers]
  return Peaks(*(jnp.concatenate(part, axis=1) for part in zip(*found)))  # noqa: B905


def update(
  survey: Survey, tops: Peaks, lows: Peaks | None, images: Numbers
) -> Survey:
  """Adds one batch, see `look`.

  NaN is ignored.

  Args:
    survey: of the batches before.
    tops: the largest values of the batch.
    lows: the smallest, or None where none are kept.
    images: the numbers of the batch's images, `[n]`.
  """
  images, bottom = jnp.asarray(images, jnp.int32), survey.bottom
  if lows is not None:
    bottom = _insert(bottom, lows, images)
  counts = (images >= 0).astype(jnp.int32)[:, None]
  units = jnp.arange(tops.score.shape[1])
  histogram = survey.histogram.at[units, bin_of(tops.score)].add(counts)
  return Survey(_insert(survey.top, tops, images), bottom, histogram)


def merge(surveys: Sequence[Survey]) -> Survey:
  """Surveys of parts of a stream as that of the whole; exact, in any order."""
  return Survey(
    _merge([survey.top for survey in surveys]),
    _merge([survey.bottom for survey in surveys]),
    np.sum([survey.histogram for survey in surveys], axis=0, dtype=np.int32),
  )


def bin_of(values: Float[AnyArray, "..."]) -> Int[AnyArray, "..."]:
  """The bin that each float32 falls in: by sign, power of two, and its half.

  Exact, being read off the number's own bits.
  """
  bits = lax.bitcast_convert_type(jnp.abs(values), jnp.int32) >> 22
  step = jnp.clip(bits - 2 * (127 + _FEWEST), 0, _STEPS - 1) + 1
  return _STEPS + jnp.where(values == 0, 0, jnp.where(values < 0, -step, step))


def bin_edges() -> Float[np.ndarray, " edges"]:
  """The lower ends of the bins above the one that is exactly 0.

  1, 1.5, 2, 3, 4, 6 and so on, from 2**-16 up to 2**15 * 1.5. The bins below 0
  mirror them; the outermost bins of either side take in all that lies beyond.
  """
  steps = np.arange(_STEPS)
  return 2.0 ** (_FEWEST + steps // 2) * np.where(steps % 2, 1.5, 1.0)


def spell_histogram(
  counts: Int[np.ndarray, " bins"],
) -> list[tuple[float, float, int]]:
  """One unit's histogram as rows: from, to, how many images; empty bins not.

  The bin that is exactly 0 goes from 0 to 0; others have one end of their own.
  """
  above = bin_edges()
  ends = np.append(above[1:], np.inf)
  above[0] = 0  # the lowest takes in all that is smaller
  lows = np.concatenate([-ends[::-1], [0], above])
  highs = np.concatenate([-above[::-1], [0], ends])
  return [
    (float(lows[i]), float(highs[i]), int(counts[i]))
    for i in np.flatnonzero(counts)
  ]


def _empty(units: int, k: int) -> Extremes:
  none = np.full((units, k), -1, np.int32)
  return Extremes(np.full((units, k), -np.inf, np.float32), none, none)


def _peak(values) -> Peaks:
  values = values.astype(jnp.float32)
  n, *sides, f = values.shape
  height, *_ = sides or [1]
  rows = values.reshape(n, height, -1, f)
  # One pass over the whole map; the rest looks at one number a row, and at one
  # row. XLA's argmax is four times slower on CPU.
  largest = rows.max(axis=2)
  score = largest.max(axis=1)
  row = _first(largest == score[:, None])
  columns = jnp.take_along_axis(
    rows, row[:, None, None], axis=1, mode="promise_in_bounds"
  )[:, 0]
  column = _first(columns == score[:, None])
  return Peaks(score, row * rows.shape[2] + column)


def _first(which: Bool[AnyArray, "n cells f"]) -> Int[AnyArray, "n f"]:
  """The first position that is true; the last where none is."""
  last = which.shape[1] - 1
  cells = jnp.arange(last + 1, dtype=jnp.int32)[:, None]
  return jnp.where(which, cells, last).min(axis=1)


def _insert(kept: Extremes, new: Peaks, images: Numbers) -> Extremes:
  out = (images < 0)[:, None] | jnp.isnan(new.score)
  score = jnp.where(out, -jnp.inf, new.score).T
  numbers = jnp.broadcast_to(images, score.shape)
  # Of equals top_k takes the first, so those kept, which came before, stay.
  fields = zip(kept, (score, numbers, new.cell.T), strict=True)
  score, image, cell = (jnp.concatenate(pair, axis=1) for pair in fields)
  score, place = lax.top_k(score, kept.score.shape[1])
  image, cell = (
    jnp.take_along_axis(field, place, axis=1) for field in (image, cell)
  )
  return Extremes(score, image, cell)


def _merge(parts: Sequence[Extremes]) -> Extremes:
  k = parts[0].score.shape[1]
  whole = Extremes(*(np.concatenate(field, 1) for field in zip(*parts)))  # noqa: B905
  order = np.lexsort((whole.image, -whole.score), axis=1)[:, :k]
  return Extremes(*(np.take_along_axis(field, order, 1) for field in whole))
