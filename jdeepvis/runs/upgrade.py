"""Folders that version 0.1 made, under today's names."""

import json
from pathlib import Path
from typing import Any

from jdeepvis.display.files import write_json
from jdeepvis.display.manifest import read_manifest
from jdeepvis.synthesis.recipe_records import from_version_1, to_plain

_RECIPE = "recipe "


def upgrade_folder(path: Path | str) -> None:
  """Rewrites a folder's manifest where it is of version 0.1; else nothing.

  Recipes and settings get today's names; pictures and their records stay.

  Args:
    path: a folder of pictures, or where one shall be.

  Raises:
    JdeepvisError: its manifest is no manifest.
  """
  file = Path(path) / "manifest.json"
  if not file.exists():
    return
  manifest = read_manifest(file)
  before = json.dumps(manifest, sort_keys=True)
  manifest["settings"] = _settings(manifest["settings"])
  manifest["kept"] = {
    name: _recipe(value) if name.startswith(_RECIPE) else value
    for name, value in manifest.get("kept", {}).items()
  }
  if json.dumps(manifest, sort_keys=True) != before:
    write_json(file, manifest)


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
  settings = dict(settings)
  for name in ("init", "init_sha256"):
    if name in settings:
      settings[name.replace("init", "initial")] = settings.pop(name)
  if settings.get("canvas") == "feature":
    settings["canvas"] = "field"
  return settings


def _recipe(kept: Any) -> Any:
  old = isinstance(kept, dict) and "policy" in kept
  return to_plain(from_version_1(kept)) if old else kept
