"""How sure scores are: closed forms, sums, and all signs of a few ranks."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import rankdata

from jdeepvis.networks.preflight.certainty import (
  certainty,
  chance,
  entropy,
  information,
)


def test_certainty_of_one_class_above_equal_others():
  for classes in (2, 3, 10, 1000):
    scores = np.full((1, classes), -3.0)
    scores[0, 1] = 4
    np.testing.assert_allclose(certainty(scores), math.sqrt(classes - 1))
  np.testing.assert_array_equal(certainty(np.ones((2, 5))), 0)


def test_certainty_does_not_feel_scale_nor_shift():
  scores = np.random.default_rng(0).normal(size=(6, 20))
  found = certainty(scores)
  np.testing.assert_allclose(certainty(255 * scores - 7), found)
  for row, value in zip(scores, found, strict=True):
    standard = (row - row.mean()) / row.std()
    assert value == pytest.approx(standard.max())


def test_entropy_and_information_are_their_sums():
  scores = np.random.default_rng(1).normal(0, 2, (5, 7))
  p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
  assert entropy(scores) == pytest.approx(-(p * np.log(p)).sum() / 5)
  divergence = (p * np.log(p / p.mean(0))).sum(-1)
  assert information(scores) == pytest.approx(divergence.mean())


def test_information_has_its_ends():
  assert information(np.zeros((4, 9))) == pytest.approx(0, abs=1e-12)
  assert information(1e4 * np.eye(4, 9)) == pytest.approx(math.log(4))
  assert information(np.tile([1e4, 0, 0], (4, 1))) == pytest.approx(0)


def test_chance_counts_all_signs():
  """The share of all 2^6 ways to sign the ranks that lead as far or more."""
  random = np.random.default_rng(2)
  scores, others = random.normal(size=(2, 6, 12))
  lead = certainty(others) - certainty(scores)
  ranks = rankdata(np.abs(lead))
  found = ranks[lead > 0].sum()
  sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=6)]
  expected = np.mean(np.array(sums) >= found)
  assert chance(scores, others) == pytest.approx(expected)


def test_chance_of_no_difference_and_of_the_greatest():
  scores = np.random.default_rng(3).normal(size=(4, 12))
  assert chance(scores, 2 * scores) == 1
  surer = scores + 5 * (scores == scores.max(-1, keepdims=True))
  assert chance(scores, surer) == pytest.approx(1 / 16)
  assert chance(surer, scores) == 1
