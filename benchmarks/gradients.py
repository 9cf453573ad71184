"""Gradients: against the machine, and what recipes and crops make of them."""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from benchmarks import rendering
from benchmarks.timing import interleave
from jdeepvis.networks.cpu import with_cpu_layout
from jdeepvis.networks.crop import crop
from jdeepvis.networks.flops import count_flops
from jdeepvis.networks.network import Network
from jdeepvis.networks.sharding import (
  SPLIT,
  WHOLE,
  mesh_for,
  replicate,
  sharded,
)
from jdeepvis.networks.zoo import load_network
from jdeepvis.synthesis.batch_size import batch_size
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.synthesis.objective import Objective
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.score import bind

_STEPS = 16
_SIDE = 2048


def rows() -> Iterator[list[str]]:
  """The table's rows on gradients."""
  squeezenet = load_network("squeezenet1.1")
  yield _default_recipe(squeezenet)
  yield _of_the_machine("SqueezeNet", squeezenet)
  yield _of_the_machine("GoogLeNet", load_network("googlenet"))
  caffenet = rendering.random_caffenet()
  yield _of_the_machine("CaffeNet", caffenet)
  for number in range(1, 6):
    yield _at_feature_size("CaffeNet", caffenet, f"conv{number}")
  for number in range(2, 10):
    yield _at_feature_size("SqueezeNet", squeezenet, f"fire{number}/expand3x3")


def _default_recipe(network: Network) -> list[str]:
  default = recipe("default")
  each = jax.local_device_count()
  wanted = rendering.ascents(network, default)[:each]
  works = {
    "render": rendering.renderer(network, wanted),
    "bare": _gradients(network, wanted[0].objective, each),
  }
  seconds = interleave(works, rounds=5)
  ours = 1e3 * seconds["render"] / default.steps / each
  bare = 1e3 * seconds["bare"] / _STEPS / each
  return [
    "a step of the default recipe, ms per image",
    f"{ours:.1f}",
    f"its score's bare gradient {bare:.1f}",
    f"{ours / bare:.2f} times the time",
    "at most 1.25",
  ]


def _of_the_machine(what: str, network: Network) -> list[str]:
  each = batch_size(network, "output", 16)
  flops = 2 * sum(count_flops(network, "output").values())
  works = {
    "gradient": _gradients(network, neuron("output", 0), each),
    "product": _products(),
  }
  seconds = interleave(works, rounds=3)
  products = 2 * _SIDE**3 * _STEPS * jax.local_device_count()
  machine = products / seconds["product"] / 1e9
  rate = flops * _STEPS * each / seconds["gradient"] / 1e9
  return [
    f"{what}'s gradient, Gflop/s",
    f"{rate:.0f}",
    f"matrix product {machine:.0f}",
    f"{100 * rate / machine:.0f} %",
    "50 %",
  ]


def _at_feature_size(what: str, network: Network, layer: str) -> list[str]:
  """Whole renders without priors, in the batches that the scripts choose."""
  small, bare = crop(network, layer), recipe("none")
  fewer = _flops(network, layer) / _flops(small, layer)

  def work(network, steps, times):
    short = bare.replace(steps=steps)
    wanted = rendering.ascents(network, short, layer) * times
    return rendering.renderer(network, wanted, layer)

  # Small pictures go in large batches, and end too soon to be timed.
  steps, times = (bare.steps, 8) if fewer > 20 else (4 * _STEPS, 1)
  works = {
    "small": work(small, steps, times),
    "whole": work(network, _STEPS, 1),
  }
  seconds = interleave(works, rounds=3)
  scale = 1e3 / len(rendering.UNITS)
  each = scale * seconds["small"] / steps / times
  whole = scale * seconds["whole"] / _STEPS
  return [
    f"{what} {layer} at feature size, ms per image and step",
    f"{each:.3f}",
    f"whole image {whole:.1f}",
    f"{whole / each:.1f} times as fast of {fewer:.1f} times fewer FLOPs",
    f"{0.7 * fewer:.1f}",
  ]


def _flops(network: Network, layer: str) -> int:
  """FLOPs of a step; the last product, of one unit, needs no transpose."""
  counts = list(count_flops(network, layer).values())
  return 2 * sum(counts) - counts[-1]


def _gradients(network: Network, objective: Objective, count: int) -> Callable:
  """Gradients alone, one step after another, over all devices."""
  params = replicate(with_cpu_layout(network.layers, network.params))
  score = bind(network.replace(params=params), objective)

  def steps(score, images):
    slopes = jax.vmap(jax.grad(lambda image: score(None, image)[0]))
    step = lambda images, _: (images + slopes(images), None)  # noqa: E731
    return jax.lax.scan(step, images, None, length=_STEPS)[0]

  shape = (count, *network.input.shape)
  images = np.random.default_rng(0).normal(0, 10, shape).astype(np.float32)
  return _over_devices(steps, score, images)


def _products() -> Callable:
  def steps(matrix, rows):
    product = functools.partial(jnp.matmul, precision="highest")
    step = lambda rows, _: (product(rows, matrix), None)  # noqa: E731
    return jax.lax.scan(step, rows, None, length=_STEPS)[0]

  matrix = np.eye(_SIDE, dtype=np.float32)
  return _over_devices(steps, matrix, np.tile(matrix, (_devices(), 1)))


def _over_devices(function: Callable, whole, split) -> Callable:
  mesh = mesh_for(_devices())
  program = jax.jit(sharded(function, mesh, WHOLE))
  whole, split = (
    replicate(whole),
    jax.device_put(split, NamedSharding(mesh, SPLIT)),
  )
  return lambda: program(whole, split)


def _devices() -> int:
  return jax.local_device_count()
