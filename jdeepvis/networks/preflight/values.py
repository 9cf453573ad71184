"""Whether the values of a network can be relied on."""

from collections.abc import Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks.layer_types import is_relu
from jdeepvis.networks.network import Network
from jdeepvis.networks.preflight.finding import OK, WARNING, WRONG, Finding
from jdeepvis.networks.preflight.summary import Summary

_SAME = 1e-3
"""Of a layer's largest value: rounding differs by less, dropout by more."""

_MOST_DEAD = 0.5


def finite(network: Network, seen: Summary) -> Finding:
  """Whether weights and values are numbers.

  Args:
    network: any network.
    seen: what it makes of photographs.
  """
  check = "finite values"
  for path, leaf in jax.tree_util.tree_leaves_with_path(network.params):
    if count := _count_strange(leaf):
      where = jax.tree_util.keystr(path, simple=True, separator="/")
      return Finding(
        check,
        WRONG,
        f"The weights {where!r} hold {count} values that are infinite or NaN; "
        "take a checkpoint from before they did.",
        {where: count},
      )
  for name in _in_order(network, seen):
    # Extremes are NaN where any value is.
    if _count_strange(seen.largest[name]) or _count_strange(
      seen.smallest[name]
    ):
      return Finding(
        check,
        WRONG,
        f"Layer {name!r} has values that are infinite or NaN, though the "
        "weights are finite; look for an overflow or a division by 0 there.",
      )
  return Finding(check, OK, "All weights and all layers' values are finite.")


def repeated(
  network: Network, first: Summary, second: Summary, copies: Summary
) -> Finding:
  """Whether a photograph gives the same values again, anywhere in a batch.

  Args:
    network: any network.
    first: of a batch of photographs.
    second: of the same batch again.
    copies: of a batch of one photograph's copies.
  """
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


def alone(network: Network, together: Summary, copies: Summary) -> Finding:
  """Whether a photograph's values do not depend on those beside it.

  Args:
    network: any network.
    together: of a batch of photographs.
    copies: of as many copies of the first of them.
  """
  first, only = (
    jax.tree.map(lambda leaf: leaf[:1], one) for one in (together, copies)
  )
  if differing := _differing(network, first, only):
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


def dead_units(network: Network, seen: Summary) -> Iterator[Finding]:
  """How many units of each rectified layer are never above 0; if it has any.

  Args:
    network: any network.
    seen: what it makes of photographs.
  """
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
      f"No unit answers any photograph in {_some(silent)}; the weights "
      "there or before are dead or not the trained ones.",
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


def _rectified(network: Network, seen: Summary) -> Iterator[str]:
  """Layers behind a ReLU, by their graph or else by their values."""
  relus = {info.outputs[0] for info in network.layers if is_relu(info)}
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
  """Layers that differ by more than rounding, with the relative difference."""
  found = {}
  for name in _in_order(network, one):
    a, b = one.largest[name], other.largest[name]
    difference = np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)
    if difference > _SAME:
      found[name] = float(difference)
  return found


def _in_order(network: Network, seen: Summary) -> Iterator[str]:
  return (name for name in network.order if name in seen.largest)


def _some(names: Mapping[str, float] | Sequence[str]) -> str:
  some = ", ".join(map(repr, list(names)[:3]))
  more = f" and {len(names) - 3} more" if len(names) > 3 else ""
  return f"layer{'s' * (len(names) > 1)} {some}{more}"


def _count_strange(leaf) -> int:
  if not jnp.issubdtype(leaf.dtype, jnp.inexact):
    return 0
  return int(np.sum(~np.isfinite(np.asarray(leaf))))
