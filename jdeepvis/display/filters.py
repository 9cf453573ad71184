"""A backward signal as a picture: the four filters of the original toolbox."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

Signal = Float[np.ndarray, "h w _"]
Scaled = Float[np.ndarray, "h w _"]

_BLUR = 4.0  # pixels, the original's default
_TAPS = 4.0  # standard deviations, where SciPy cuts its Gaussian


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
  lengths = _lengths(signal)
  for axis in (0, 1):
    lengths = _blur(lengths, axis)
  return _stretched(lengths)


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


def _blur(values: Scaled, axis: int) -> Scaled:
  """A Gaussian along one axis; beyond the edge the map is mirrored."""
  reach = math.floor(_TAPS * _BLUR + 0.5)
  taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _BLUR) ** 2)
  edges = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
  padded = np.pad(values, edges, mode="symmetric")
  windows = np.lib.stride_tricks.sliding_window_view(padded, taps.size, axis)
  return np.float32(windows @ (taps / taps.sum()))
