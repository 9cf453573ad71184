"""One web page that shows every picture of a run, the failures among them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def write_gallery(
  path: Path | str,
  records: Sequence[Mapping[str, Any]],
  *,
  title: str,
  settings: Mapping[str, Any],
  captioned: Captioned = RENDERED,
  legend: str = "",
) -> None:
  """Writes a self-contained page to browse, filter and sort pictures.

  Facts that differ can be filtered by, numbers sorted by, whatever they are
  called.

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
  root = Path(path).parent
  data = {
    "title": title,
    "legend": legend,
    "records": [_shown(root, record, captioned) for record in records],
    "settings": settings,
    "meanings": _MEANINGS,
  }
  write_html(path, "gallery", data)


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
