"""One web page that shows every picture of a run, the failures among them."""

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jdeepvis.display import files
from jdeepvis.types import JdeepvisError

_FACTS = frozenset(
  {
    "layer",
    "unit",
    "label",
    "seed",
    "recipe",
    "score_start",
    "score_best",
    "step_best",
    "probability",
    "activation",
    "seconds",
    "status",
    "file",
  }
)

_MEANINGS = {
  "majority_failure": "Another unit of its layer is stronger in the picture.",
  "no_progress": "The score never rose above where it started.",
  "zero_gradient": "The gradient was exactly zero, so nothing could change.",
  "unconvinced": "The network never became as certain as was asked.",
  "nan": "The numbers overflowed, so the picture means nothing.",
}


def write_gallery(
  path: Path | str,
  records: Sequence[Mapping[str, Any]],
  *,
  title: str,
  settings: Mapping[str, Any],
) -> None:
  """Writes a self-contained page to browse, filter and sort pictures.

  Args:
    path: where to write the page.
    records: the facts of each picture: `layer`, `unit` (None for all of them),
      `label` (or None), `seed`, `recipe`, `score_start` (or None),
      `score_best`, `step_best`, `probability` (or None), `activation`,
      `seconds` (or None), `status` ("ok" or the failure), `file` (relative to
      the page), and perhaps `strengths` (name to number), `view` (a file to
      show in its stead) and `contrast` (how far stretched).
    title: the page's heading.
    settings: how the pictures were made; may nest.

  Raises:
    JdeepvisError: if a record lacks a fact.
  """
  for i, record in enumerate(records):
    if missing := sorted(_FACTS - record.keys()):
      raise JdeepvisError(f"Record {i} of the gallery lacks {missing[0]!r}.")
  data = {
    "title": title,
    "records": records,
    "settings": settings,
    "meanings": _MEANINGS,
  }
  template = importlib.resources.files(__package__) / "gallery.html"
  # "<" is all that could end the script element that holds the JSON.
  block = files.to_json(data).replace("<", r"\u003c")
  page = template.read_text("utf-8").replace("{{data}}", block)
  with files.atomic(path) as temporary:
    temporary.write_text(page, encoding="utf-8")
