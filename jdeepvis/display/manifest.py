"""A folder's manifest: reading it, holding it to its word, naming its files."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jdeepvis.types import JdeepvisError


def read_manifest(file: Path | str) -> dict[str, Any]:
  """What a folder's `manifest.json` holds: `settings`, `records` and more.

  Raises:
    JdeepvisError: the file is missing or no manifest.
  """
  try:
    manifest = json.loads(Path(file).read_text(encoding="utf-8"))
    files = [record["file"] for record in manifest["records"]]
    parts = manifest["settings"], manifest.get("kept", {})
    if all(isinstance(file, str) for file in files) and all(
      isinstance(part, dict) for part in parts
    ):
      return manifest
  except (OSError, ValueError, KeyError, TypeError):
    pass
  raise JdeepvisError(
    f"{str(file)!r} is no manifest of ours; name another folder."
  )


def refuse_other(
  path: Path, old: Mapping[str, Any], new: Mapping[str, Any], of: str = ""
) -> None:
  """Nothing, if all entries are what they were.

  Args:
    path: the folder.
    old: what it was made with; mappings may nest.
    new: what is asked now.
    of: what the entries are of, for the sentence.

  Raises:
    JdeepvisError: names the first entry that differs.
  """
  for name in sorted(old.keys() | new.keys()):
    before, now = old.get(name), new.get(name)
    if isinstance(before, dict) and isinstance(now, dict):
      refuse_other(path, before, now, f"{of}{name}: ")
    elif before != now:
      raise JdeepvisError(
        f"{str(path)!r} was made with {of}{name}={before!r}, not {now!r}; use "
        "the same settings or another folder."
      )


def picture_file(layer: str, unit: int, recipe: str, seed: int) -> str:
  """Where a picture lies in its folder, safe whatever the layer's name."""
  return (
    f"{safe_name(layer)}/unit_{unit:04d}/{safe_name(recipe)}/seed_{seed}.png"
  )


def safe_name(name: str) -> str:
  """A name as a file's, another for every name: slashes become dashes.

  What is left of letters other than ASCII, of dashes and of a dot in front is
  spelled as in a URL.
  """
  parts = (quote(part, safe=" +,=@") for part in name.split("/"))
  safe = "-".join(part.replace("-", "%2D") for part in parts)
  return re.sub(r"^\.", "%2E", safe) or "%"
