"""The CPPN encoding: images drawn by graphs that grow."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.evolution import graphs, growth
from jdeepvis.evolution.archive import Encoding
from jdeepvis.evolution.graphs import Graph
from jdeepvis.types import Image, Index, PRNGKey

_CROSSED = 0.25


@dataclasses.dataclass(frozen=True)
class Cppn(Encoding):
  """Images drawn by compositional pattern-producing networks.

  Attributes:
    shape: of the images, height and width in pixels, then channels: 3, or 1
      for the lightness alone. Another shape draws the same genomes larger.
  """

  shape: tuple[int, int, int]

  def random(self, key: PRNGKey) -> Graph:
    return graphs.minimal_graph(key)

  def vary(
    self, key: PRNGKey, parent: Graph, mate: Graph, generation: Index
  ) -> Graph:
    del generation
    whether, mixing, changing = jax.random.split(key, 3)
    crossed = growth.cross(mixing, parent, mate)
    take = jax.random.bernoulli(whether, np.float32(_CROSSED))
    child = jax.tree.map(lambda a, b: jnp.where(take, a, b), crossed, parent)
    return growth.mutate(changing, child)

  def decode(self, genome: Graph) -> Image:
    return graphs.draw(genome, self.shape)
