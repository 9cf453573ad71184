import numpy as np
import pytest

from jdeepvis.synthesis.status import status_of, status_of_picture


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
def test_each_status(expected, changes):
  assert status_of(history(**changes)) == expected


def test_without_a_notion_of_largest_that_is_no_failure():
  reported = history()
  del reported["is_largest"]
  assert status_of(reported) == "ok"


@pytest.mark.parametrize(
  ("largest", "expected"),
  [(True, "ok"), (False, "majority_failure"), (None, "ok")],
)
def test_a_picture_is_judged_by_itself(largest, expected):
  """Whatever the augmented images on the way did."""
  for way in (np.zeros(3, bool), np.ones(3, bool)):
    assert status_of_picture(history(is_largest=way), largest) == expected
  failed = history(gradient_norm=np.zeros(3))
  assert status_of_picture(failed, largest) == "zero_gradient"
