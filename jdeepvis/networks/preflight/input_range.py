"""Whether images reach a network at the scale, mean and order it knows."""

import math
import operator
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.preflight.certainty import (
  Scores,
  certainty,
  chance,
  entropy,
  information,
)
from jdeepvis.networks.preflight.finding import OK, WARNING, WRONG, Finding
from jdeepvis.types import Images

_WHITE = 255
_IMAGENET = (123, 117, 104)
"""The mean red, green and blue of ILSVRC 2012."""

_REVERSE = "the mean in the other order"

_NEAR = 3
"""Grey levels; published means of ImageNet differ by less."""

_SURE, _LIKELY = 0.01, 0.3
"""p-values below which another input is right, or may be."""

_ALIKE, _NEARLY_ALIKE = 0.1, 0.25
"""Shares of information: right networks measured have 0.5 and more."""

_FAINT, _RATHER_FAINT = 0.3, 0.15
"""Shares of information: right networks measured have 0.07 and less."""

_UNCHANGED = 1.5
"""Ratio of entropies of a network that brings its input to scale itself."""


class Shown(NamedTuple):
  """One way to show pixels to a network.

  Attributes:
    name: as it follows on "with".
    mean: what is subtracted, `[c]` or `[h, w, c]`.
    swapped: the pixels' channels in the other order, the mean's as they are.
    factor: times what is left.
  """

  name: str
  mean: np.ndarray
  swapped: bool = False
  factor: float = 1.0

  def images(self, pixels: UInt8[np.ndarray, "n h w c"]) -> Images:
    """The images that the network gets."""
    pixels = pixels[..., ::-1] if self.swapped else pixels
    return (pixels - self.mean) * np.float32(self.factor)


def as_given(spec: InputSpec) -> Shown:
  """What `preprocess` does."""
  return Shown("the input as given", np.float32(spec.mean))


def other_scales(given: Shown) -> Iterator[Shown]:
  """White as 1, if it was 255, and the other way about."""
  yield given._replace(name="pixels divided by 255", factor=1 / _WHITE)
  yield given._replace(name="pixels times 255", factor=float(_WHITE))


def other_means(given: Shown) -> Iterator[Shown]:
  """No mean, or ImageNet's where there is none; the mean in the other order."""
  mean = given.mean
  if mean.any():
    yield given._replace(name="no mean", mean=np.zeros_like(mean))
  elif mean.shape[-1] == 3:
    yield given._replace(name="ImageNet's mean", mean=np.float32(_IMAGENET))
  if _has_order(mean):
    yield given._replace(name=_REVERSE, mean=mean[..., ::-1])


def other_orders(given: Shown) -> Iterator[Shown]:
  """Red and blue swapped, under the mean as it is or along with it."""
  if given.mean.shape[-1] != 3:
    return
  yield given._replace(name="red and blue swapped", swapped=True)
  if _has_order(given.mean):
    reverse = given.mean[..., ::-1]
    yield Shown("red and blue swapped, in the mean too", reverse, swapped=True)


def scale(scores: Scores, faint: Scores, strong: Scores) -> Finding:
  """Whether pixels of 0 to 255 are within the network's range.

  Below its range photographs look alike to a network, `information` is 0; above
  it, it is as certain of all as it can be. So an input 255 times too faint has
  more information when it is multiplied by 255, and one too strong is still
  distinguished when it is divided by 255, only less surely.

  Args:
    scores: of photographs as given.
    faint: of the same, divided by 255.
    strong: of the same, times 255.
  """
  now, less, more = map(information, (scores, faint, strong))
  figures = {
    "information": now,
    "divided by 255": less,
    "times 255": more,
  }
  entropies = sorted([entropy(scores), entropy(faint)])
  scaled = entropies[1] > _UNCHANGED * entropies[0]
  if now < _NEARLY_ALIKE * more:
    return Finding(
      "scale",
      WRONG if now < _ALIKE * more else WARNING,
      "The network hardly distinguishes the photographs "
      f"({now:.2g} nats), but does with pixels times 255 ({more:.2g}): its "
      "values are too small for it; leave a division by 255 or by a standard "
      "deviation out, in the model or in InputSpec(range=, deviation=).",
      figures,
    )
  if scaled and less > _RATHER_FAINT * now:
    return Finding(
      "scale",
      WRONG if less > _FAINT * now else WARNING,
      "The network distinguishes the photographs even with pixels divided by "
      f"255 ({less:.2g} nats, {now:.2g} as given): its values are too large "
      "for it; give InputSpec(range=(0, 1)), with mean and deviation in the "
      "same units, or load a Caffe net with scale=1/255.",
      figures,
    )
  return Finding(
    "scale",
    OK,
    f"The network distinguishes the photographs: {now:.2g} nats of "
    f"{math.log(min(np.shape(scores))):.2g}, {less:.2g} with pixels divided by "
    "255.",
    figures,
  )


def mean(
  given: InputSpec, scores: Scores | None, others: Mapping[str, Scores]
) -> Finding:
  """Whether the mean is the one that the network was trained with.

  Args:
    given: the network's input.
    scores: of photographs as given; None where scores cannot be compared.
    others: the same with other means, by name.
  """
  colour = np.mean(given.mean, axis=tuple(range(np.ndim(given.mean) - 1)))
  spelled = ", ".join(f"{value:.4g}" for value in colour)
  if 0 < np.abs(colour).max() <= 1:
    return Finding(
      "mean",
      WRONG,
      f"The mean {spelled} is on a scale where white is 1; give it to "
      "InputSpec with range=(0, 1), or times 255.",
    )
  found = Finding("mean", OK, f"The mean is {spelled}, where white is 255.")
  if others:
    advice = "take the mean that it was trained with"
    found = _judge("mean", scores, others, f"the mean {spelled}", advice)
  if len(colour) == 3 and np.all(np.abs(colour[::-1] - _IMAGENET) < _NEAR):
    reverse = others.get(_REVERSE)
    denied = reverse is not None and chance(reverse, scores) < _SURE
    return found._replace(
      verdict=WARNING if denied else WRONG,
      sentence=f"The mean, red, green, blue = {spelled}, is ImageNet's in the "
      "order blue, green, red; "
      + ("yet the network is surer so." if denied else "turn it round."),
    )
  return found


def channel_order(
  given: InputSpec, scores: Scores, others: Mapping[str, Scores]
) -> Finding:
  """Whether the network was trained on the channel order that it is given.

  Args:
    given: the network's input.
    scores: of photographs as given.
    others: the same with channels swapped, by name.
  """
  return _judge(
    "channel order",
    scores,
    others,
    "blue, green, red" if given.bgr else "red, green, blue",
    f"it was trained on the other order: give InputSpec(bgr={not given.bgr}), "
    "or a Caffe net the other bgr=",
  )


def _judge(check, scores, others, given: str, advice: str) -> Finding:
  """Wilcoxon's test for each other input, and Bonferroni's correction."""
  probabilities = {
    name: min(1.0, len(others) * chance(scores, other))
    for name, other in others.items()
  }
  name, least = min(probabilities.items(), key=operator.itemgetter(1))
  certainties = {
    one: float(certainty(values).mean())
    for one, values in {"as given": scores, **others}.items()
  }
  figures = {**certainties, "by chance": least}
  count = len(scores)
  if least < _LIKELY:
    sure = least < _SURE
    return Finding(
      check,
      WRONG if sure else WARNING,
      f"The network is {'' if sure else 'perhaps '}surer of the {count} "
      f"photographs with {name} than with {given} (by chance: {least:.1g}); "
      + (advice if sure else "more photographs would decide")
      + ".",
      figures,
    )
  few = len(others) / 2**count > _SURE
  return Finding(
    check,
    OK,
    f"Nothing else makes the network surer of the {count} photographs than "
    f"{given}" + (", a hint only; thirty would decide." if few else "."),
    figures,
  )


def _has_order(mean: np.ndarray) -> bool:
  differs = np.abs(mean - mean[..., ::-1]).max() > 1
  return bool(mean.shape[-1] == 3 and differs)
