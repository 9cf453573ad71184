"""A folder of pictures: extended, resumed, never spoilt.

    manifest.json               settings, versions, what runs agreed on
    records/000000.jsonl        a record a picture, see `shards`
    arrays/000000-000000.npy    the pictures as float arrays, and their history
    LAYER/unit_0130/RECIPE/seed_0.png, faint ones seed_0_stretched.png too
    index.html                  all of it in a browser

and where there are no more than `SMALL` pictures

    LAYER/unit_0130/montage.png, montage.png
    images.npz, history.npz     copies of all arrays

Every file appears whole or not at all, but for those of records and arrays,
which grow. A picture's record comes after its files. What a picture costs does
not depend on how many there are.
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

from jdeepvis.display.atlas import Atlas, open_atlas
from jdeepvis.display.files import atomic, write_image
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
from jdeepvis.display.shards import (
  PLACE,
  Appender,
  Entry,
  complete_files,
  record_files,
)
from jdeepvis.types import JdeepvisError

SMALL = 1000
"""Pictures up to which a folder has montages and copies of its arrays."""

_UNFINISHED = ".unfinished"
_COPIES = ("images.npz", "history.npz")
_LARGEST_SIDE = 4096


class PictureFolder(ManifestFolder):
  """The folder that one or several runs write to.

  Attributes:
    path: where it is.
    manifest: what `manifest.json` holds.
  """

  def __init__(self, path: Path, manifest: dict[str, Any]):
    manifest.setdefault("records", PLACE)
    super().__init__(path, manifest)
    self._appender = Appender(path)
    if manifest["records"] != PLACE:
      self._move_records()
    # A picture that someone removed, or its arrays, is made again.
    self._files = complete_files(path)

  def __contains__(self, file: str) -> bool:
    return file in self._files

  @property
  def records(self) -> list[dict[str, Any]]:
    """Those of all its pictures, read anew from their files."""
    return self._own(open_atlas(self.path))

  def add(self, pictures: Mapping[str, Kept]) -> None:
    """Writes pictures and their arrays, then their records.

    Args:
      pictures: by their files in the folder, see `picture_file`.
    """
    entries = []
    for file, picture in pictures.items():
      record = Record(file, picture.title, picture.status, picture.facts)
      plain, image = record.to_plain(), picture.image
      write_image(self.path / file, picture.pixels)
      if (contrast := headroom(image)) > FAINT:
        plain["preview"] = f"{file.removesuffix('.png')}_stretched.png"
        plain["contrast"] = round(contrast, 1)
        write_image(self.path / plain["preview"], stretch(image, contrast))
      entries.append(Entry(plain, image, picture.history))
    self._appender.append(entries)
    self._files.update(pictures)

  def finish(
    self, title: str, *, captioned: Captioned = RENDERED, legend: str = ""
  ) -> None:
    """Writes what shows all pictures: montages, arrays, the page.

    Args:
      title: the page's heading.
      captioned: the facts that captions have.
      legend: a sentence on what the pictures show.
    """
    atlas = open_atlas(self.path)
    records = self._own(atlas)
    if len(records) <= SMALL:
      self._write_montages(records, captioned)
      self._copy_arrays(atlas, records)
    else:
      self._remove_what_small_ones_have()
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

  def _own(self, atlas: Atlas) -> list[dict[str, Any]]:
    return [record for record in atlas.records if record["file"] in self]

  def _move_records(self) -> None:
    """Gives a folder of an earlier version today's form."""
    atlas = Atlas(self.path, self.manifest)
    for record in filter(atlas.has_arrays, atlas.records):
      self._appender.append(
        [Entry(record, atlas.image(record), atlas.history(record))]
      )
    self.manifest["records"] = PLACE
    self._write_manifest()

  def _write_montages(
    self, records: Sequence[Mapping[str, Any]], captioned: Captioned
  ) -> None:
    write_montage(self.path, records, captioned=captioned)
    units: dict[str, list] = {}
    for record in records:
      units.setdefault(_unit_folder(record), []).append(record)
    for unit, group in units.items():
      pictures = [self.path / record["file"] for record in group]
      if _is_newer(self.path / unit / "montage.png", pictures):
        continue
      rows = len({record["file"].rpartition("/")[0] for record in group})
      columns = -(-len(group) // rows)
      write_montage(
        self.path, group, folder=unit, columns=columns, captioned=captioned
      )

  def _copy_arrays(
    self, atlas: Atlas, records: Sequence[Mapping[str, Any]]
  ) -> None:
    """Writes those archives that are missing or older than a record."""
    sources = record_files(self.path)
    for name in _COPIES:
      target = self.path / name
      if _is_newer(target, sources):
        continue
      with atomic(target) as path, zipfile.ZipFile(path, "w") as archive:
        for record in records:
          stem = record["file"].removesuffix(".png")
          if name == "images.npz":
            arrays = {stem: atlas.image_bytes(record)}
          else:
            arrays = {
              f"{stem}/{key}": found
              for key, found in atlas.history_bytes(record).items()
            }
          for key, (_, content) in arrays.items():
            archive.writestr(f"{key}.npy", content)

  def _remove_what_small_ones_have(self) -> None:
    whole = self.path / "montage.png"
    if whole.exists():  # last, so that who is killed begins anew
      for path in self.path.glob("*/*/montage.png"):
        path.unlink()
      whole.unlink()
    for name in _COPIES:
      (self.path / name).unlink(missing_ok=True)


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
  """Keeps other runs out of a folder, so that no picture is made twice.

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


def _is_newer(target: Path, sources: Sequence[Path]) -> bool:
  if not target.exists():
    return False
  made = target.stat().st_mtime_ns
  return all(path.stat().st_mtime_ns < made for path in sources)


def _unit_folder(record: Mapping[str, Any]) -> str:
  return "/".join(record["file"].split("/")[:2])
