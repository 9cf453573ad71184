"""Weakly supervised localisation: a class's box from its saliency map.

Simonyan, Vedaldi and Zisserman 2013 ("Deep Inside Convolutional Networks",
arXiv:1312.6034, §3.2) take the pixels above the 95 % quantile of a class's
saliency map as samples of the object's colours, those below the 30 % quantile
as samples of the background's, separate the two by GraphCut (Boykov and Jolly
2001), and draw a box around the largest connected part.

They do not say how many Gaussians a colour model has nor how neighbours are
weighted: both are GrabCut's here (Rother, Kolmogorov and Blake 2004), its five
components and its contrast term, without its iterations. The samples stay on
their side of the cut, as Boykov and Jolly's do. The map of one crop, where
theirs is the mean of ten, is grainy, so it is blurred first.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.cluster import vq
from scipy.sparse import coo_array, csgraph

from jdeepvis.networks.regions import Rectangle
from jdeepvis.types import AnyArray, JdeepvisError, Pixels

Mask = Bool[np.ndarray, "h w"]

_THING, _BACKGROUND = 0.95, 0.30  # quantiles
_BLUR = 0.02  # standard deviation as a share of the shorter side
_COMPONENTS = 5
_NEIGHBOURS = 50.0  # GrabCut's gamma
_OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))
_CERTAIN = 1e3  # nats; more than all of a pixel's neighbours together
_UNITS = 100  # of capacity a nat; flows are whole numbers


class Localisation(NamedTuple):
  """What `localise` found.

  Attributes:
    box: around the object, pixels.
    mask: which pixels are the object's.
  """

  box: Rectangle
  mask: Mask


def localise(pixels: Pixels, saliency: Float[AnyArray, "h w"]) -> Localisation:
  """The object that a saliency map shows.

  Args:
    pixels: what the network was shown, uint8 `[h, w, c]`.
    saliency: of the class in it, at least 0; see `backprop.saliency`.

  Raises:
    JdeepvisError: the map is constant or of another size.
  """
  saliency = np.asarray(saliency, np.float64)
  if saliency.shape != pixels.shape[:2]:
    raise JdeepvisError(
      f"The saliency map has shape {saliency.shape}, the picture "
      f"{pixels.shape[:2]}; they must be of one size."
    )
  smooth = ndimage.gaussian_filter(saliency, _BLUR * min(saliency.shape))
  low, high = np.quantile(smooth, (_BACKGROUND, _THING))
  if not low < high:
    raise JdeepvisError(
      "The saliency map is nearly constant, so it shows no object; "
      "ask for a class that the network sees."
    )
  colours = pixels.astype(np.float64)
  thing, background = smooth >= high, smooth <= low
  evidence = _log_density(colours, colours[thing])
  evidence -= _log_density(colours, colours[background])
  evidence[thing], evidence[background] = np.inf, -np.inf
  mask = largest_part(cut(colours, evidence))
  return Localisation(bounding_box(mask), mask)


def cut(
  colours: Float[np.ndarray, "h w c"], evidence: Float[np.ndarray, "h w"]
) -> Mask:
  """Object or background for each pixel, by a minimum cut.

  Minimises the sum of `-evidence` over the object, plus for each pair of
  neighbours that is cut, eight to a pixel, `50 exp(-d^2 / 2 mean(d^2)) / r`, d
  the distance of their colours and r that of their places.

  Args:
    colours: grey levels.
    evidence: log-likelihood ratio of object to background, nats; where it is
      infinite the pixel stays on its side.
  """
  height, width = evidence.shape
  pixel = np.arange(height * width).reshape(height, width)
  source, sink = pixel.size, pixel.size + 1
  squares, pairs = zip(*_pairs(colours, pixel), strict=True)
  spread = 2 * np.mean(np.concatenate(squares)) or 1.0
  edges = [
    (a, b, _NEIGHBOURS * np.exp(-square / spread) / np.hypot(*offset))
    for square, (a, b), offset in zip(squares, pairs, _OFFSETS, strict=True)
  ]
  edges += [(b, a, weight) for a, b, weight in edges]
  likely = np.clip(evidence, -_CERTAIN, _CERTAIN).ravel()
  every = pixel.ravel()
  edges.append((np.full_like(every, source), every, np.maximum(likely, 0)))
  edges.append((every, np.full_like(every, sink), np.maximum(-likely, 0)))
  rows, columns, weights = map(np.concatenate, zip(*edges, strict=True))
  capacity = coo_array(
    (np.int32(np.round(weights * _UNITS)), (rows, columns)),
    shape=(pixel.size + 2,) * 2,
  ).tocsr()
  left = capacity - csgraph.maximum_flow(capacity, source, sink).flow
  left.eliminate_zeros()
  reached = csgraph.breadth_first_order(left, source, return_predecessors=False)
  mask = np.zeros(pixel.size + 2, bool)
  mask[reached] = True
  return mask[: pixel.size].reshape(height, width)


def largest_part(mask: Mask) -> Mask:
  """The largest connected part of a mask, by sides; empty if there is none."""
  parts, count = ndimage.label(mask)
  if not count:
    return mask
  return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])


def bounding_box(mask: Mask) -> Rectangle:
  """The smallest rectangle around a mask that is not empty."""
  rows, columns = np.nonzero(mask)
  return Rectangle(
    int(rows.min()),
    int(columns.min()),
    int(rows.max()) + 1,
    int(columns.max()) + 1,
  )


def _pairs(colours, pixel):
  """For each offset the squared distances of colours, and the two pixels."""
  height, width = pixel.shape
  for down, right in _OFFSETS:
    here = slice(0, height - down), slice(max(-right, 0), width - max(right, 0))
    there = slice(down, height), slice(max(right, 0), width + min(right, 0))
    square = np.sum((colours[here] - colours[there]) ** 2, axis=-1)
    yield square.ravel(), (pixel[here].ravel(), pixel[there].ravel())


def _log_density(colours, samples):
  """Log of a mixture of Gaussians around the clusters of some colours."""
  _, labels = vq.kmeans2(
    samples, min(_COMPONENTS, len(samples)), minit="++", rng=0
  )
  logs = []
  for label in np.unique(labels):
    own = samples[labels == label]
    middle = own.mean(axis=0)
    away = own - middle
    # One grey level's variance, so that an even colour has a density.
    spread = away.T @ away / len(own) + np.eye(colours.shape[-1])
    inverse, (_, size) = np.linalg.inv(spread), np.linalg.slogdet(spread)
    gap = colours - middle
    squares = np.einsum("hwc,cd,hwd->hw", gap, inverse, gap)
    logs.append(np.log(len(own) / len(samples)) - (squares + size) / 2)
  return np.logaddexp.reduce(logs, axis=0)
