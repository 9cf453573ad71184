"""Gradient preferences: preconditioners applied before the step.

Pure functions from gradient `[h, w, c]` to gradient: each favours some changes
of the image, by the statistics of photographs, over others that would raise the
score as much. Strengths may be traced and a strength of 0 is the identity.
`precondition` in `transforms` makes any of them a link of an `optax.chain`.
"""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.networks.cpu import no_fusion
from jdeepvis.types import AnyArray, Image, Scalar

_OCTAVES = 5

_product = functools.partial(jnp.einsum, precision="highest")

COLOURS = ((1.01, 0.88, 0.77), (0.88, 0.97, 0.92), (0.77, 0.92, 1.02))
"""Covariance of the colours within a photograph, its trace 3: the mean of a
hundred of ImageNet's. Light varies about ten times as much as colour does."""


def mix_colours(grad: Image, strength: Scalar) -> Image:
  """Colour decorrelation: favours changes of lightness over changes of hue.

  `(1 - strength) g + strength g C` with C the covariance of the colours of
  photographs. Ascent along it is ascent in decorrelated colours (Olah,
  Mordvintsev and Schubert 2017, "Preconditioning and parameterization").

  Args:
    grad: a gradient; one that has not three channels is left as it is.
    strength: 0..1.
  """
  if grad.shape[-1] != 3:
    return grad
  return no_fusion(_mixed, grad, strength)


def centre_bias(grad: Image, narrowness: Scalar) -> Image:
  """Gaussian centre bias: one object grows rather than several copies.

  Multiplies by `exp(-(n d)**2 / 2)`, d the distance from the middle as a share
  of each side (the centre bias of Nguyen, Yosinski and Clune 2016,
  "Multifaceted feature visualization", §3.3).

  Args:
    grad: a gradient.
    narrowness: 1 over the Gaussian's standard deviation, which is given as a
      share of the side.
  """
  height, width, _ = grad.shape
  down, right = (
    (np.arange(side, dtype=np.float32) - (side - 1) / 2) / side
    for side in (height, width)
  )
  far = down[:, None] ** 2 + right[None] ** 2
  return grad * jnp.exp(-0.5 * narrowness**2 * far)[..., None]


def balance_octaves(grad: Image, sigma: Scalar) -> Image:
  """Equalises the gradient's coarse and fine structure, by octaves.

  The mean over five octaves of the gradient, each blurred half as wide as the
  one before, the last not at all, each with the root mean square of the whole
  gradient. A network's gradient is mostly fine structure, a photograph mostly
  coarse (Mordvintsev 2016, "DeepDreaming with TensorFlow", normalises the
  levels of a Laplacian pyramid in the same way).

  Args:
    grad: a gradient.
    sigma: standard deviation of the widest blur, as a share of the shorter
      side.
  """
  # Blurs mirrored at the edges are products in a cosine basis: one transform
  # and its inverse serve all octaves, and norms are equal there (Parseval).
  height, width, _ = grad.shape
  # Rows first, then columns with the channels in front: no further transposes.
  spectrum = _analyse(jnp.moveaxis(_analyse(grad, axis=0), -1, 0), axis=-1)
  power = sum(plane**2 for plane in spectrum)  # XLA's own sum is slow here.
  octaves = 0.5 ** np.arange(_OCTAVES - 1, dtype=np.float32)
  sigmas = sigma * min(height, width) * octaves
  along = _passed(height, sigmas)
  across = along if width == height else _passed(width, sigmas)
  left = _product("nh,hw,nw->n", along**2, power, across**2)
  gains = jnp.sqrt(jnp.sum(power) / jnp.where(left > 0, left, jnp.inf))
  change = _product("n,nh,nw->hw", gains, along, across) - len(octaves)
  added = _synthesise(change[None] * spectrum, axis=-1)
  added = _synthesise(jnp.moveaxis(added, 0, -1), axis=0)
  return grad + added / _OCTAVES


GRADIENTS: Mapping[str, Callable[..., Image]] = MappingProxyType(
  {
    "colour": mix_colours,
    "centre_bias": centre_bias,
    "pyramid_sigma": balance_octaves,
  }
)
"""Each by what recipes call its strength, in the order of their use."""


@jax.jit
def _mixed(grad, strength):
  # As sums: a matrix product over three numbers is slow on CPU.
  mixed = sum(
    grad[..., c, None] * np.float32(row)[None, None]
    for c, row in enumerate(COLOURS)
  )
  return grad + strength * (mixed - grad)


def _analyse(values: AnyArray, *, axis: int) -> Array:
  """The first or last axis in a cosine basis, even frequencies first.

  Even cosines are symmetric and odd ones antisymmetric, so that half the
  positions suffice, in half the products.
  """
  even, odd = _cosines(values.shape[axis])
  turned = jnp.flip(values, axis)
  sums = lax.slice_in_dim(values + turned, 0, even.shape[1], axis=axis)
  differences = lax.slice_in_dim(values - turned, 0, odd.shape[1], axis=axis)
  even[:, odd.shape[1] :] /= 2  # The sums count a middle position twice.
  formula = "fx,x...->f..." if axis == 0 else "fx,...x->...f"
  found = _product(formula, even, sums), _product(formula, odd, differences)
  return jnp.concatenate(found, axis)


def _synthesise(spectrum: Array, *, axis: int) -> Array:
  """The inverse of `_analyse`."""
  even, odd = _cosines(spectrum.shape[axis])
  formula = "fx,f...->x..." if axis == 0 else "fx,...f->...x"
  parts = jnp.split(spectrum, [len(even)], axis)
  whole, turned = map(functools.partial(_product, formula), (even, odd), parts)
  begin, middle = jnp.split(whole, [odd.shape[1]], axis)
  end = jnp.flip(begin - turned, axis)
  return jnp.concatenate([begin + turned, middle, end], axis)


def _cosines(size: int) -> tuple[np.ndarray, np.ndarray]:
  """The orthonormal cosine basis (DCT-II), a row for each frequency.

  Returns:
    The even frequencies and the odd ones, over the first half of the positions;
    a middle position belongs to the even ones alone.
  """
  frequency, place = np.mgrid[:size, : (size + 1) // 2]
  basis = np.cos(np.pi / size * frequency * (place + 0.5))
  basis *= np.where(frequency == 0, 1, np.sqrt(2)) / np.sqrt(size)
  basis = np.float32(basis)
  return basis[::2], basis[1::2, : size // 2]


def _passed(size: int, sigma: Float[AnyArray, " n"]) -> Float[Array, "n size"]:
  """What the blurs of `priors.blur` leave of each of `_analyse`'s cosines."""
  frequency, distance = np.mgrid[:size, : size + 1]
  frequency = np.concatenate([frequency[::2], frequency[1::2]])
  waves = np.float32(np.cos(np.pi / size * frequency * distance))
  distance, sigma = np.float32(distance[:1]), sigma[:, None]
  taps = jnp.exp(-0.5 * (distance / jnp.maximum(sigma, 1e-6)) ** 2)
  taps = jnp.where(distance <= jnp.floor(4 * sigma + 0.5), taps, 0)
  taps *= jnp.where(distance == 0, 1, 2)
  taps /= jnp.sum(taps, axis=1, keepdims=True)
  return _product("nd,fd->nf", taps, waves)
