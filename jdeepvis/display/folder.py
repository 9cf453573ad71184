"""A folder of pictures with its manifest: extended, resumed, never spoilt.

    manifest.json               settings, versions, one record a picture
    LAYER/unit_0130/RECIPE/seed_0.png, faint ones seed_0_stretched.png too
    LAYER/unit_0130/montage.png, montage.png
    images.npz, history.npz     the same pictures as float arrays
    index.html                  all of it in a browser

Every file appears whole or not at all, a picture's record after its files.
"""

import contextlib
import fcntl
import math
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jdeepvis.display.files import atomic, damaged, write_image
from jdeepvis.display.gallery import write_gallery
from jdeepvis.display.manifest import ManifestFolder, no_folder
from jdeepvis.display.montage import montage
from jdeepvis.display.presentation import (
  FAINT,
  Kept,
  headroom,
  stretch,
  thumbnail,
)
from jdeepvis.display.records import RENDERED, Captioned, Record, caption
from jdeepvis.types import JdeepvisError

_UNFINISHED = ".unfinished"
_FILES = ("file", "preview")
_LARGEST_SIDE = 4096


class PictureFolder(ManifestFolder):
  """The folder that one or several runs write to.

  Attributes:
    path: where it is.
    manifest: what `manifest.json` holds; `records` are its pictures.
  """

  def __init__(self, path: Path, manifest: dict[str, Any]):
    super().__init__(path, manifest)
    images = self._members("images")
    histories = {name.rpartition("/")[0] for name in self._members("history")}
    # A picture that someone removed, or its arrays, is made again.
    self._records = {
      record["file"]: record
      for record in manifest["records"]
      if all((path / record[x]).exists() for x in _FILES if x in record)
      and f"{_stem(record['file'])}.npy" in images
      and _stem(record["file"]) in histories
    }

  def __contains__(self, file: str) -> bool:
    return file in self._records

  def add(self, pictures: Mapping[str, Kept]) -> None:
    """Writes pictures and their arrays, then their records.

    Args:
      pictures: by their files in the folder, see `picture_file`.
    """
    records, images, histories = [], {}, {}
    for file, picture in pictures.items():
      record = Record(file, picture.title, picture.status, picture.facts)
      plain, stem, image = record.to_plain(), _stem(file), picture.image
      write_image(self.path / file, picture.pixels)
      if (contrast := headroom(image)) > FAINT:
        plain["preview"] = f"{stem}_stretched.png"
        plain["contrast"] = round(contrast, 1)
        write_image(self.path / plain["preview"], stretch(image, contrast))
      records.append(plain)
      images[stem] = image
      for name, rows in picture.history.items():
        histories[f"{stem}/{name}"] = rows
    number = len(list(self._parts("images")))
    self._write_part(f"images-{number:06d}", images)
    self._write_part(f"history-{number:06d}", histories)
    self._records |= {record["file"]: record for record in records}
    self.manifest["records"] = list(self._records.values())
    self._write_manifest()

  def finish(
    self, title: str, *, captioned: Captioned = RENDERED, legend: str = ""
  ) -> None:
    """Writes what shows all pictures: montages, arrays, the page.

    Args:
      title: the page's heading.
      captioned: the facts that captions have.
      legend: a sentence on what the pictures show.
    """
    records = list(self._records.values())
    write_montage(self.path, records, captioned=captioned)
    units: dict[str, list] = {}
    for record in records:
      units.setdefault(_unit_folder(record), []).append(record)
    for unit, group in units.items():
      rows = len({record["file"].rpartition("/")[0] for record in group})
      columns = -(-len(group) // rows)
      write_montage(
        self.path, group, folder=unit, columns=columns, captioned=captioned
      )
    for name in ("images", "history"):
      self._merge(name)
    shutil.rmtree(self.unfinished, ignore_errors=True)
    write_gallery(
      self.path / "index.html",
      records,
      title=title,
      settings=self.manifest["settings"],
      captioned=captioned,
      legend=legend,
    )

  @property
  def unfinished(self) -> Path:
    """Where a run keeps what `finish` does without."""
    return self.path / _UNFINISHED

  def _parts(self, name: str) -> list[Path]:
    return sorted(self.unfinished.glob(f"{name}-*.npz"))

  def _members(self, name: str) -> set[str]:
    """What an archive holds, with the parts not yet merged into it."""
    members: set[str] = set()
    for file in (self.path / f"{name}.npz", *self._parts(name)):
      try:
        with zipfile.ZipFile(file) as archive:
          members.update(archive.namelist())
      except FileNotFoundError:
        pass
      except (OSError, zipfile.BadZipFile):
        raise damaged(file) from None
    return members

  def _write_part(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic(self.unfinished / f"{name}.npz") as path:
      np.savez(path, **arrays)

  def _merge(self, name: str) -> None:
    """Adds the parts to the one archive, member by member."""
    target, parts = self.path / f"{name}.npz", self._parts(name)
    if not parts:
      return
    sources = [target, *parts] if target.exists() else parts
    with atomic(target) as path, zipfile.ZipFile(path, "w") as merged:
      # From the newest back: a picture made again replaces its forerunner.
      for source in reversed(sources):
        with zipfile.ZipFile(source) as archive:
          for member in archive.namelist():
            if member not in merged.NameToInfo:
              merged.writestr(member, archive.read(member))


def write_montage(
  root: Path,
  records: Sequence[Mapping[str, Any]],
  *,
  folder: str = "",
  columns: int | None = None,
  captioned: Captioned = RENDERED,
) -> None:
  """Writes `montage.png`: pictures that lie in a folder, as one.

  Args:
    root: the folder.
    records: of each, as for `write_gallery`.
    folder: where in it the montage goes.
    columns: pictures in a row; by default what makes it about square.
    captioned: the facts that captions have.
  """
  columns = columns or math.ceil(math.sqrt(len(records)))
  side = _LARGEST_SIDE // columns
  sheet = montage(
    [
      thumbnail(root / record.get("preview", record["file"]), side)
      for record in records
    ],
    [f"{one['title']}\n{caption(one, captioned)}" for one in records],
    [record["status"] for record in records],
    columns=columns,
  )
  write_image(root / folder / "montage.png", sheet)


@contextlib.contextmanager
def only_run(path: Path | str) -> Iterator[None]:
  """Keeps other runs out of a folder, as each writes the whole manifest.

  Nothing stays behind, however the run ends; a folder that does not exist yet
  is made.

  Args:
    path: the folder.

  Raises:
    JdeepvisError: another run writes to it now.
  """
  try:
    Path(path).mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
  except OSError as error:
    raise no_folder(path, error) from error
  try:
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    os.close(handle)
    raise JdeepvisError(
      f"Another run writes to {str(path)!r}; wait for it or name another "
      "folder."
    ) from None
  except OSError:
    pass  # a file system without locks
  try:
    yield
  finally:
    os.close(handle)


def _stem(file: str) -> str:
  return file.removesuffix(".png")


def _unit_folder(record: Mapping[str, Any]) -> str:
  return "/".join(record["file"].split("/")[:2])
