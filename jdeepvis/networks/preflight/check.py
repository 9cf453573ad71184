"""What goes wrong most often with a network of one's own, told beforehand."""

from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import fit
from jdeepvis.networks.preflight import input_range
from jdeepvis.networks.preflight.finding import OK, WARNING, WRONG, Finding
from jdeepvis.networks.preflight.summary import BATCH, Summary, summarise
from jdeepvis.types import JdeepvisError, Pictures

_SAME = 1e-3
"""Of a layer's largest value: rounding differs by less, dropout by more."""

_MOST_DEAD = 0.5


def check(network: Network, photos: Pictures) -> list[Finding]:
  """Looks for what goes wrong most often, before an hour is rendered.

  Weights and values are finite; a photograph gives the same values twice, and
  in whatever company; rectified layers answer; labels are as many as class
  scores, and these come before softmax; the input has the scale, the mean and
  the channel order that the network was trained on; what it calls the first
  photograph.

  Nobody needs to know the true classes: a network that is shown photographs as
  it knows them is surer of them. *Scale* is judged by the `information` that
  class scores have of the photographs as given, divided by 255 and times 255.
  *Mean* and *channel order* are judged by the `certainty` of each photograph,
  as given and with another mean or with red and blue swapped: where the
  `chance` of so many being surer, times the number of alternatives, is below
  0.01, the input is `wrong`, below 0.3 there is a `warning`. Thirty photographs
  of what the network knows show swapped channels almost surely, four can no
  more than warn.

  What does not apply is left out: what asks for classes where
  `network.output` is None; what compares values where some are not finite;
  mean and channel order where the scale is not ok.

  Args:
    network: any network.
    photos: two or more pictures, uint8 `[h, w, c]`, of any size.

  Returns:
    One finding for each check.

  Raises:
    JdeepvisError: there are fewer than two photographs, or one is no picture.

  >>> import jdeepvis
  >>> from jdeepvis.networks.zoo import third_party
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> files = sorted(third_party().glob("photos/*.jpg"))
  >>> photos = [jdeepvis.read_picture(file) for file in files]
  >>> {found.verdict for found in jdeepvis.check(network, photos)}
  {'ok'}
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
  finite = _finite(network, seen)
  yield finite
  if finite.verdict == OK:
    few = images[:BATCH]
    together = jax.tree.map(lambda leaf: leaf[: len(few)], seen)
    copies = summarise(network, np.repeat(few[:1], len(few), axis=0))
    yield _repeated(network, together, summarise(network, few), copies)
    yield _alone(network, together, copies)
    yield from _dead_units(network, seen)
  if seen.scores is not None:
    yield _labels(network, seen.scores)
  if seen.scores is None or finite.verdict != OK:
    yield input_range.mean(network.input, None, {})
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
    yield input_range.channel_order(scores, others)


def _finite(network: Network, seen: Summary) -> Finding:
  check = "finite values"
  for path, leaf in jax.tree_util.tree_leaves_with_path(network.params):
    if count := _count_strange(leaf):
      where = jax.tree_util.keystr(path, simple=True, separator="/")
      return Finding(
        check,
        WRONG,
        f"The weights {where!r} hold {count} values that are infinite or no "
        "number; take a checkpoint from before they did.",
        {where: count},
      )
  for name in _in_order(network, seen):
    # Extremes are no number where any value is.
    if _count_strange(seen.largest[name]) or _count_strange(
      seen.smallest[name]
    ):
      return Finding(
        check,
        WRONG,
        f"Layer {name!r} has values that are infinite or no number, though the "
        "weights are finite; look for an overflow or a division by 0 there.",
      )
  return Finding(check, OK, "All weights and all layers' values are finite.")


def _repeated(
  network: Network, first: Summary, second: Summary, copies: Summary
) -> Finding:
  one = jax.tree.map(lambda leaf: leaf[:1], copies)
  differing = _differing(network, first, second) | _differing(
    network, one, copies
  )
  if differing:
    return Finding(
      "same twice",
      WRONG,
      "The same photograph gives other values when shown again, or at another "
      f"place in its batch, in {_some(differing)}; turn dropout and other "
      "randomness off (train=False, or the model in eval mode).",
      differing,
    )
  return Finding(
    "same twice", OK, "The same photograph gives the same values again."
  )


def _alone(network: Network, together: Summary, copies: Summary) -> Finding:
  first, alone = (
    jax.tree.map(lambda leaf: leaf[:1], one) for one in (together, copies)
  )
  if differing := _differing(network, first, alone):
    return Finding(
      "batch",
      WRONG,
      "A photograph's values depend on the others in its batch, in "
      f"{_some(differing)}; let batch normalisation use its running averages "
      "(train=False, or the model in eval mode).",
      differing,
    )
  return Finding(
    "batch", OK, "A photograph gives the same values in any company."
  )


def _dead_units(network: Network, seen: Summary) -> Iterator[Finding]:
  dead = {
    name: float(np.mean(seen.largest[name].max(axis=0) <= 0))
    for name in _rectified(network, seen)
  }
  if not dead:
    return
  count = len(next(iter(seen.smallest.values())))
  silent = [name for name, share in dead.items() if share == 1]
  most = max(dead, key=dead.get)
  if silent:
    verdict, sentence = (
      WRONG,
      f"No unit answers any photograph in {_some(silent)}; the layers before "
      "it have died, or their weights are not the trained ones.",
    )
  elif dead[most] > _MOST_DEAD:
    verdict, sentence = (
      WARNING,
      f"{dead[most]:.0%} of the units of {most!r} answer none of the {count} "
      "photographs; more photographs may wake some.",
    )
  elif dead[most]:
    verdict, sentence = (
      OK,
      f"At most {dead[most]:.1%} of a layer's units answer none of the {count} "
      f"photographs, in {most!r}.",
    )
  else:
    verdict, sentence = OK, "Every rectified unit answers some photograph."
  yield Finding("dead units", verdict, sentence, dead)


def _labels(network: Network, scores: np.ndarray) -> Finding:
  labels, classes = len(network.labels), scores.shape[-1]
  if labels and labels != classes:
    return Finding(
      "labels",
      WRONG,
      f"There are {labels} labels, but {network.output!r} has {classes} class "
      "scores; give one label a class, in their order.",
    )
  told = f"{labels} labels for" if labels else "No labels; numbers for the"
  return Finding("labels", OK, f"{told} {classes} class scores.")


def _top_five(network: Network, scores: np.ndarray) -> Finding:
  probabilities = special.softmax(scores)
  units = np.argsort(-scores, kind="stable")[:5].tolist()
  names = list(map(str, range(len(scores))))
  if len(network.labels) == len(scores):
    names = [f"{unit} {label}" for unit, label in enumerate(network.labels)]
  figures = {names[unit]: float(probabilities[unit]) for unit in units}
  told = "; ".join(
    f"{name.split(',')[0]} {value:.0%}" for name, value in figures.items()
  )
  return Finding("top five", OK, f"The first photograph: {told}.", figures)


def _are_probabilities(scores: np.ndarray) -> bool:
  sums = scores.sum(axis=-1)
  return bool(np.all(scores >= 0) and np.allclose(sums, 1, atol=1e-3))


def _rectified(network: Network, seen: Summary) -> Iterator[str]:
  """Layers behind a ReLU, as their graph tells, or else their values."""
  relus = {
    info.outputs[0]
    for info in network.layers
    if info.kind == "relu" and not info.option("slope", 0)
  }
  for name in _in_order(network, seen):
    if name in relus or (
      not network.layers
      and name != network.output
      and seen.smallest[name].min() == 0
    ):
      yield name


def _differing(
  network: Network, one: Summary, other: Summary
) -> dict[str, float]:
  """Layers that differ by more than rounding, and by how much of themselves."""
  found = {}
  for name in _in_order(network, one):
    a, b = one.largest[name], other.largest[name]
    difference = np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)
    if difference > _SAME:
      found[name] = float(difference)
  return found


def _in_order(network: Network, seen: Summary) -> Iterator[str]:
  return (name for name in network.order if name in seen.largest)


def _some(names: Mapping[str, float] | list[str]) -> str:
  first, more = list(names)[:3], len(names) - 3
  told = ", ".join(map(repr, first))
  return f"{told} and {more} more layers" if more > 0 else f"layer {told}"


def _count_strange(leaf) -> int:
  if not jnp.issubdtype(leaf.dtype, jnp.inexact):
    return 0
  return int(np.sum(~np.isfinite(np.asarray(leaf, np.float32))))
