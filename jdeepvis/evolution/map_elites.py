"""MAP-Elites: generations of children, evaluated on all devices.

Mouret and Clune 2015, "Illuminating search spaces by mapping elites",
arXiv:1504.04909; with a cell for each class as in Nguyen, Yosinski and Clune
2015, "Deep Neural Networks are Easily Fooled", arXiv:1412.1897.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jdeepvis.evolution.archive import Archive, Encoding, Genome, update
from jdeepvis.networks.classify import probabilities
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.sharding import WHOLE, mesh_for, replicate, sharded
from jdeepvis.types import Images, Index, PRNGKey

Evaluate = Callable[[Images], Float[Array, "n k"]]
"""Each class's probability in images of whole grey levels, not centred."""

LIMIT = 4
"""Most generations between two reports; few, for a lively progress bar."""

# So few are made one by one, since under vmap all branches are computed.
_FEW = 8


def class_probabilities(network: Network) -> Evaluate:
  """A network's class probabilities, as `evolve` takes them: a pytree.

  Args:
    network: any network with classes.

  Raises:
    JdeepvisError: the network has no class scores.
  """
  class_scores(network)
  return Partial(_probabilities, replicate(network))


def per_device() -> int:
  """Images for one device at once: what keeps one of this kind busy."""
  return 4 if jax.local_devices()[0].platform == "cpu" else 100


def map_elites(
  evaluate: Evaluate, encoding: Encoding, *, offspring: int, per_device: int
) -> Callable[[PRNGKey, Archive], tuple[Archive, dict[str, Array]]]:
  """One generation as a pure function: `(key, archive) -> archive, statistics`.

  Parents are drawn from all cells alike, as are their mates; in the very first
  generation children have none and are random.

  Args:
    evaluate: each class's probability; a pytree, see `class_probabilities`.
    encoding: of the images.
    offspring: children.
    per_device: images that one device is shown at once. The bits of what comes
      out depend on it, but not on the number of devices.

  Returns:
    The generation. All generations take the same key and derive their own; the
    statistics are those of `update`.
  """
  mesh = mesh_for(jax.local_device_count())
  # Rounds are whole: one shape, and the same bits for every child.
  whole = per_device * mesh.size
  count = math.ceil(offspring / whole) * whole
  each = jax.vmap if per_device > _FEW else _one_by_one

  def judged(evaluate, key, archive, numbers):
    def batch(numbers):
      child = functools.partial(_child, encoding, key, archive)
      genomes = each(child)(numbers)
      return genomes, evaluate(each(encoding.decode)(genomes))

    made = lax.map(batch, numbers.reshape(-1, per_device))
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), made)

  def generation(key, archive):
    key = jax.random.fold_in(key, archive.generation)
    made = sharded(judged, mesh, WHOLE, WHOLE, WHOLE)(
      evaluate, key, archive, jnp.arange(count, dtype=jnp.int32)
    )
    made = jax.tree.map(lambda leaf: leaf[:offspring], made)
    entire = NamedSharding(mesh, WHOLE)
    return update(archive, *lax.with_sharding_constraint(made, entire))

  return generation


@functools.partial(
  jax.jit, static_argnames=("encoding", "offspring", "per_device", "limit")
)
def evolve(
  key: PRNGKey,
  evaluate: Evaluate,
  encoding: Encoding,
  archive: Archive,
  *,
  generations: Index,
  offspring: int,
  per_device: int,
  limit: int = LIMIT,
) -> tuple[Archive, dict[str, Array]]:
  """Some generations of `map_elites`, as one program.

  Nothing leaves the devices in between, and how generations are split over
  calls changes no bit.

  Args:
    key: of all generations.
    evaluate: as for `map_elites`.
    encoding: as for `map_elites`; static.
    archive: what they begin with; see `empty_archive`.
    generations: how many, at most `limit`.
    offspring: as for `map_elites`; static.
    per_device: as for `map_elites`; static.
    limit: rows of the statistics; static.

  Returns:
    The archive, and the statistics with a leading axis, of which only the first
    `generations` rows count.
  """
  generation = map_elites(
    evaluate, encoding, offspring=offspring, per_device=per_device
  )
  _, shapes = jax.eval_shape(generation, key, archive)
  rows = jax.tree.map(lambda row: jnp.zeros(limit, row.dtype), shapes)

  def advance(i, carry):
    archive, rows = carry
    archive, row = generation(key, archive)
    return archive, jax.tree.map(lambda all, one: all.at[i].set(one), rows, row)

  return lax.fori_loop(0, generations, advance, (archive, rows))


def _probabilities(network: Network, images: Images) -> Float[Array, "n k"]:
  return probabilities(network, images + network.input.bounds[0][None])


def _child(
  encoding: Encoding, key: PRNGKey, archive: Archive, number: Index
) -> Genome:
  picking, making = jax.random.split(jax.random.fold_in(key, number))
  cells = len(archive.confidence)
  places = jax.random.randint(picking, (2,), 0, cells, jnp.int32)

  def vary():
    parent, mate = (
      jax.tree.map(lambda leaf, i=i: leaf[places[i]], archive.genome)
      for i in range(2)
    )
    return encoding.vary(making, parent, mate, archive.generation)

  return lax.cond(
    archive.generation == 0, lambda: encoding.random(making), vary
  )


def _one_by_one(function: Callable) -> Callable:
  return functools.partial(lax.map, function)
