"""Children of pattern-producing graphs: they grow, shrink, change and mix.

After NEAT (Stanley and Miikkulainen 2002, "Evolving neural networks through
augmenting topologies"): a new node splits a link, and graphs are crossed along
what they inherited from a common ancestor. Rates are those of Nguyen, Yosinski
and Clune's published program.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Int

from jdeepvis.evolution.graphs import (
  FIRST_OUTPUT,
  FUNCTIONS,
  HIDDEN,
  INPUTS,
  LARGEST_WEIGHT,
  NODES,
  Graph,
  random_functions,
)
from jdeepvis.evolution.mutation import mutate_polynomially
from jdeepvis.types import PRNGKey

_ADD_LINK, _DELETE_LINK, _MOVE_LINK = 0.5, 0.3, 0.5
_ADD_NODE, _DELETE_NODE = 0.5, 0.2
_FUNCTION, _WEIGHT = 0.1, 0.1
_HALF = np.float32(0.5)

_FIRST_HIDDEN = len(INPUTS)


def mutate(key: PRNGKey, graph: Graph) -> Graph:
  """Adds, deletes or moves a link, adds or deletes a node, each by chance.

  Then some weights and functions change. Mutations that do not apply, or that
  there is no room for, are skipped.
  """
  changes = (
    (_ADD_LINK, add_link),
    (_DELETE_LINK, delete_link),
    (_ADD_NODE, add_node),
    (_DELETE_NODE, delete_node),
    (_MOVE_LINK, move_link),
  )
  keys = jax.random.split(key, len(changes) + 1)
  for one, (rate, change) in zip(keys[1:], changes, strict=True):
    whether, how = jax.random.split(one)
    changed = change(how, graph)
    take = jax.random.bernoulli(whether, np.float32(rate))
    graph = jax.tree.map(
      lambda a, b, take=take: jnp.where(take, a, b), changed, graph
    )
  return mutate_values(keys[0], graph)


def mutate_values(key: PRNGKey, graph: Graph) -> Graph:
  """Some weights move a little, some nodes get another function."""
  weights, whether, functions = jax.random.split(key, 3)
  weight = mutate_polynomially(
    graph.weight,
    jax.random.uniform(weights, graph.weight.shape, jnp.float32),
    rate=_WEIGHT,
    low=-LARGEST_WEIGHT,
    high=LARGEST_WEIGHT,
  )
  take = jax.random.bernoulli(whether, np.float32(_FUNCTION), (NODES,))
  function = jnp.where(take, random_functions(functions), graph.function)
  return graph._replace(
    weight=jnp.where(graph.present, weight, 0), function=function
  )


def add_link(key: PRNGKey, graph: Graph) -> Graph:
  """Adds a link with a random weight between two nodes without one."""
  pairs, weights = jax.random.split(key)
  weight = jax.random.uniform(weights, (), jnp.float32, -1.0) * LARGEST_WEIGHT
  slot, room = _first_free(graph), ~graph.present.all()
  return _put_link(pairs, graph, slot, weight, _unlinked(graph) & room)


def delete_link(key: PRNGKey, graph: Graph) -> Graph:
  """Deletes a random link."""
  return _without_links(graph, _chosen(key, graph.present))


def move_link(key: PRNGKey, graph: Graph) -> Graph:
  """Moves a random link to another source or target; it keeps its weight."""
  which, pairs = jax.random.split(key)
  slot = _choose(which, graph.present)
  nodes = jnp.arange(NODES, dtype=jnp.int32)
  same_end = (nodes[:, None] == graph.source[slot]) | (
    nodes[None] == graph.target[slot]
  )
  free = _unlinked(graph) & same_end & graph.present[slot]
  return _put_link(pairs, graph, slot, graph.weight[slot], free)


def add_node(key: PRNGKey, graph: Graph) -> Graph:
  """Splits a random link by a node: weight 1 into it, the link's own out.

  It gets a place between the two in the order, and later nodes move up.
  """
  which, place, what = jax.random.split(key, 3)
  slot, spare = _choose(which, graph.present), _first_free(graph)
  source, target = graph.source[slot], graph.target[slot]
  possible = (
    graph.present[slot] & ~graph.present[spare] & (graph.hidden < HIDDEN)
  )
  earliest = jnp.maximum(source + 1, _FIRST_HIDDEN)
  latest = jnp.minimum(target, _FIRST_HIDDEN + graph.hidden)
  node = jax.random.randint(place, (), earliest, latest + 1, jnp.int32)

  nodes = jnp.arange(NODES, dtype=jnp.int32)
  moves = (nodes > node) & (nodes < FIRST_OUTPUT)
  function = jnp.where(moves, jnp.roll(graph.function, 1), graph.function)
  mark = jnp.where(moves, jnp.roll(graph.mark, 1), graph.mark)
  fresh = jax.random.bits(what, (2,), jnp.uint32)

  def renumber(ends):
    return jnp.where((ends >= node) & (ends < FIRST_OUTPUT), ends + 1, ends)

  grown = Graph(
    function.at[node].set((fresh[0] % len(FUNCTIONS)).astype(jnp.int32)),
    # Not one of the inputs' or outputs' own.
    mark.at[node].set(fresh[1] | jnp.uint32(1 << 31)),
    graph.hidden + 1,
    renumber(graph.source).at[spare].set(node),
    renumber(graph.target).at[slot].set(node).at[spare].set(renumber(target)),
    graph.weight.at[slot].set(1.0).at[spare].set(graph.weight[slot]),
    graph.present.at[spare].set(True),
  )
  return jax.tree.map(lambda a, b: jnp.where(possible, a, b), grown, graph)


def delete_node(key: PRNGKey, graph: Graph) -> Graph:
  """Some hidden node less, with all its links; later nodes move down."""
  nodes = jnp.arange(NODES, dtype=jnp.int32)
  last = _FIRST_HIDDEN + graph.hidden
  node = _choose(key, (nodes >= _FIRST_HIDDEN) & (nodes < last))
  possible = graph.hidden > 0
  graph = _without_links(
    graph, possible & ((graph.source == node) | (graph.target == node))
  )
  moves = possible & (nodes >= node) & (nodes < FIRST_OUTPUT - 1)

  def renumber(ends):
    later = possible & (ends > node) & (ends < FIRST_OUTPUT)
    return jnp.where(later, ends - 1, ends)

  return graph._replace(
    function=jnp.where(moves, jnp.roll(graph.function, -1), graph.function),
    mark=jnp.where(moves, jnp.roll(graph.mark, -1), graph.mark),
    hidden=graph.hidden - possible.astype(jnp.int32),
    source=renumber(graph.source),
    target=renumber(graph.target),
  )


def cross(key: PRNGKey, parent: Graph, mate: Graph) -> Graph:
  """The parent's graph with half of the shared genes from the mate.

  Nodes are shared where their marks are equal, links where both their ends are.
  Each shared link's weight and each shared node's function comes from either
  parent. What only the mate has is left out, so that the parent's order holds.

  Args:
    key: of what comes from whom.
    parent: whose nodes and links the child has.
    mate: gives values for those that both have.
  """
  links, nodes = jax.random.split(key)
  same = parent.mark[:, None] == mate.mark[None]
  used = _used(parent)[:, None] & _used(mate)[None]
  theirs = jnp.argmax(same & used, axis=1)
  take = jax.random.bernoulli(nodes, _HALF, (NODES,)) & (same & used).any(1)
  function = jnp.where(take, mate.function[theirs], parent.function)

  def ends(graph):
    return graph.mark[graph.source], graph.mark[graph.target]

  (sources, targets), (others, ends_there) = ends(parent), ends(mate)
  same = sources[:, None] == others[None]
  same &= targets[:, None] == ends_there[None]
  same &= parent.present[:, None] & mate.present[None]
  theirs = jnp.argmax(same, axis=1)
  take = jax.random.bernoulli(links, _HALF, same.shape[:1]) & same.any(1)
  weight = jnp.where(take, mate.weight[theirs], parent.weight)
  return parent._replace(function=function, weight=weight)


def _used(graph: Graph) -> Bool[Array, " nodes"]:
  nodes = jnp.arange(NODES, dtype=jnp.int32)
  return (nodes < _FIRST_HIDDEN + graph.hidden) | (nodes >= FIRST_OUTPUT)


def _unlinked(graph: Graph) -> Bool[Array, "nodes nodes"]:
  """Pairs of nodes, source by target, that a link may join."""
  nodes, used = jnp.arange(NODES, dtype=jnp.int32), _used(graph)
  source, target = nodes[:, None], nodes[None]
  allowed = used[:, None] & used[None] & (source < target)
  allowed &= (source < FIRST_OUTPUT) & (target >= _FIRST_HIDDEN)
  linked = jnp.zeros((NODES, NODES), bool)
  linked = linked.at[graph.source, graph.target].max(graph.present)
  return allowed & ~linked


def _first_free(graph: Graph) -> Int[Array, ""]:
  return lax.argmin(graph.present, 0, jnp.int32)


def _put_link(key, graph, slot, weight, pairs) -> Graph:
  """Puts a link at `slot` for one of the pairs, if there are any."""
  source, target = jnp.divmod(_choose(key, pairs.ravel()), NODES)
  put = pairs.any() & (jnp.arange(len(graph.present), dtype=jnp.int32) == slot)
  return graph._replace(
    source=jnp.where(put, source, graph.source),
    target=jnp.where(put, target, graph.target),
    weight=jnp.where(put, weight, graph.weight),
    present=graph.present | put,
  )


def _without_links(graph: Graph, which: Bool[Array, " links"]) -> Graph:
  return graph._replace(
    source=jnp.where(which, 0, graph.source),
    target=jnp.where(which, 0, graph.target),
    weight=jnp.where(which, 0, graph.weight),
    present=graph.present & ~which,
  )


def _choose(key: PRNGKey, among: Bool[Array, " n"]) -> Int[Array, ""]:
  """The place of one that is true; any place where none is."""
  drawn = jax.random.uniform(key, among.shape, jnp.float32)
  return lax.argmax(jnp.where(among, drawn, -1), 0, jnp.int32)


def _chosen(key: PRNGKey, among: Bool[Array, " n"]) -> Bool[Array, " n"]:
  """True at one place that is."""
  places = jnp.arange(len(among), dtype=jnp.int32)
  return among & (places == _choose(key, among))
