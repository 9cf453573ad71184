"""How sure class scores are of their images, without knowing the truth."""

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from jdeepvis.types import AnyArray

_NO_DIFFERENCE = 1e-3
"""Standard deviations; rounding makes less of equal inputs."""

Scores = Float[AnyArray, "n k"]


def certainty(scores: Scores) -> Float[np.ndarray, " n"]:
  """How far the top class stands above all classes, in their own spread.

  `(max_c s_c - mean_c s_c) / std_c s_c`. A network that is shown its images
  with more contrast than in training has larger scores, and so larger
  probabilities, but no larger ratio: unlike the probability of the top class or
  the entropy, it does not favour an input with too much contrast.

  Args:
    scores: before softmax, `[n, k]`.

  Returns:
    `[n]`, 0 to `sqrt(k - 1)`; 0 where all scores are equal.

  >>> certainty(np.array([[9.0, 1, 1, 1, 1], [18.0, 2, 2, 2, 2]]))
  array([2., 2.])
  """
  scores = np.asarray(scores, np.float64)
  above = scores.max(axis=-1) - scores.mean(axis=-1)
  spread = scores.std(axis=-1)
  return np.divide(above, spread, out=np.zeros_like(above), where=spread > 0)


def entropy(scores: Scores) -> float:
  """The mean over images of `-sum_c p_c log p_c`, in nats.

  Args:
    scores: before softmax, `[n, k]`.
  """
  logs = special.log_softmax(np.asarray(scores, np.float64), axis=-1)
  return float(-np.mean(np.sum(np.exp(logs) * logs, axis=-1)))


def information(scores: Scores) -> float:
  """How well class scores distinguish the images, in nats.

  The mutual information of image and class, `H(mean p) - mean H(p)`, the
  logarithm of the Inception Score.

  Args:
    scores: before softmax, `[n, k]`.

  Returns:
    0, where all images have the same probabilities, to `log(min(n, k))`.

  Source: Salimans et al. 2016, arXiv:1606.03498, section 4.
  """
  p = special.softmax(np.asarray(scores, np.float64), axis=-1).mean(axis=0)
  return float(special.entr(p).sum()) - entropy(scores)


def chance(scores: Scores, others: Scores) -> float:
  """The p-value of the others' lead in certainty.

  Wilcoxon's signed-rank test, one-sided and paired by image: it counts how many
  images have become surer, and ranks by how much, so that no single image
  decides. Four images cannot give less than 1/16.

  Args:
    scores: before softmax, `[n, k]`.
    others: of the same images shown otherwise, `[n, k]`.

  Returns:
    0 to 1; small where most images are surer with `others`.

  Source: Wilcoxon 1945, Individual comparisons by ranking methods.
  """
  lead = certainty(others) - certainty(scores)
  lead = lead[np.abs(lead) > _NO_DIFFERENCE]
  if not lead.size:
    return 1.0
  return float(stats.wilcoxon(lead, alternative="greater").pvalue)
