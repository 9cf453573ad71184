"""Web pages of one file each, which need nothing from elsewhere."""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdeepvis.display import files


def write_html(path: Path | str, kind: str, data: Mapping[str, Any]) -> None:
  """Writes a page: what all have in common, its own part, and the data.

  Args:
    path: where to write.
    kind: `gallery` or `unit_page`, whose style and script are in `static`.
    data: what the script reads; plain values and arrays.
  """
  static = importlib.resources.files(__package__) / "static"

  def both(ending: str) -> str:
    names = f"page.{ending}", f"{kind}.{ending}"
    return "\n".join((static / name).read_text("utf-8") for name in names)

  # "<" is all that could end the script element that holds the JSON.
  block = files.to_json(data).replace("<", r"\u003c")
  page = (static / "page.html").read_text("utf-8")
  page = page.replace("{{style}}", both("css"))
  page = page.replace("{{script}}", both("js")).replace("{{data}}", block)
  with files.atomic(path) as temporary:
    temporary.write_text(page, encoding="utf-8")
