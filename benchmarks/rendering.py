"""Whole renders against PyTorch: 8 units, 50 steps, the same priors."""

import dataclasses
import statistics
import time
from collections.abc import Iterator

import jax
import numpy as np

from benchmarks import rival
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import GraphApply, random_weights
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.synthesis import assembly, recipes, starts, sweep

_UNITS, _STEPS = 8, 50
_LARGEST_DIFFERENCE = 0.05


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
  yield _row("CaffeNet fc8, random weights", random_caffenet(), "paper_c")


def _row(what: str, network: Network, name: str) -> list[str]:
  recipe = dataclasses.replace(recipes.find_recipe(name), steps=_STEPS)
  units = np.arange(_UNITS) * 37 + 130
  pictures = [
    sweep.Picture(
      assembly.objective(recipe, "output", int(unit)),
      recipe,
      jax.random.key(unit),
      starts.start(jax.random.key(unit), network.input),
    )
    for unit in units
  ]
  next(sweep.climb(network, pictures, batch=_UNITS))  # compiles
  start = np.stack([picture.image for picture in pictures])
  theirs = rival.climb(network, recipe, start, units)
  ours_seconds, theirs_seconds, done, difference = [], [], 0, None
  began = time.perf_counter()
  for progress in sweep.climb(network, pictures, batch=_UNITS):
    jax.block_until_ready(progress.states)
    middle = time.perf_counter()
    chunk, done = progress.step - done, progress.step
    for _ in range(chunk):
      images, _scores = next(theirs)
    ended = time.perf_counter()
    ours_seconds.append((middle - began) / chunk / _UNITS)
    theirs_seconds.append((ended - middle) / chunk / _UNITS)
    if difference is None:
      difference = _difference(progress.states.last.image, images)
    began = time.perf_counter()
  if difference > _LARGEST_DIFFERENCE:
    raise RuntimeError(f"{what}: PyTorch's pictures differ by {difference:.2f}")
  ours, other = map(statistics.median, (ours_seconds, theirs_seconds))
  return [
    f"{what}, {name}, ms per image and step",
    f"{1e3 * ours:.1f}",
    f"PyTorch {1e3 * other:.1f}",
    f"{other / ours:.2f} times as fast",
    "1.3",
  ]


def _difference(ours, theirs) -> float:
  """Of the images after the first chunk, relative to their norm."""
  ours, theirs = np.asarray(ours), rival.as_array(theirs)
  return float(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
