"""A backward signal as a picture: the four filters of the original toolbox."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Signal = Float[np.ndarray, "h w _"]
Scaled = Float[np.ndarray, "h w _"]

_BLUR = 4.0  # pixels, the original's default


def centred(signal: Signal) -> Scaled:
  """0 as mid-grey, and the farthest value from it at an end of 0..1.

  `x / max(2 max x, -2 min x) + 0.5`; a signal of zeros is grey throughout.
  """
  peak = 2 * np.abs(signal).max()
  return signal / (peak or 1) + 0.5


def grey(signal: Signal) -> Scaled:
  """The mean over channels, `centred`; one channel."""
  return centred(signal.mean(axis=-1, keepdims=True))


def norm(signal: Signal) -> Scaled:
  """The length over channels, stretched to 0..1; one channel.

  A constant signal becomes 0.
  """
  return _stretched(_lengths(signal))


def blurred_norm(signal: Signal) -> Scaled:
  """The length over channels, blurred by 4 pixels, stretched to 0..1."""
  blurred = ndimage.gaussian_filter(_lengths(signal), _BLUR, axes=(0, 1))
  return _stretched(blurred)


FILTERS: Mapping[str, Callable[[Signal], Scaled]] = MappingProxyType(
  {
    "raw": centred,
    "grey": grey,
    "norm": norm,
    "blurred_norm": blurred_norm,
  }
)
"""Each filter by its name: `[h, w, c]`, any scale, to 0..1 in 1 or c channels.

As in the original's settings, where they are raw, gray, norm, normblur.
"""


def _lengths(signal: Signal) -> Scaled:
  return np.sqrt((signal * signal).sum(axis=-1, keepdims=True))


def _stretched(values: Scaled) -> Scaled:
  low, high = values.min(), values.max()
  return (values - low) / ((high - low) or 1)
