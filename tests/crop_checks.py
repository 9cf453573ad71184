"""How far a crop is from the whole network, and where to look."""

import functools

import jax
import numpy as np

from jdeepvis.networks.crop import crop
from jdeepvis.networks.receptive_field import receptive_field


def differences(network, blob, position, *, seed=0) -> tuple[float, float]:
  """How far a crop is from the whole network: value and gradient.

  Both are reported as a fraction of the largest number they are made of. The
  whole network's gradient outside the crop counts in full.
  """
  cropped = crop(network, blob, position)
  field = receptive_field(network, blob, position)
  assert cropped.input.shape == (*field.size, network.input.shape[2])
  rng = np.random.default_rng(seed)
  image = np.float32(rng.normal(0, 50, network.input.shape))
  weights = np.float32(rng.normal(0, 1, network.shapes[blob][-1]))

  gradient = functools.partial(_gradient, blob=blob, weights=weights)
  expected, unit = gradient(image, network, *position)
  found, cropped_unit = gradient(image[field.slices], cropped, 0, 0)
  everywhere = np.zeros_like(image)
  everywhere[field.slices] = found
  return (
    _relative(cropped_unit, unit),
    _relative(everywhere, np.asarray(expected)),
  )


@functools.partial(jax.jit, static_argnames="blob")
@functools.partial(jax.grad, has_aux=True)
def _gradient(image, network, row, column, *, blob, weights):
  unit = network(image[None], until=blob)[blob][0, row, column]
  return unit @ weights, unit


def _relative(found, expected) -> float:
  scale = np.abs(expected).max()
  return float(np.abs(found - expected).max() / (scale or 1))


def places(network, blob):
  """The centre, two borders and two corners of a map."""
  height, width = network.shapes[blob][:2]
  row, column = height // 2, width // 2
  yield row, column
  yield 0, column
  yield row, width - 1
  yield 0, 0
  yield height - 1, width - 1
