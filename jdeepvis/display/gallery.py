"""A web page that shows every picture of a run, the failures among them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jdeepvis.display.files import atomic, to_json
from jdeepvis.display.page import write_html
from jdeepvis.display.presentation import aspect
from jdeepvis.display.records import RENDERED, Captioned, caption, flat

_MEANINGS = {
  "majority_failure": "Another unit of its layer is stronger in the picture.",
  "no_progress": "The score never rose above where it started.",
  "zero_gradient": "The gradient was exactly zero, so nothing could change.",
  "unconvinced": "The network never became as certain as was asked.",
  "unchanged": "The network still names what it should not.",
  "silent": "Nothing that is covered changes the unit's value.",
  "nan": "The numbers overflowed, so the picture means nothing.",
}
_OWN = ("file", "title", "status", "preview")
_PART = 1000
"""Records up to which a page is one file, and that a part of it has."""


def write_gallery(
  path: Path | str,
  records: Sequence[Mapping[str, Any]],
  *,
  title: str,
  settings: Mapping[str, Any],
  captioned: Captioned = RENDERED,
  legend: str = "",
) -> None:
  """Writes a page to browse, filter and sort pictures.

  Facts that differ can be filtered by, numbers sorted by, whatever they are
  called. Up to a thousand records are in the page itself; more are in scripts
  beside it, `index/0000.js` and so on, since a page opened from a file may load
  scripts but not data. It draws pictures as one scrolls.

  Args:
    path: where to write the page.
    records: of each picture `file` (relative to the page), `title`, `status`,
      perhaps `preview` (a file to show in its stead), and its facts.
    title: the page's heading.
    settings: how the pictures were made; may nest.
    captioned: the facts that stand below each picture.
    legend: a sentence on what they show.

  Raises:
    JdeepvisError: a picture cannot be read.
  """
  path = Path(path)
  shown = (_shown(path.parent, record, captioned) for record in records)
  data = {
    "title": title,
    "legend": legend,
    "settings": settings,
    "meanings": _MEANINGS,
  }
  if len(records) <= _PART:
    data["records"] = list(shown)
  else:
    data["parts"] = list(_write_parts(path, shown))
  write_html(path, "gallery", data)


def _write_parts(
  path: Path, shown: Iterator[Mapping[str, Any]]
) -> Iterator[str]:
  """Writes scripts with the records; yields their addresses from the page."""
  for number in itertools.count():
    part = list(itertools.islice(shown, _PART))
    if not part:
      return
    file = f"{path.stem}/{number:04d}.js"
    with atomic(path.parent / file) as temporary:
      lines = ",\n".join(map(to_json, part))
      temporary.write_text(f"receive([\n{lines}\n]);\n", encoding="utf-8")
    yield file


def _shown(
  root: Path, record: Mapping[str, Any], captioned: Captioned
) -> dict[str, Any]:
  preview = record.get("preview", record["file"])
  facts = {name: record[name] for name in record if name not in _OWN}
  return {
    "file": record["file"],
    "preview": preview,
    "title": record["title"],
    "status": record["status"],
    "caption": caption(facts, captioned),
    "aspect": aspect(root / preview),
    "facts": dict(flat(facts)),
  }
