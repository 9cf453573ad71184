"""One network, asked about one image at a time: arrays in, arrays out."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jdeepvis.networks import classify
from jdeepvis.networks.names import before_relu
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import Rectangle
from jdeepvis.probing.backprop import (
  RULES,
  backward,
  map_seed,
  point_seed,
)
from jdeepvis.probing.patches import find_patches
from jdeepvis.types import Image

Values = Float[np.ndarray, "h w c"]


class Program(NamedTuple):
  """What is compiled: all of a question that is static.

  Attributes:
    layer: whose values are wanted.
    labels: whether the classes' probabilities are.
    rule: how signals go back, a key of `backprop.RULES`; None for not.
    origin: the layer that they go back from; None without a rule.
    diffs: whether they are wanted at the layer too.
  """

  layer: str
  labels: bool
  rule: str | None = None
  origin: str | None = None
  diffs: bool = False


class Start(NamedTuple):
  """Where signals begin; traced.

  Attributes:
    unit: the channel.
    cell: of its map, in row-major order; -1 is where it is largest.
    whole: whether the unit's whole map is sent back, in place of 1 at the
      cell.
  """

  unit: int
  cell: int
  whole: bool


class Answer(NamedTuple):
  """What the network says of an image.

  Attributes:
    values: of the layer; a vector is `[1, 1, c]`.
    probabilities: of each class, if wanted.
    signal: at the image, `[h, w, c]`, if wanted.
    diffs: the signal at the layer, if wanted.
  """

  values: Values
  probabilities: Float[np.ndarray, " k"] | None = None
  signal: Values | None = None
  diffs: Values | None = None


class Engine:
  """A network with its weights in place.

  Attributes:
    network: the network.
    shapes: of each blob, `(h, w, c)` or `(c,)`.
  """

  def __init__(self, network: Network):
    self.network = jax.device_put(network)
    self.shapes = network.shapes
    self._compiled = set()
    self._patches = functools.cache(functools.partial(find_patches, network))

  def knows(self, program: Program) -> bool:
    """Whether a program has been compiled."""
    return program in self._compiled

  def look(self, image: Image, program: Program, start: Start) -> Answer:
    """What the network says of one image.

    Args:
      image: centred, `[h, w, c]`.
      program: what is asked; compiled when it is first.
      start: where signals begin.
    """
    answer = _look(self.network, image, start, program=program)
    self._compiled.add(program)
    return jax.tree.map(np.asarray, answer)

  def field(self, layer: str, cell: int) -> Rectangle:
    """The pixels that one cell of a layer sees."""
    return self._patches(layer)(cell).field


@functools.partial(jax.jit, static_argnames="program")
def _look(network, image, start: Start, *, program: Program) -> Answer:
  images = image[None]
  layer, source = program.layer, program.origin or program.layer
  blobs = network(images, until=(layer, source))
  probability = signal = diffs = None
  if program.labels:
    probability = classify.probabilities(network, images)[0]
  if program.rule:
    seed = _seed(blobs[source], start)
    signal = backward(network, images, source, seed, rule=program.rule)[0]
    if program.diffs:
      diffs = _as_map(_diffs(network, images, blobs, program, seed))
  return Answer(_as_map(blobs[layer]), probability, signal, diffs)


def _seed(values, start: Start):
  units = jnp.asarray(start.unit)[None]
  whole = map_seed(values, units)
  if values.ndim == 2:
    return jnp.where(start.whole, whole, point_seed(values, units))
  plane = values[0, :, :, start.unit]
  cell = jnp.where(start.cell < 0, jnp.argmax(plane), start.cell)
  position = jnp.stack(jnp.divmod(cell, plane.shape[1]))[None]
  return jnp.where(start.whole, whole, point_seed(values, units, position))


def _diffs(network: Network, images, blobs, program: Program, seed):
  """The signal at a layer between image and origin; 0 at one above it."""
  layer, source = program.layer, program.origin
  if layer == source:
    return seed
  begin = before_relu(network, source)

  def values(given):
    return network(
      images,
      until=begin,
      relu=RULES[program.rule],
      given={layer: given},
    )[begin]

  return jax.vjp(values, blobs[layer])[1](seed)[0]


def _as_map(values):
  return values[0].reshape((1, 1, -1) if values.ndim == 2 else values.shape[1:])
