"""The facets of a unit: what different things excite it."""

import contextlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.cluster.vq import ClusterError, kmeans2

from jdeepvis.types import AnyArray, JdeepvisError, Pictures

# Of images nearest to the middle of a cluster, as in the paper.
_NEAREST = 15
# Starts of k-means, of which the tightest clusters are kept.
_TRIES = 10


class Facets(NamedTuple):
  """Clusters of a unit's top patches, the largest first.

  Attributes:
    label: the cluster of each patch.
    means: of each cluster the mean of the patches nearest to its centre, to
      begin a picture with: uint8 `[k, h, w, c]`.
  """

  label: Int[np.ndarray, " n"]
  means: UInt8[np.ndarray, "k h w c"]


def facets(
  patches: Pictures, features: Float[AnyArray, "_ d"], *, count: int
) -> Facets:
  """Clusters of what excites a unit, and an image to begin each facet with.

  k-means (k-means++, the same random numbers each time) of the features; of
  each cluster the mean of the 15 patches that are nearest to its centre.
  `render(..., initial=means[i])` then makes the picture of facet i.

  >>> import numpy as np, jdeepvis
  >>> patches = np.uint8([10, 200, 20, 210, 30])[:, None, None, None]
  >>> found = jdeepvis.facets(patches, patches.reshape(5, 1) / 255.0, count=2)
  >>> found.label.tolist(), found.means.ravel().tolist()
  ([0, 1, 0, 1, 0], [20, 205])

  Args:
    patches: what excites the unit most, uint8 `[n, h, w, c]`, all of one size.
    features: of each patch, as of `perceptual_features`.
    count: how many clusters, 1 to n.

  Returns:
    Each patch's cluster and the clusters' mean images.

  Raises:
    JdeepvisError: there are not as many features as patches, or fewer different
      patches than clusters.

  Source: Nguyen, Yosinski and Clune 2016, *Multifaceted feature
  visualization*, algorithm 1; there k = 10 clusters of the fc7
  codes, after PCA and t-SNE, which are left out here.
  """
  features, patches = np.float64(features), np.asarray(patches)
  if len(features) != len(patches):
    raise JdeepvisError(
      f"Each patch needs features: {len(patches)} patches, {len(features)} "
      "features."
    )
  different = len(np.unique(features, axis=0))
  if not 1 <= count <= different:
    raise JdeepvisError(
      f"{different} different patches have 1 to {different} facets, not "
      f"{count}."
    )
  centres, label = _clusters(features, count)
  means = []
  for cluster, centre in enumerate(centres):
    own = np.flatnonzero(label == cluster)
    distance = np.linalg.norm(features[own] - centre, axis=1)
    nearest = own[np.argsort(distance, kind="stable")[:_NEAREST]]
    means.append(patches[nearest].mean(axis=0))
  return Facets(label, np.round(means).astype(np.uint8))


def _clusters(features: np.ndarray, count: int):
  random = np.random.default_rng(0)
  tries = []
  while len(tries) < _TRIES:
    # A cluster that runs empty is no cluster; another start has none.
    with contextlib.suppress(ClusterError):
      tries.append(
        kmeans2(
          features, count, minit="++", iter=100, missing="raise", rng=random
        )
      )
  centres, label = min(
    tries, key=lambda one: np.sum((features - one[0][one[1]]) ** 2)
  )
  order = np.argsort(-np.bincount(label, minlength=count), kind="stable")
  return centres[order], np.argsort(order)[label]
