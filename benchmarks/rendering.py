"""Whole renders against PyTorch: 8 units, 50 steps, the same priors."""

from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from benchmarks import rival
from benchmarks.timing import interleave
from jdeepvis.networks import sharding
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import GraphApply, random_weights
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.synthesis import assembly
from jdeepvis.synthesis.ascend import AscentState
from jdeepvis.synthesis.batch import Ascent, ascend_batch
from jdeepvis.synthesis.batch_size import batch_size
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.synthesis.recipes import Recipe

UNITS = np.arange(8) * 8
"""Units that are drawn side by side; every layer measured has them."""

_STEPS = 50
_DIFFERING_PIXELS = 1e-3


def random_caffenet() -> Network:
  """CaffeNet with random weights: what it costs does not depend on them."""
  built = ARCHITECTURES["caffenet"]
  layers = built.module().layers()
  weights = random_weights(layers, built.input.shape)
  apply = GraphApply(layers)
  return Network(apply, weights, built.input, layers, (), built.output)


def rows() -> Iterator[list[str]]:
  """One row of the table for each render."""
  squeezenet = load_network("squeezenet1.1")
  for name in ("paper_c", "paper_b", "paper_d"):
    yield _row("SqueezeNet class scores", squeezenet, name)
  yield _row("GoogLeNet class scores", load_network("googlenet"), "paper_c")
  yield _row("CaffeNet fc8, random weights", random_caffenet(), "paper_c")


def ascents(
  network: Network, made: Recipe, layer: str = "output"
) -> list[Ascent]:
  """One picture of each of `UNITS`."""
  return [
    Ascent(
      assembly.unit_objective(made, layer, int(unit)),
      made,
      jax.random.key(unit),
      initial_image(jax.random.key(unit), network.input),
    )
    for unit in UNITS
  ]


def renderer(
  network: Network, wanted: Sequence[Ascent], layer: str = "output"
) -> Callable[[], list[AscentState]]:
  """Renders all that is wanted, in batches as the scripts choose them."""
  size = batch_size(network, layer, len(wanted))
  placed = sharding.place(network, size)

  def work():
    parts = (
      wanted[first : first + size] for first in range(0, len(wanted), size)
    )
    runs = (
      ascend_batch(network, part, batch=size, placed=placed) for part in parts
    )
    return [list(run)[-1].states for run in runs]

  return work


def _row(what: str, network: Network, name: str) -> list[str]:
  made = recipe(name).replace(steps=_STEPS)
  wanted = ascents(network, made)
  start = np.stack([picture.image for picture in wanted])
  # Neither loop's time includes moving the weights to their layout.
  slopes_of = rival.gradient(network, UNITS)
  _check_first_step(what, network, slopes_of, made, start)

  def theirs():
    seen = list(rival.ascend(slopes_of, network.input, made, start))
    return seen[-1][1].numpy()

  works = {"ours": renderer(network, wanted), "theirs": theirs}
  seconds = interleave(works, rounds=5)
  scale = 1e3 / _STEPS / len(UNITS)
  return [
    f"{what}, {name}, ms per image and step",
    f"{scale * seconds['ours']:.1f}",
    f"PyTorch {scale * seconds['theirs']:.1f}",
    f"{seconds['theirs'] / seconds['ours']:.2f} times as fast",
    "1.3",
  ]


def _check_first_step(what, network, slopes_of, made, start) -> None:
  """Later ones diverge: a rounding moves a pixel over a percentile."""
  made = made.replace(steps=2)
  done = renderer(network, ascents(network, made))()
  ours = np.concatenate([states.last.image for states in done])
  seen = list(rival.ascend(slopes_of, network.input, made, start))
  theirs = rival.as_array(seen[-1][0])
  differing = np.mean(np.any(np.abs(ours - theirs) > 0.1, axis=-1))
  if differing > _DIFFERING_PIXELS:
    raise RuntimeError(
      f"{what}: {100 * differing:.2g} % of PyTorch's pixels are others."
    )
