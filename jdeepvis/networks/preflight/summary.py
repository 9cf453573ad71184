"""A network's extremes and class scores over images, in one small program."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jdeepvis.networks.network import Network
from jdeepvis.types import Images

BATCH = 8
"""Images that are looked at together."""


class Summary(NamedTuple):
  """Layers and class scores of n images.

  Attributes:
    largest: each channel's largest value over positions, `[n, c]` by blob.
    smallest: the smallest value of all, `[n]` by blob.
    scores: the class scores, `[n, k]`, or None.
  """

  largest: dict[str, Float[np.ndarray, "n _"]]
  smallest: dict[str, Float[np.ndarray, " n"]]
  scores: Float[np.ndarray, "n k"] | None


def summarise(network: Network, images: Images) -> Summary:
  """Every layer's extremes, and the class scores, averaged over their map.

  Args:
    network: any network.
    images: centred, `[n, h, w, c]`; as many as there are.
  """
  size = min(BATCH, len(images))
  parts = []
  for first in range(0, len(images), size):
    batch = images[first : first + size]
    missing = [(0, size - len(batch)), *[(0, 0)] * 3]
    batch = np.pad(batch, missing, mode="edge")
    parts.append(_program(network, batch))
  return jax.tree.map(
    lambda *leaves: np.concatenate(leaves)[: len(images)], *parts
  )


@jax.jit
def _program(network, images):
  output = network.output
  flat = {
    name: blob.reshape(len(blob), -1, blob.shape[-1]).astype(np.float32)
    for name, blob in network(images).items()
  }
  return Summary(
    {name: blob.max(axis=1) for name, blob in flat.items()},
    {name: blob.min(axis=(1, 2)) for name, blob in flat.items()},
    flat[output].mean(axis=1) if output else None,
  )
