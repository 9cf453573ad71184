"""The four views of a backward signal, against the original's formulas."""

import numpy as np
import pytest
import scipy.ndimage

from jdeepvis.display import filters


@pytest.fixture(params=[(1, 1), (13, 40), (40, 57)])
def signal(request):
  rng = np.random.default_rng(0)
  return np.float32(rng.normal(1, 5, (*request.param, 3)))


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
  blurred = scipy.ndimage.gaussian_filter(lengths, 4.0)
  got = filters.FILTERS["norm"](signal)[..., 0]
  np.testing.assert_allclose(got, stretched(lengths), atol=1e-5)
  if min(signal.shape[:2]) > 16:  # else NumPy and SciPy mirror alike anyway
    got = filters.FILTERS["blurred_norm"](signal)[..., 0]
    np.testing.assert_allclose(got, stretched(blurred), atol=1e-4)


@pytest.mark.parametrize("name", filters.FILTERS)
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_flat_signals_stay_within_bounds(name, value):
  view = filters.FILTERS[name](np.full((4, 5, 3), value, np.float32))
  assert np.isfinite(view).all()
  assert view.min() >= 0 and view.max() <= 1
