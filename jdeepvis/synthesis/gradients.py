"""What a gradient is turned into before it becomes a step.

Pure functions from one gradient `[h, w, c]` to one: each prefers some changes
of the image to others that would raise the score as much, as photographs do.
Strengths may be traced and a strength of 0 is the identity. `precondition` in
`transforms` makes any of them a link of an `optax.chain`.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jdeepvis.types import Image, Scalar

_OCTAVES = 5

_product = functools.partial(jnp.einsum, precision="highest")

COLOURS = ((1.01, 0.88, 0.77), (0.88, 0.97, 0.92), (0.77, 0.92, 1.02))
"""Covariance of the colours within a photograph, its trace 3: the mean of a
hundred of ImageNet's. Light varies about ten times as much as colour does."""


def mix_colours(grad: Image, strength: Scalar) -> Image:
  """Prefers changes of light to changes of hue, as they are in photographs.

  `(1 - strength) g + strength g C` with C the covariance of the colours of
  photographs. Climbing with it is climbing in decorrelated colours (Olah,
  Mordvintsev and Schubert 2017, "Preconditioning and parameterization").

  Args:
    grad: a gradient; one that has not three channels is left as it is.
    strength: 0..1.
  """
  if grad.shape[-1] != 3:
    return grad
  # As sums: a matrix product over three numbers is slow on CPU.
  mixed = sum(
    grad[..., c, None] * np.float32(row) for c, row in enumerate(COLOURS)
  )
  return grad + strength * (mixed - grad)


def focus(grad: Image, narrowness: Scalar) -> Image:
  """Prefers the middle, where then one thing grows rather than copies of it.

  Multiplies by `exp(-(n d)**2 / 2)`, d the distance from the middle as a share
  of each side (the centre bias of Nguyen, Yosinski and Clune 2016,
  "Multifaceted feature visualization", §3.3).

  Args:
    grad: a gradient.
    narrowness: 1 over the Gaussian's standard deviation, which is told as a
      share of the side.
  """
  height, width, _ = grad.shape
  down, right = (
    (jnp.arange(side) - (side - 1) / 2) / side for side in (height, width)
  )
  far = down[:, None] ** 2 + right**2
  return grad * jnp.exp(-0.5 * narrowness**2 * far)[..., None]


def balance_octaves(grad: Image, coarsest: Scalar) -> Image:
  """Brings coarse and fine structure to equal strength.

  The mean over five octaves of the gradient, each blurred half as wide as the
  one before, the last not at all, each with the root mean square of the whole
  gradient. A network's gradient is nearly all fine, a photograph nearly all
  coarse (Mordvintsev 2016, "DeepDreaming with TensorFlow", normalises the
  levels of a Laplacian pyramid in the same way).

  Args:
    grad: a gradient.
    coarsest: standard deviation of the widest blur, as a share of the shorter
      side.
  """
  # Blurs mirrored at the edges are products in a cosine basis: once there and
  # once back serve all octaves, and their sizes are the same there (Parseval).
  height, width, _ = grad.shape
  spectrum = _analyse(_analyse(jnp.moveaxis(grad, -1, 0)))
  power = sum(plane**2 for plane in spectrum)  # XLA's own sum is slow here.
  octaves = jnp.arange(_OCTAVES - 1)
  sigma = coarsest * min(height, width) / 2.0**octaves
  along, across = _passed(height, sigma), _passed(width, sigma)
  left = _product("nh,hw,nw->n", along**2, power, across**2)
  gains = jnp.sqrt(jnp.sum(power) / jnp.where(left > 0, left, jnp.inf))
  change = _product("n,nh,nw->hw", gains, along, across) - len(octaves)
  added = _synthesise(_synthesise(change * spectrum)) / _OCTAVES
  return grad + jnp.moveaxis(added, 0, -1)


def _analyse(planes: Float[Array, "c a n"]) -> Float[Array, "c n a"]:
  """The last axis in a cosine basis, even frequencies first; axes swapped.

  Even cosines are their own mirror images and odd ones are minus theirs, so
  that half the places tell all, in half the products.
  """
  even, odd = _cosines(planes.shape[-1])
  half = odd.shape[1]
  begin, middle, end = jnp.split(planes, (half, even.shape[1]), axis=-1)
  end = end[..., ::-1]
  whole = jnp.concatenate([begin + end, middle], axis=-1)
  return jnp.concatenate(
    [
      _product("cax,bx->cba", whole, even),
      _product("cax,bx->cba", begin - end, odd),
    ],
    axis=1,
  )


def _synthesise(planes: Float[Array, "c a n"]) -> Float[Array, "c n a"]:
  """The way back from `_analyse`."""
  even, odd = _cosines(planes.shape[-1])
  half = odd.shape[1]
  whole = _product("cab,bx->cxa", planes[..., : len(even)], even)
  turned = _product("cab,bx->cxa", planes[..., len(even) :], odd)
  begin, middle = jnp.split(whole, (half,), axis=1)
  end = (begin - turned)[:, ::-1]
  return jnp.concatenate([begin + turned, middle, end], axis=1)


def _cosines(size: int) -> tuple[np.ndarray, np.ndarray]:
  """The orthonormal cosine basis (DCT-II), a row for each frequency.

  Returns:
    The even frequencies and the odd ones, over the first half of the places;
    a place in the middle counts to the even ones alone.
  """
  frequency, place = np.mgrid[:size, : (size + 1) // 2]
  basis = np.cos(np.pi / size * frequency * (place + 0.5))
  basis *= np.where(frequency == 0, 1, np.sqrt(2)) / np.sqrt(size)
  basis = np.float32(basis)
  return basis[::2], basis[1::2, : size // 2]


def _passed(size: int, sigma: Float[Array, " n"]) -> Float[Array, "n size"]:
  """What the blurs of `priors.blur` leave of each of `_analyse`'s cosines."""
  frequency, distance = np.mgrid[:size, : size + 1]
  frequency = np.concatenate([frequency[::2], frequency[1::2]])
  waves = np.float32(np.cos(np.pi / size * frequency * distance))
  distance, sigma = distance[0], sigma[:, None]
  taps = jnp.exp(-0.5 * (distance / jnp.maximum(sigma, 1e-6)) ** 2)
  taps = jnp.where(distance <= jnp.floor(4 * sigma + 0.5), taps, 0)
  taps *= jnp.where(distance == 0, 1, 2)
  taps /= jnp.sum(taps, axis=1, keepdims=True)
  return _product("nd,fd->nf", taps, waves)
