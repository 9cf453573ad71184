"""The MAP-Elites archive: a cell with an elite for each class.

MAP-Elites (Mouret and Clune 2015, "Illuminating search spaces by mapping
elites", arXiv:1504.04909) keeps the best found in each niche. Here the niches
are a network's classes, and the best image is the one with the highest
probability of its class (Nguyen, Yosinski and Clune 2015, arXiv:1412.1897).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jdeepvis.types import AnyArray, Image, Index, PRNGKey

NOBODY = -1.0
"""The confidence of an empty cell."""

LEVELS = (0.5, 0.9, 0.99)
_QUANTILES = (0.1, 0.25, 0.75, 0.9)

Genome = Any
"""A pytree of arrays of fixed shapes."""


class Encoding:
  """Base of all: a frozen dataclass with these pure functions.

  Equal ones share a compilation.
  """

  def random(self, key: PRNGKey) -> Genome:
    """A genome of the first generation."""
    raise NotImplementedError

  def vary(
    self, key: PRNGKey, parent: Genome, mate: Genome, generation: Index
  ) -> Genome:
    """A child of `parent`, perhaps with traits of `mate`."""
    raise NotImplementedError

  def decode(self, genome: Genome) -> Image:
    """The image `[h, w, c]`, whole grey levels 0..255, not centred."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Unrelated(Encoding):
  """An encoding whose children are random genomes: the baseline."""

  encoding: Encoding

  def random(self, key):
    return self.encoding.random(key)

  def vary(self, key, parent, mate, generation):
    del parent, mate, generation
    return self.encoding.random(key)

  def decode(self, genome):
    return self.encoding.decode(genome)


class Archive(NamedTuple):
  """The elite of each class.

  Attributes:
    genome: a genome with a leading axis, a row a class.
    confidence: the class's probability in its elite, 0..1; `NOBODY` if none.
    born: the generation in which the elite was found.
    generation: how many have been.
  """

  genome: Genome
  confidence: Float[AnyArray, " k"]
  born: Int[AnyArray, " k"]
  generation: Int[AnyArray, ""]


def empty_archive(encoding: Encoding, cells: int) -> Archive:
  """An empty archive.

  Args:
    encoding: of its genomes.
    cells: the number of classes.
  """
  shapes = jax.eval_shape(encoding.random, jax.random.key(0))
  return Archive(
    genome=jax.tree.map(
      lambda leaf: jnp.zeros((cells, *leaf.shape), leaf.dtype), shapes
    ),
    confidence=jnp.full(cells, NOBODY, jnp.float32),
    born=jnp.zeros(cells, jnp.int32),
    generation=jnp.int32(0),
  )


def update(
  archive: Archive, genomes: Genome, probabilities: Float[Array, "n k"]
) -> tuple[Archive, dict[str, Array]]:
  """A generation's children replace the elites that they are surer than.

  A tie leaves the elite, or the first of the children. A child whose
  probabilities are NaN is dead, and takes no cell.

  Args:
    archive: the elites.
    genomes: the children's, with a leading axis.
    probabilities: each class's probability in each child's image.

  Returns:
    The archive one generation later and `statistics` of it, with the numbers
    of elites replaced, `improved`, and of dead children, `dead`.
  """
  alive = jnp.isfinite(probabilities).all(axis=1, keepdims=True)
  probabilities = jnp.where(alive, probabilities, NOBODY)
  child = jnp.argmax(probabilities, axis=0)
  reached = jnp.max(probabilities, axis=0)
  better = reached > archive.confidence
  # Few elites are replaced: only those are copied, not the whole archive.
  changed = jnp.argsort(~better)

  def replace(i, elites):
    cell = changed[i]
    return jax.tree.map(
      lambda old, new: old.at[cell].set(new[child[cell]]), elites, genomes
    )

  archive = Archive(
    lax.fori_loop(0, jnp.sum(better), replace, archive.genome),
    jnp.where(better, reached, archive.confidence),
    jnp.where(better, archive.generation, archive.born),
    archive.generation + 1,
  )
  counts = {"improved": jnp.sum(better), "dead": jnp.sum(~alive)}
  return archive, {**statistics(archive.confidence), **counts}


def statistics(confidence: Float[Array, " k"]) -> dict[str, Array]:
  """Median and quantiles of the elites' confidence, and cells above levels.

  Args:
    confidence: of each elite, 0..1.
  """
  quantiles = jnp.quantile(confidence, jnp.array(_QUANTILES, jnp.float32))
  return {
    "median": jnp.median(confidence),
    **{
      f"quantile_{share * 100:.0f}": value
      for share, value in zip(_QUANTILES, quantiles, strict=True)
    },
    **{
      f"above_{level * 100:.0f}": jnp.sum(confidence > level)
      for level in LEVELS
    },
  }
