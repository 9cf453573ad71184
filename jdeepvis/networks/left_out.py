"""What of a file cannot be run is left out, with all that depends on it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from jdeepvis.networks.network import LayerInfo

_SAID = 8


class LeftOut(NamedTuple):
  """Why a layer is left out: before and behind those that depend on it."""

  before: str
  behind: str = ""

  def sentence(self, names: Sequence[str]) -> str:
    if not names:
      return self.before + self.behind
    more = f" and {len(names) - _SAID} more" if len(names) > _SAID else ""
    listed = f"layer{'s' * (len(names) > 1)} {', '.join(names[:_SAID])}{more}"
    return f"{self.before} with what depends on it, {listed}{self.behind}"


def sentences(
  file: str, causes: Iterable[tuple[LeftOut, Sequence[str]]]
) -> tuple[str, ...]:
  """A sentence for each cause, with the layers that depend on it."""
  causes = list(causes)
  reasons = _without_repeats(why for why, _ in causes)
  return tuple(
    f"{file}: {why.sentence(names)}."
    for why, (_, names) in zip(reasons, causes, strict=True)
  )


def why_missing(cause: str, others: Sequence[str]) -> LeftOut:
  """Why what reads a layer, or another input than the images, is left out."""
  second = cause.removeprefix("input ")
  if second != cause and second in others:
    return LeftOut(
      f"the second input {second!r} is left out",
      "; a network here is given images alone",
    )
  return LeftOut(f"layer {cause!r} is left out")


def without(
  layers: tuple[LayerInfo, ...], bad: LayerInfo
) -> tuple[tuple[LayerInfo, ...], list[str]]:
  """The layers without one and all that depend on it, and their names."""
  gone, kept, names = set(bad.outputs), [], []
  for layer in layers:
    if layer == bad:
      continue
    if gone & set(layer.inputs):
      gone |= set(layer.outputs)
      # Both sides of an activation are one layer in the file.
      names += [] if layer.name.endswith("/pre") else [layer.name]
    else:
      kept.append(layer)
  return tuple(kept), names


def _without_repeats(reasons: Iterable[LeftOut]) -> Iterator[LeftOut]:
  """The advice once, however many layers it is for."""
  told = set()
  for reason in reasons:
    yield reason._replace(behind="") if reason.behind in told else reason
    told.add(reason.behind)
