"""Compositional pattern-producing networks: small graphs that draw pictures.

A graph of simple functions gives the colour at each place (Stanley 2007,
"Compositional pattern producing networks"), so that it draws regular patterns
at any size. Functions, inputs and the first network are those of Nguyen,
Yosinski and Clune 2015 as published (Evolving-AI-Lab/fooling and its nn2).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from jdeepvis.types import AnyArray, Image, PRNGKey

INPUTS = ("x", "y", "distance", "bias")
OUTPUTS = ("hue", "saturation", "lightness")
FUNCTIONS = ("sine", "sigmoid", "gaussian", "linear")
HIDDEN, LINKS = 25, 96
NODES = len(INPUTS) + HIDDEN + len(OUTPUTS)
FIRST_OUTPUT = NODES - len(OUTPUTS)
LARGEST_WEIGHT = 10.0

# Places at once: the values of all nodes there fit into a core's own cache.
_TILE = 4096


class Graph(NamedTuple):
  """A network's genes, in arrays of fixed sizes.

  Nodes stand in feed-forward order: the inputs, the hidden ones, room for more,
  the outputs. Every link leads to a later node, and no two link the same pair.

  Attributes:
    function: what each node does with its sum, an index of `FUNCTIONS`; of no
      meaning for inputs and unused nodes.
    mark: which node it is, the same in all its descendants.
    hidden: how many hidden nodes there are.
    source: the node that each link comes from.
    target: the node that it leads to.
    weight: its factor, within `LARGEST_WEIGHT` of 0.
    present: whether the link is there; the others are room for more.
  """

  function: Int[AnyArray, " nodes"]
  mark: UInt32[AnyArray, " nodes"]
  hidden: Int[AnyArray, ""]
  source: Int[AnyArray, " links"]
  target: Int[AnyArray, " links"]
  weight: Float[AnyArray, " links"]
  present: Bool[AnyArray, " links"]


def minimal_graph(key: PRNGKey) -> Graph:
  """All inputs linked to all outputs, with random weights and functions."""
  functions, weights = jax.random.split(key)
  source, target = jnp.divmod(jnp.arange(LINKS, dtype=jnp.int32), len(OUTPUTS))
  present = source < len(INPUTS)
  weight = jax.random.uniform(weights, (LINKS,), jnp.float32, -1.0)
  return Graph(
    function=random_functions(functions),
    mark=jnp.arange(NODES, dtype=jnp.uint32),
    hidden=jnp.int32(0),
    source=jnp.where(present, source, 0),
    target=jnp.where(present, FIRST_OUTPUT + target, 0),
    weight=jnp.where(present, LARGEST_WEIGHT * weight, 0),
    present=present,
  )


def random_functions(key: PRNGKey) -> Int[Array, " nodes"]:
  """A function for each node."""
  return jax.random.randint(key, (NODES,), 0, len(FUNCTIONS), jnp.int32)


def draw(graph: Graph, shape: tuple[int, int, int]) -> Image:
  """The picture that a graph draws, at any size.

  Args:
    graph: the genes.
    shape: height and width in pixels, then channels: 3, or 1 for the lightness
      alone; static.

  Returns:
    Whole grey levels, 0..255.
  """
  height, width, channels = shape
  tiles = -(-height * width // _TILE)
  places = jnp.arange(tiles * _TILE, dtype=jnp.int32).reshape(tiles, _TILE)
  ordered = _in_order(graph)

  def tile(places):
    row, column = jnp.divmod(places, width)
    values = _outputs(ordered, _inputs(row, column, height, width))
    hsl = (values + 1) / 2
    colours = hsl_to_rgb(*hsl) if channels == 3 else hsl[2:]
    return jnp.round(255 * jnp.clip(colours, 0, 1)).T

  colours = lax.map(tile, places).reshape(-1, channels)
  return colours[: height * width].reshape(shape)


def hsl_to_rgb(
  hue: Float[AnyArray, "..."],
  saturation: Float[AnyArray, "..."],
  lightness: Float[AnyArray, "..."],
) -> Float[Array, "rgb ..."]:
  """Red, green and blue, 0..1, of a hue, a saturation and a lightness, 0..1.

  Args:
    hue: 0..1, red to red.
    saturation: 0..1.
    lightness: 0..1.
  """
  amount = saturation * jnp.minimum(lightness, 1 - lightness)

  def channel(offset):
    k = (offset + 12 * hue) % 12
    return lightness - amount * jnp.clip(jnp.minimum(k - 3, 9 - k), -1, 1)

  return jnp.stack([channel(0), channel(8), channel(4)])


def _inputs(row, column, height, width) -> Float[Array, "inputs places"]:
  """From -1 to 1 across the picture, at the middle of each pixel."""
  x = jnp.float32(2 * column + 1) / width - 1
  y = jnp.float32(2 * row + 1) / height - 1
  return jnp.stack([x, y, jnp.hypot(x, y), jnp.ones_like(x)])


def _in_order(graph: Graph) -> Graph:
  """The links by their targets, those that are absent last."""
  order = jnp.argsort(jnp.where(graph.present, graph.target, NODES))
  links = (graph.source, graph.target, graph.weight, graph.present)
  return Graph(
    graph.function, graph.mark, graph.hidden, *(leaf[order] for leaf in links)
  )


def _outputs(
  graph: Graph, inputs: Float[Array, "inputs places"]
) -> Float[Array, "outputs places"]:
  """One link after the other: a target's last one completes its sum."""
  nothing = jnp.zeros(NODES, jnp.float32)
  without_links = jax.vmap(_activate)(graph.function, nothing)
  values = jnp.broadcast_to(without_links[:, None], (NODES, inputs.shape[1]))
  values = values.at[: len(INPUTS)].set(inputs)
  after = jnp.append(graph.target[1:], -1)
  is_last = (graph.target != after) | ~jnp.append(graph.present[1:], False)

  def follow(i, carry):
    values, total = carry
    total += graph.weight[i] * values[graph.source[i]]
    target, done = graph.target[i], is_last[i]
    value = _activate(
      jnp.where(done, graph.function[target], len(FUNCTIONS)), total
    )
    return values.at[target].set(value), jnp.where(done, 0, total)

  start = values, jnp.zeros_like(inputs[0])
  values, _ = lax.fori_loop(0, jnp.sum(graph.present), follow, start)
  return values[FIRST_OUTPUT:]


def _activate(function, total):
  """One of `FUNCTIONS`, all within -1..1, or nothing."""
  branches = (
    jnp.sin,
    lambda x: 2 * jax.nn.sigmoid(x) - 1,
    lambda x: jnp.exp(-(x**2)),
    lambda x: jnp.clip(x, -3, 3) / 3,
    lambda x: x,
  )
  return lax.switch(function, branches, total)
