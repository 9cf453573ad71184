"""An archive with a cell for each class, and what lives in it.

MAP-Elites (Mouret and Clune 2015, "Illuminating search spaces by mapping
elites", arXiv:1504.04909) keeps the best found for each kind of thing. Here the
kinds are a network's classes and the best is the image most certainly of that
class (Nguyen, Yosinski and Clune 2015, arXiv:1412.1897).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from jdeepvis.types import AnyArray, Image, Index, PRNGKey

NOBODY = -1.0
"""The confidence of a cell in which nothing lives yet."""

LEVELS = (0.5, 0.9, 0.99)
_QUANTILES = (0.1, 0.25, 0.75, 0.9)

Genome = Any
"""A pytree of arrays of fixed shapes."""


class Encoding:
  """Base of all: a frozen dataclass with these pure functions.

  Equal ones share a compilation.
  """

  def random(self, key: PRNGKey) -> Genome:
    """One of the genomes to begin with."""
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
  """An encoding whose children resemble nobody: the baseline of evolution."""

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
  """An archive in which nothing lives yet.

  Args:
    encoding: of what will.
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
  archive: Archive, genomes: Genome, chances: Float[Array, "n k"]
) -> tuple[Archive, dict[str, Array]]:
  """A generation's children challenge every elite; the surer one stays.

  A tie leaves the elite, or the first of the children. A child of which the
  network says what is no number is dead, and takes no cell.

  Args:
    archive: the elites.
    genomes: the children's, with a leading axis.
    chances: each class's probability in each child's image.

  Returns:
    The archive one generation later and `statistics` of it, with `improved`,
    how many cells changed hands, and `dead`, how many children were.
  """
  alive = jnp.isfinite(chances).all(axis=1, keepdims=True)
  chances = jnp.where(alive, chances, NOBODY)
  child = jnp.argmax(chances, axis=0)
  reached = jnp.max(chances, axis=0)
  better = reached > archive.confidence
  # Few cells change hands: only those are copied, not the whole archive.
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
  told = {"improved": jnp.sum(better), "dead": jnp.sum(~alive)}
  return archive, {**statistics(archive.confidence), **told}


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
