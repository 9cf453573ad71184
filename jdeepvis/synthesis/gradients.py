"""What a gradient is turned into before it becomes a step.

Pure functions from one gradient `[h, w, c]` to one: each prefers some changes
of the image to others that would raise the score as much, as photographs do.
Strengths may be traced and a strength of 0 is the identity. `precondition` in
`transforms` makes any of them a link of an `optax.chain`.
"""

import jax.numpy as jnp
import numpy as np

from jdeepvis.synthesis import priors
from jdeepvis.types import Image, Scalar

_OCTAVES = 5

# Covariance of the colours within a photograph, its trace 3: mean of a hundred
# of ImageNet's. Light varies about ten times as much as colour does.
_COLOURS = ((1.01, 0.88, 0.77), (0.88, 0.97, 0.92), (0.77, 0.92, 1.02))


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
  mixed = jnp.einsum(
    "hwc,cd->hwd", grad, np.float32(_COLOURS), precision="highest"
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
  widest = coarsest * min(grad.shape[:2])
  size = _rms(grad)
  octaves = [
    *(priors.blur(grad, widest / 2**i) for i in range(_OCTAVES - 1)),
    grad,
  ]
  return sum(
    octave * (size / jnp.where(rms > 0, rms, 1)) / _OCTAVES
    for octave in octaves
    for rms in [_rms(octave)]
  )


def _rms(values: Image) -> Scalar:
  return jnp.sqrt(jnp.mean(values**2))
