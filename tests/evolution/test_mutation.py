"""Polynomial mutation against its formula and its distribution."""

import jax
import numpy as np
import pytest
from scipy import stats

from jdeepvis.evolution.direct import Direct, mutation_rate
from jdeepvis.evolution.mutation import mutate_polynomially


def plain(value, r, low, high, eta):
  """Deb and Agrawal's formula, for one number."""
  if r < 0.5:
    delta = (2 * r) ** (1 / (eta + 1)) - 1
  else:
    delta = 1 - (2 * (1 - r)) ** (1 / (eta + 1))
  return min(max(value + delta * (high - low), low), high)


@pytest.mark.parametrize("rate", [1.0, 0.1, 0.1 * 2**-10])
@pytest.mark.parametrize("eta", [15.0, 3.0])
def test_it_is_the_formula_where_chosen(rate, eta):
  rng = np.random.default_rng(0)
  values = np.float32(rng.uniform(-2, 5, 4000))
  uniform = np.float32(rng.uniform(0, 1, 4000) * min(1, 3 * rate))
  made = mutate_polynomially(
    values, uniform, rate=rate, low=-2.0, high=5.0, eta=eta
  )
  for value, u, child in zip(values, uniform, np.asarray(made), strict=True):
    expected = plain(value, u / rate, -2, 5, eta) if u < rate else value
    assert child == pytest.approx(expected, abs=2e-4)


def test_changes_follow_the_polynomial_density():
  """p(d) = (eta + 1) / 2 (1 - |d|) ** eta on -1..1."""
  uniform = np.float32(np.random.default_rng(1).uniform(size=50_000))
  middle = np.zeros(50_000, np.float32)
  made = np.asarray(
    mutate_polynomially(middle, uniform, rate=0.1, low=-1.0, high=1.0)
  )
  changes = made[made != 0] / 2
  assert len(changes) == pytest.approx(5000, abs=5 * 5000**0.5)

  def cumulative(d):
    tail = (1 - np.abs(d)) ** 16 / 2
    return np.where(d < 0, tail, 1 - tail)

  assert stats.kstest(changes, cumulative).pvalue > 0.01
  assert np.mean(np.abs(changes)) == pytest.approx(1 / 17, rel=0.05)


def test_no_rate_no_change():
  values = np.float32([0.0, 0.3, 1.0])
  uniform = np.float32([0.0, 0.2, 0.9])
  made = mutate_polynomially(values, uniform, rate=0.0, low=0.0, high=1.0)
  np.testing.assert_array_equal(made, values)


@pytest.mark.parametrize(
  ("generation", "rate"),
  [(0, 0.1), (999, 0.1), (1000, 0.05), (1999, 0.05), (4500, 0.1 / 16)],
)
def test_the_rate_is_halved_every_thousand_generations(generation, rate):
  assert mutation_rate(generation) == pytest.approx(rate)


def test_direct_children_differ_in_that_many_pixels():
  encoding = Direct((60, 50, 3))
  parent = encoding.random(jax.random.key(0))
  counts = np.bincount(np.asarray(parent).ravel(), minlength=256)
  assert stats.chisquare(counts).pvalue > 0.001
  for generation, rate in ((1, 0.1), (2001, 0.025)):
    child = encoding.vary(jax.random.key(1), parent, parent, generation)
    assert child.dtype == np.uint8
    changed = np.mean(np.asarray(child) != np.asarray(parent))
    # Of the mutated, few change by less than half a level or leave the range.
    assert 0.9 * rate < changed <= 1.1 * rate
  np.testing.assert_array_equal(encoding.decode(parent), parent)
