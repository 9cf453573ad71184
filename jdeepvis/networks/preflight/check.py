"""The most frequent mistakes with a network of one's own, found beforehand."""

from collections.abc import Iterator

import jax
import numpy as np
from scipy import special

from jdeepvis.networks.classify import reading_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import fit
from jdeepvis.networks.preflight import input_range, values
from jdeepvis.networks.preflight.finding import OK, WRONG, Finding
from jdeepvis.networks.preflight.summary import BATCH, summarise
from jdeepvis.networks.readings import SIGMOID, SOFTMAX
from jdeepvis.types import JdeepvisError, Pictures

_READINGS = {SOFTMAX: special.softmax, SIGMOID: special.expit}


def check(network: Network, photos: Pictures) -> list[Finding]:
  """Looks for what goes wrong most often, before an hour is rendered.

  Weights and values are finite; a photograph gives the same values twice, and
  in any batch; rectified layers are not dead; labels are as many as class
  scores, and these come before softmax; the input has the scale, the mean and
  the channel order that the network was trained on; the first photograph's top
  five classes.

  No true classes are needed: a network is surer of photographs that are
  preprocessed as in training. *Scale* is judged by the `information` that
  class scores have of the photographs as given, divided by 255 and times 255.
  *Mean* and *channel order* are judged by the `certainty` of each photograph,
  as given and with another mean or with red and blue swapped: where the p-value
  (`chance`), times the number of alternatives, is below 0.01, the input is
  `wrong`, below 0.3 there is a `warning`. Sixty photographs of what the network
  knows show swapped channels surely, thirty in nine of ten cases, and four can
  only warn.

  What does not apply is left out: what asks for classes where
  `network.output` is None, what asks for exclusive ones where it has one score
  or a sigmoid follows; what compares class scores where values are not
  finite, not the same twice or dead; mean and channel order where the scale is
  not ok.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> photos = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
  >>> print(jdeepvis.check(network, photos)[0].sentence)
  All weights and all layers' values are finite.

  Args:
    network: any network.
    photos: two or more pictures, uint8 `[h, w, c]`, of any size.

  Returns:
    One finding for each check.

  Raises:
    JdeepvisError: there are fewer than two photographs, or one is no picture.
  """
  if len(photos) < 2:
    raise JdeepvisError(
      "A check compares photographs with one another; give two or more, best "
      "thirty of what the network knows."
    )
  return list(
    _findings(network, np.stack([fit(x, network.input) for x in photos]))
  )


def _findings(network: Network, pixels: np.ndarray) -> Iterator[Finding]:
  images = input_range.as_given(network.input).images(pixels)
  seen = summarise(network, images)
  sound = [values.finite(network, seen)]
  if sound[0].verdict == OK:
    few = images[:BATCH]
    together = jax.tree.map(lambda leaf: leaf[: len(few)], seen)
    copies = summarise(network, np.repeat(few[:1], len(few), axis=0))
    sound += [
      values.repeated(network, together, summarise(network, few), copies),
      values.alone(network, together, copies),
      *values.dead_units(network, seen),
    ]
  yield from sound
  if seen.scores is not None:
    yield _labels(network, seen.scores)
  if seen.scores is None or any(found.verdict == WRONG for found in sound):
    yield input_range.mean(network.input, None, {})
  elif reading_of(network) == SIGMOID or seen.scores.shape[-1] < 2:
    # What is asked of the input's range is asked of exclusive classes.
    yield input_range.mean(network.input, None, {})
    yield _top_five(network, seen.scores[0])
  elif _are_probabilities(seen.scores):
    yield Finding(
      "class scores",
      WRONG,
      f"The values of {network.output!r} are probabilities; name the layer "
      "before the softmax as output.",
    )
  else:
    yield from _input_range(network, pixels, seen.scores)
    yield _top_five(network, seen.scores[0])


def _input_range(network, pixels, scores) -> Iterator[Finding]:
  given = input_range.as_given(network.input)

  def scores_by_name(ways):
    return {
      way.name: summarise(network, way.images(pixels)).scores for way in ways
    }

  scaled = scores_by_name(input_range.other_scales(given))
  scale = input_range.scale(scores, *scaled.values())
  yield scale
  # Two classes have one certainty; out of range, it means nothing.
  if scale.verdict != OK or scores.shape[-1] < 3:
    yield input_range.mean(network.input, None, {})
    return
  others = scores_by_name(input_range.other_means(given))
  yield input_range.mean(network.input, scores, others)
  others = scores_by_name(input_range.other_orders(given))
  if others:
    yield input_range.channel_order(network.input, scores, others)


def _labels(network: Network, scores: np.ndarray) -> Finding:
  labels, classes = len(network.labels), scores.shape[-1]
  if labels and labels != classes:
    return Finding(
      "labels",
      WRONG,
      f"There are {labels} labels, but {network.output!r} has {classes} class "
      "scores; give one label a class, in their order.",
    )
  count = f"{labels} labels for" if labels else "No labels; numbers for the"
  return Finding("labels", OK, f"{count} {classes} class scores.")


def _top_five(network: Network, scores: np.ndarray) -> Finding:
  said = reading_of(network)
  if said is None:
    values, form = scores, ".3g"
  else:
    values, form = _READINGS[said](scores), ".0%"
  units = np.argsort(-scores, kind="stable")[:5].tolist()
  names = list(map(str, range(len(scores))))
  if len(network.labels) == len(scores):
    names = [f"{unit} {label}" for unit, label in enumerate(network.labels)]
  figures = {names[unit]: float(values[unit]) for unit in units}
  classes = "; ".join(
    f"{name.split(',')[0]} {value:{form}}" for name, value in figures.items()
  )
  return Finding("top five", OK, f"The first photograph: {classes}.", figures)


def _are_probabilities(scores: np.ndarray) -> bool:
  sums = scores.sum(axis=-1)
  return bool(np.all(scores >= 0) and np.allclose(sums, 1, atol=1e-3))
