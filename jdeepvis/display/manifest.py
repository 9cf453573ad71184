"""A folder's manifest: reading it, comparing settings, naming its files."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jdeepvis.display.files import write_json
from jdeepvis.display.records import from_version_1
from jdeepvis.display.shards import PLACE
from jdeepvis.types import JdeepvisError


class ManifestFolder:
  """A folder whose manifest records the settings it was made with.

  Attributes:
    path: where it is.
    manifest: what `manifest.json` holds.
  """

  def __init__(self, path: Path, manifest: dict[str, Any]):
    self.path = path
    self.manifest = manifest
    self.manifest.setdefault("records", [])

  @classmethod
  def open(
    cls, path: Path | str, settings: Mapping[str, Any], **more: Any
  ) -> "ManifestFolder":
    """Begins a folder, or goes on with one made with the same settings.

    Args:
      path: the folder; made where it is missing.
      settings: what every picture in it shares; plain values.
      **more: further entries of a new manifest.

    Raises:
      JdeepvisError: the folder cannot be made, holds something else, or
        pictures made with other settings; the first that differs is named.
    """
    path = Path(path)
    file = path / "manifest.json"
    settings = json.loads(json.dumps(settings))
    try:
      path.mkdir(parents=True, exist_ok=True)
      if file.exists():
        manifest = read_manifest(file)
        refuse_other(path, manifest["settings"], settings)
        return cls(path, manifest)
      # A run killed at its very start leaves a half-written manifest.
      if not all(entry.match(".manifest-*.json") for entry in path.iterdir()):
        raise JdeepvisError(
          f"{str(path)!r} exists and is no folder of pictures; name a new or "
          "an empty one."
        )
      folder = cls(path, {"settings": settings, **more})
      folder._write_manifest()
    except OSError as error:
      raise no_folder(path, error) from error
    return folder

  @property
  def records(self) -> list[dict[str, Any]]:
    """A record of each thing that it holds."""
    return self.manifest["records"]

  def settle(self, name: str, value: Callable[[], Any]) -> Any:
    """A value that the first run to need it chooses, kept from then on."""
    kept = self.manifest.setdefault("kept", {})
    if name not in kept:
      kept[name] = value()
      self._write_manifest()
    return kept[name]

  def pin(self, name: str, value: Any) -> None:
    """Records a value, or refuses one that differs from the recorded one.

    Raises:
      JdeepvisError: an earlier run recorded another.
    """
    value = json.loads(json.dumps(value))
    kept = self.settle(name, lambda: value)
    refuse_other(self.path, {name: kept}, {name: value})

  def note(self, name: str, values: Sequence[str]) -> None:
    """Adds to a list of values that runs may add to, those that are new."""
    known = self.settle(name, list)
    if added := [value for value in values if value not in known]:
      known += added
      self._write_manifest()

  def _write_manifest(self) -> None:
    write_json(self.path / "manifest.json", self.manifest)


def read_manifest(file: Path | str) -> dict[str, Any]:
  """What a folder's `manifest.json` holds: `settings`, `records` and more.

  Records of version 0.1 are given as they are written today; `records` is
  `PLACE` where they lie in files of their own.

  Raises:
    JdeepvisError: the file is missing or no manifest.
  """
  try:
    manifest = json.loads(Path(file).read_text(encoding="utf-8"))
    records = [] if manifest["records"] == PLACE else manifest["records"]
    files = [record["file"] for record in records]
    parts = manifest["settings"], manifest.get("kept", {})
    if manifest["records"] != PLACE:
      manifest["records"] = list(map(from_version_1, records))
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
  """Checks that all entries are what they were.

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
  """A file name for any name, unique for each: slashes become dashes.

  Dashes, characters other than ASCII and a dot in front are spelled as in a
  URL.
  """
  parts = (quote(part, safe=" +,=@") for part in name.split("/"))
  safe = "-".join(part.replace("-", "%2D") for part in parts)
  return re.sub(r"^\.", "%2E", safe) or "%"


def no_folder(path: Path | str, error: OSError) -> JdeepvisError:
  """What to raise where the system refuses a folder."""
  return JdeepvisError(
    f"{str(path)!r} cannot be a folder of pictures: {error.strerror}; name "
    "another."
  )
