import numpy as np
import pytest
from jdeepvis.synthesis.outcome import OUTCOMES, outcome


def history(**changes):
  return {
    "score": np.array([1.0, 2.0, 3.0]),
    "gradient_norm": np.array([1.0, 1.0, 1.0]),
    "is_largest": np.array([False, True, False]),
    **changes,
  }


@pytest.mark.parametrize(
  ("expected", "changes"),
  [
    ("ok", {}),
    ("majority_failure", {"is_largest": np.zeros(3, bool)}),
    ("no_progress", {"score": np.array([3.0, 2.0, 1.0])}),
    ("no_progress", {"score": np.array([0.0, 0.0, 0.0])}),
    ("zero_gradient", {"gradient_norm": np.array([1.0, 0.0, 1.0])}),
    ("zero_gradient", {"gradient_norm": np.zeros(3), "score": np.zeros(3)}),
    ("nan", {"score": np.array([1.0, np.nan, 2.0])}),
    ("nan", {"gradient_norm": np.array([1.0, np.inf, 2.0])}),
  ],
)
def test_each_outcome(expected, changes):
  assert outcome(history(**changes)) == expected
  assert expected in OUTCOMES


def test_without_a_notion_of_largest_that_is_no_failure():
  told = history()
  del told["is_largest"]
  assert outcome(told) == "ok"
