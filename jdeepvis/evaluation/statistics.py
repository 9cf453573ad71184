"""What pictures share with photographs: spectrum, colours, variety."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jdeepvis.types import AnyArray, JdeepvisError, Pictures, Pixels

Spectrum = Float[np.ndarray, " rings"]


class Colours(NamedTuple):
  """The colours of pixels as a Gaussian, grey levels."""

  mean: Float[np.ndarray, " c"]
  covariance: Float[np.ndarray, "c c"]


def radial_spectrum(pixels: Pixels) -> Spectrum:
  """Mean power over rings of spatial frequency, `|F(x)|**2 / (h w)`.

  White noise has its variance in every ring; photographs fall off with about
  the square of the frequency (Field 1987).

  Args:
    pixels: one picture, uint8 `[h, w, c]`.

  Returns:
    Ring i holds the frequencies that round to i + 1 cycles per shorter side,
    averaged over channels, squared grey levels.
  """
  height, width, _ = pixels.shape
  side = min(height, width)
  power = np.abs(np.fft.fft2(np.float64(pixels), axes=(0, 1))) ** 2
  power = power.mean(axis=-1) / (height * width)
  frequency = side * np.hypot(
    np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
  )
  ring = np.rint(frequency).astype(int).ravel()
  total = np.bincount(ring, power.ravel())
  return (total / np.bincount(ring))[1 : side // 2 + 1]


def spectral_slope(spectrum: Spectrum) -> float:
  """The exponent a of the power law `f**a` nearest to a spectrum.

  Least squares between logarithms: about -2 for photographs, 0 for white
  noise, NaN where a ring has no power at all.
  """
  if len(spectrum) < 2 or not np.all(spectrum > 0):
    return float("nan")
  frequency = np.arange(1, len(spectrum) + 1)
  return float(np.polyfit(np.log(frequency), np.log(spectrum), 1)[0])


def spectrum_distance(spectrum: Spectrum, other: Spectrum) -> float:
  """Root mean square of the difference of two spectra, powers of ten."""
  if not (np.all(spectrum > 0) and np.all(other > 0)):
    return float("nan")
  decades = np.log10(spectrum) - np.log10(other)
  return float(np.sqrt(np.mean(decades**2)))


def colours(images: Pictures) -> Colours:
  """Mean and covariance of all pixels' colours.

  Args:
    images: uint8 `[h, w, c]` of any sizes.
  """
  pixels = np.concatenate(
    [np.float64(image).reshape(-1, image.shape[-1]) for image in images]
  )
  covariance = np.cov(pixels, rowvar=False, bias=True)
  return Colours(pixels.mean(axis=0), np.atleast_2d(covariance))


def colour_distance(one: Colours, other: Colours) -> float:
  """The distance of two colour distributions, grey levels.

  The Wasserstein distance of two Gaussians,
  `sqrt(|m - n|**2 + tr(C + D - 2 (C D)**.5))` (Dowson and Landau 1982).
  """
  shift = np.sum((one.mean - other.mean) ** 2)
  product = np.linalg.eigvals(one.covariance @ other.covariance)
  shared = np.sum(np.sqrt(np.maximum(product.real, 0)))
  spread = np.trace(one.covariance + other.covariance) - 2 * shared
  return float(np.sqrt(max(shift + spread, 0)))


def diversity(features: Float[AnyArray, "n ..."]) -> float:
  """Mean distance between two pictures, over all pairs.

  Args:
    features: of each picture, such as a layer's values.

  Raises:
    JdeepvisError: there are fewer than two pictures.
  """
  rows = np.float64(features).reshape(len(features), -1)
  if len(rows) < 2:
    raise JdeepvisError("Diversity is between pictures; it needs two or more.")
  # Not all pairs at once: whole layers of many pictures are large.
  distances = [
    np.linalg.norm(rows[i + 1 :] - row, axis=1) for i, row in enumerate(rows)
  ]
  return float(np.mean(np.concatenate(distances)))
