"""The four views of a backward signal, against the original's formulas."""

import numpy as np
import pytest

from jdeepvis.display import filters


@pytest.fixture(params=[(1, 1), (13, 40), (40, 57)])
def signal(request):
  rng = np.random.default_rng(0)
  return np.float32(rng.normal(1, 5, (*request.param, 3)))


def mirrored_blur(values, sigma):
  """A Gaussian of rows, cut at four deviations, by its definition."""
  reach = np.arange(-4 * sigma, 4 * sigma + 1)
  taps = np.exp(-0.5 * (reach / sigma) ** 2)
  count = len(values)
  rows = (np.arange(count)[:, None] + reach) % (2 * count)
  rows = np.minimum(rows, 2 * count - 1 - rows)
  return np.einsum("k,nk...->n...", taps / taps.sum(), values[rows])


def test_raw_and_grey_put_zero_in_the_middle(signal):
  def norm01c(x):  # the original's, by its definition
    return x / np.maximum(2 * x.max(), -2 * x.min()) + 0.5

  views = filters.FILTERS
  np.testing.assert_allclose(views["raw"](signal), norm01c(signal), rtol=1e-5)
  mean = signal.mean(-1)
  np.testing.assert_allclose(
    views["grey"](signal)[..., 0], norm01c(mean), rtol=1e-5
  )


def test_norms_are_stretched(signal):
  def stretched(x):
    return (x - x.min()) / max(np.ptp(x), 1e-30)

  lengths = np.linalg.norm(signal, axis=-1)
  blurred = mirrored_blur(mirrored_blur(lengths, 4).T, 4).T
  got = filters.FILTERS["norm"](signal)[..., 0]
  np.testing.assert_allclose(got, stretched(lengths), atol=1e-5)
  got = filters.FILTERS["blurred_norm"](signal)[..., 0]
  np.testing.assert_allclose(got, stretched(blurred), atol=1e-4)


@pytest.mark.parametrize("name", filters.FILTERS)
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_flat_signals_stay_within_bounds(name, value):
  view = filters.FILTERS[name](np.full((4, 5, 3), value, np.float32))
  assert np.isfinite(view).all()
  assert view.min() >= 0 and view.max() <= 1
