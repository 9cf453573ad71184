"""The percentile without a sort against NumPy's."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from jdeepvis.synthesis.percentile import percentile

_NEXT = float(np.nextafter(np.float32(3), np.float32(4)))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001, 51529])
@pytest.mark.parametrize("q", [0, 0.1, 10, 37.5, 50, 90, 99.9, 100])
def test_it_is_numpys(size, q):
  values = np.random.default_rng(size).normal(0, 30, size).astype(np.float32)
  expected = np.percentile(values.astype(np.float64), q)
  # The ranks are those of float32 strengths: their neighbours' distance.
  found = percentile(values, q)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@settings(deadline=None)  # the first of each shape is compiled
@given(
  arrays.arrays(
    np.float32,
    st.sampled_from([1, 2, 3, 8, 37]),
    elements=st.sampled_from([-3.0, -1e-30, -0.0, 0.0, 1e-30, 0.5, 3.0, _NEXT]),
  ),
  st.integers(0, 100),
)
def test_the_same_values_are_below_it(values, q):
  """Ties, both zeros, the closest of neighbours."""
  expected = values < np.percentile(values, q)
  found = jax.jit(percentile)(values, np.float32(q))
  np.testing.assert_array_equal(values < found, expected)


def test_nan_is_numpys_too():
  values = np.array([1, np.nan, 3], np.float32)
  assert np.isnan(percentile(values, 10))


def test_each_row_of_a_batch_has_its_own():
  rows = np.random.default_rng(0).normal(size=(4, 33)).astype(np.float32)
  q = np.array([0, 25, 80, 100], np.float32)
  found = jax.jit(jax.vmap(percentile))(rows, q)
  for row, strength, one in zip(rows, q, found, strict=True):
    np.testing.assert_allclose(one, np.percentile(row, strength), rtol=1e-5)
