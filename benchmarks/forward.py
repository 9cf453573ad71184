"""All activations of a batch of 16 images, against PyTorch."""

from collections.abc import Iterator

import jax
import numpy as np
import torch

from benchmarks import rival
from benchmarks.rendering import random_caffenet
from benchmarks.timing import interleave
from jdeepvis.networks.network import Network
from jdeepvis.networks.sharding import (
  SPLIT,
  WHOLE,
  mesh_for,
  replicate,
  sharded,
)
from jdeepvis.networks.zoo import load_network

_IMAGES, _PASSES = 16, 5


def rows() -> Iterator[list[str]]:
  """One row for each network."""
  yield _row("SqueezeNet", load_network("squeezenet1.1"))
  yield _row("CaffeNet", random_caffenet())


def _row(what: str, network: Network) -> list[str]:
  shape = (_IMAGES, *network.input.shape)
  images = np.random.default_rng(0).normal(0, 30, shape).astype(np.float32)
  mesh = mesh_for(_IMAGES)
  placed = replicate(network)
  ours = jax.device_put(images, jax.NamedSharding(mesh, SPLIT))
  forward = jax.jit(sharded(Network.__call__, mesh, WHOLE))
  theirs = rival.as_tensor(images)
  run = rival.forward(network)

  def compete():
    with torch.inference_mode():
      return tuple(run(theirs).values())[-1].numpy()

  np.testing.assert_allclose(
    np.ravel(forward(placed, ours)[network.layers[-1].outputs[0]]),
    compete().ravel(),
    atol=1e-3,
  )

  def again(once):
    for _ in range(_PASSES):
      jax.block_until_ready(once())

  works = {
    "ours": lambda: again(lambda: forward(placed, ours)),
    "theirs": lambda: again(compete),
  }
  seconds = interleave(works, rounds=7)
  return [
    f"{what}, all activations of {_IMAGES} images, ms",
    f"{1e3 * seconds['ours'] / _PASSES:.0f}",
    f"PyTorch {1e3 * seconds['theirs'] / _PASSES:.0f}",
    f"{seconds['theirs'] / seconds['ours']:.2f} times as fast",
    "1.0",
  ]
