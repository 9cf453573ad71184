"""What is known of a picture: where it is, its name, its status, its facts."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
"""Plain values by name: text, numbers, lists of them, None; may nest."""

Captioned = Sequence[str | Sequence[str]]
"""Names of facts that a caption has; of several names the first known."""

RENDERED: Captioned = (
  "recipe",
  "seed",
  ("probability", "activation", "score"),
)
"""The caption of a picture that was rendered."""

# Facts that version 0.1 filed under other names, by the fact that tells whose
# they are, and what it added that meant nothing there.
_VERSION_1 = {
  "error": {"unit": "depth", "recipe": "photograph"},
  "largest_loss": {"activation": "value", "recipe": "photograph"},
  "share": {"recipe": "photograph"},
  "method": {"score_start": "probability_before", "recipe": "photograph"},
}
_MEANT_NOTHING = ("score_start", "score_best", "step_best", "activation")


@dataclasses.dataclass(frozen=True)
class Record:
  """A picture of a folder.

  Attributes:
    file: where it lies in its folder, see `picture_file`.
    title: what it is of, in a few words; those of one title are shown together.
    status: `ok`, or how it failed.
    facts: all else, by the names that whoever made it gives them.
  """

  file: str
  title: str
  status: str
  facts: Facts

  def to_plain(self) -> dict[str, Any]:
    """As a manifest has it: the facts beside the other three."""
    own = {"file": self.file, "title": self.title, "status": self.status}
    return {**self.facts, **own}


def unit_title(layer: str, unit: int | None, label: str | None = None) -> str:
  """What a unit is called: `130 flamingo`, `conv1 7`; all of a layer, `conv1`.

  Args:
    layer: its name, or an objective's.
    unit: the channel; None for all of them.
    label: the class's names, commas between.
  """
  if label:
    return f"{unit} {label.split(',')[0]}"
  return layer if unit is None else f"{layer} {unit}"


def caption(facts: Facts, names: Captioned = RENDERED) -> str:
  """A picture's facts on one line, without those that are None.

  Args:
    facts: all that is known.
    names: which to tell; how far it is stretched is shown anyway.
  """
  shown = []
  for one in names:
    several = (one,) if isinstance(one, str) else one
    known = [name for name in several if facts.get(name) is not None]
    shown += [_spell(name, facts[name]) for name in known[:1]]
  if "contrast" in facts:
    shown.append(f"contrast x{facts['contrast']:.0f}")
  return " · ".join(shown)


def flat(facts: Facts) -> Iterator[tuple[str, Any]]:
  """Facts without nesting; strengths go by their own names."""
  for name, value in facts.items():
    if not isinstance(value, Mapping):
      yield name, value
      continue
    prefix = "" if name == "strengths" else f"{name} "
    for inner, one in flat(value):
      yield f"{prefix}{inner}", one


def from_version_1(record: Mapping[str, Any]) -> dict[str, Any]:
  """A record that version 0.1 wrote, as it is written today.

  Args:
    record: of a manifest; one of today, or of no picture, is left as it is.

  Raises:
    KeyError: it is of no version.
  """
  today = dict(record)
  if "title" in record or "status" not in record:
    return today
  if "view" in today:
    today["preview"] = today.pop("view")
  title = unit_title(today["layer"], today["unit"], today["label"])
  if "steps" in today:
    today["recipe"], _, today["initial"] = today["recipe"].partition(" from ")
  for mark, names in _VERSION_1.items():
    if mark in record:
      today = {
        names.get(name, name): value
        for name, value in today.items()
        if name in names or name not in _MEANT_NOTHING
      }
      whole = f", {record.get('method')}"
      today["photograph"] = today["photograph"].removesuffix(whole)
      title = today["layer" if mark == "error" else "photograph"]
  return {**today, "title": title}


def _spell(name: str, value: Any) -> str:
  called = name.replace("_", " ")
  match value:
    case bool():
      return called if value else f"not {called}"
    case str():
      return value.split(",")[0] if name.startswith("label") else value
    case float():
      return f"{called} {value:.4g}"
    case list() | tuple():
      return f"{called} {', '.join(map(str, value))}"
  return f"{called} {value}"
