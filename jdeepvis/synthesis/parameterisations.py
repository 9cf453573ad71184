"""Parameterisations: what gradient ascent moves, and how it gives an image.

Moving the spectrum of an image instead of its pixels changes which pictures are
near: a step of equal size in every frequency is a large change of coarse
structure and a small one of fine structure, and of lightness more than of hue.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis.gradients import COLOURS
from jdeepvis.types import Image, ImageParams, JdeepvisError

# Standard deviation of a photograph's values before the sigmoid squashes them
# into what a file can hold: about 55 grey levels.
_CONTRAST = 0.9
# How near to black or white the mean colour may be, as a share of the range.
_EDGE = 0.02


class Parameterisation(NamedTuple):
  """A map from parameters to an image, and back.

  >>> import jax.numpy as jnp, jdeepvis
  >>> def grey(spec):
  ...   return jdeepvis.Parameterisation(
  ...     encode=lambda image: image.mean(-1, keepdims=True),
  ...     decode=lambda grey: jnp.repeat(grey, spec.shape[-1], axis=-1),
  ...   )
  >>> recipe = jdeepvis.recipe("none").replace(parameterisation=grey)

  Attributes:
    encode: the parameters of a centred image `[h, w, c]`, or of the nearest
      image that has any.
    decode: the centred image, within the box.
  """

  encode: Callable[[Image], ImageParams]
  decode: Callable[[ImageParams], Image]


def pixels(spec: InputSpec) -> Parameterisation:
  """The image itself."""
  del spec
  return Parameterisation(lambda image: image, lambda image: image)


def fourier(spec: InputSpec) -> Parameterisation:
  """Fourier coefficients, scaled by 1/f, of decorrelated colours.

  Olah, Mordvintsev and Schubert 2017, "Feature visualization",
  "Preconditioning and parameterization". Coefficients of unit variance decode
  to the contrast of a photograph; a sigmoid keeps the box.

  Args:
    spec: the network's input.

  Returns:
    A parameterisation by real and imaginary parts, `[2, h, w // 2 + 1, c]`; it
    encodes what lies within the box exactly.
  """
  height, width, _ = spec.shape
  falloff = _falloff(height, width)
  # The variance of a pixel is the sum of all frequencies' powers.
  scale = _CONTRAST * falloff / np.sqrt(2 * np.sum(falloff**2))
  scale = scale[None, ..., None] * height * width

  def encode(image):
    spectrum = jnp.fft.rfft2(_unsquash(image, spec), axes=(0, 1))
    return jnp.stack([spectrum.real, spectrum.imag]) / scale

  def decode(parts):
    values = jnp.fft.irfft2(
      lax.complex(*(parts * scale)), (height, width), axes=(0, 1)
    )
    return _squash(values, spec)

  return Parameterisation(encode, decode)


def maco(spec: InputSpec) -> Parameterisation:
  """Phases alone, under the fixed 1/f spectrum of photographs.

  Fel et al. 2023, "Unlocking feature visualization for deeper networks with
  magnitude constrained optimization" (MACO), §3. Here the spectrum is the
  power law and not the mean of a data set, and the contrast is fixed too.

  Args:
    spec: the network's input.

  Returns:
    A parameterisation by phases in radians, `[h, w // 2 + 1, c]`; it encodes
    the phases of an image alone.
  """
  height, width, _ = spec.shape
  falloff = _falloff(height, width)
  falloff[0, 0] = 0

  def encode(image):
    return jnp.angle(jnp.fft.rfft2(_unsquash(image, spec), axes=(0, 1)))

  def decode(phases):
    fixed = falloff[..., None]
    spectrum = lax.complex(fixed * jnp.cos(phases), fixed * jnp.sin(phases))
    values = jnp.fft.irfft2(spectrum, (height, width), axes=(0, 1))
    return _squash(_CONTRAST * values / jnp.std(values), spec)

  return Parameterisation(encode, decode)


PARAMETERISATIONS: Mapping[str, Callable[[InputSpec], Parameterisation]] = (
  MappingProxyType({"pixels": pixels, "fourier": fourier, "maco": maco})
)


def find_parameterisation(name: str) -> Callable[[InputSpec], Parameterisation]:
  """The parameterisation called `name`.

  Raises:
    JdeepvisError: there is none; the message names the nearest.
  """
  if name not in PARAMETERISATIONS:
    raise JdeepvisError(
      f"There is no parameterisation {name!r}; "
      f"{nearest(name, PARAMETERISATIONS)}."
    )
  return PARAMETERISATIONS[name]


def _falloff(height: int, width: int) -> Float[np.ndarray, "h f"]:
  """1 over each frequency, in cycles a pixel; the mean has the lowest's."""
  frequency = np.hypot(
    np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
  ).astype(np.float32)
  frequency[0, 0] = 1 / max(height, width)
  return 1 / frequency


def _squash(values: Image, spec: InputSpec) -> Image:
  """Any values to the box; 0 to the mean colour, or nearly, at its edge."""
  lower, upper = spec.bounds
  mixed = values @ _mixing(spec, 0.5)
  return lower + (upper - lower) * jax.nn.sigmoid(mixed + _middle(spec))


def _unsquash(image: Image, spec: InputSpec) -> Image:
  lower, upper = spec.bounds
  share = jnp.clip((image - lower) / (upper - lower), 1e-3, 1 - 1e-3)
  logits = jnp.log(share / (1 - share)) - _middle(spec)
  return logits @ _mixing(spec, -0.5)


def _middle(spec: InputSpec):
  lower, upper = spec.bounds
  share = jnp.clip(-lower / (upper - lower), _EDGE, 1 - _EDGE)
  return jnp.log(share / (1 - share))


def _mixing(spec: InputSpec, power: float) -> Float[np.ndarray, "c c"]:
  """A power of the colours' covariance; the identity unless there are three."""
  channels = spec.shape[-1]
  if channels != 3:
    return np.eye(channels, dtype=np.float32)
  variances, axes = np.linalg.eigh(COLOURS)
  return np.float32(axes * variances**power @ axes.T)
