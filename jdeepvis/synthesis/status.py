"""A picture's status in one word: `ok`, or how it failed."""

from collections.abc import Mapping

import numpy as np


def status_of(
  history: Mapping[str, np.ndarray], ceiling: float | None = None
) -> str:
  """One word for a picture's history.

  Args:
    history: `score`, `gradient_norm` and, where the objective knows it,
      `is_largest`, arrays `[steps]`.
    ceiling: the largest score there can be, if there is one.

  Returns:
    `nan`: a score or gradient was NaN or infinite. `zero_gradient`: at some
    step the gradient was exactly 0 (the original's one reason to stop) and the
    score below its ceiling.
    `no_progress`: the score never rose above its first value.
    `majority_failure`: the unit never became the largest of its layer (the
    original's word). `ok`: none of these.
  """
  score, gradient = history["score"], history["gradient_norm"]
  if not (np.isfinite(score).all() and np.isfinite(gradient).all()):
    return "nan"
  done = score >= (np.inf if ceiling is None else ceiling)
  if (~done & (gradient == 0)).any():
    return "zero_gradient"
  if score.max() <= score[0] and not done[0]:
    return "no_progress"
  if not np.any(history.get("is_largest", True)):
    return "majority_failure"
  return "ok"


def status_of_picture(
  history: Mapping[str, np.ndarray],
  largest: bool | None,
  ceiling: float | None = None,
) -> str:
  """One word for a picture as it is written.

  Args:
    history: as for `status_of`.
    largest: whether the picture itself, without augmentation, makes the unit
      the largest of its layer; None where that is undefined.
    ceiling: as for `status_of`.

  Returns:
    As `status_of`, but `majority_failure` is the picture's own: augmented
    images during ascent may have been better or worse than the one kept.
  """
  own = {**history, "is_largest": np.array(largest is not False)}
  return status_of(own, ceiling)
