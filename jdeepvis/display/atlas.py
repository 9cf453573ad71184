"""What is in a folder of pictures: records, pixels and arrays."""

import functools
import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jdeepvis.display import shards
from jdeepvis.display.files import damaged
from jdeepvis.display.manifest import read_manifest
from jdeepvis.types import JdeepvisError, Pixels

# What NumPy raises of a header that is no dict of its own, or lies.
_UNREADABLE = (
  ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError,
  OverflowError,
)  # fmt: skip


def open_atlas(path: Path | str) -> "Atlas":
  """Opens a folder of pictures to read what is in it.

  Records are read at once, pixels and arrays when they are asked for, whatever
  the folder's size, also while others write to it, and if an earlier version
  made it.

  >>> import tempfile, jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> recipe = jdeepvis.recipe("default").replace(steps=4)
  >>> pictures = jdeepvis.render_many(network, "conv1:0-1", recipe)
  >>> page = jdeepvis.write_folder(tempfile.mkdtemp(), pictures)
  >>> atlas = jdeepvis.open_atlas(page.parent)
  >>> [record["unit"] for record in atlas.records]
  [0, 1]
  >>> record = atlas.records[0]
  >>> atlas.picture(record).shape == atlas.image(record).shape
  True
  >>> atlas.history(record)["score"].shape
  (4,)

  Args:
    path: the folder, or its `manifest.json`.

  Returns:
    The atlas: `settings`, `kept`, `records`, and of a record `picture`, `image`
    and `history`.

  Raises:
    JdeepvisError: it is no folder of pictures, or its records are damaged.
  """
  path = Path(path)
  file = path if path.suffix == ".json" else path / "manifest.json"
  return Atlas(file.parent, read_manifest(file))


class Atlas:
  """A folder's pictures, to be read.

  Attributes:
    path: where it is.
    settings: what all its pictures share.
    kept: what else its runs agreed on, such as recipes.
    records: a dict a picture: `file`, `title`, `status` and its facts, such as
      `layer` and `unit`.
  """

  def __init__(self, path: Path, manifest: Mapping[str, Any]):
    self.path = path
    self.settings = manifest["settings"]
    self.kept = manifest.get("kept", {})
    old = manifest["records"] if manifest["records"] != shards.PLACE else []
    found = {record["file"]: record for record in old}
    self._arrays: dict[str, Any] = {}
    for record in shards.read_lines(path):
      self._arrays[record["file"]] = record.pop(shards.ARRAYS)
      found[record["file"]] = record
    self.records: list[dict[str, Any]] = list(found.values())

  def picture(self, record: Mapping[str, Any]) -> Pixels:
    """A picture's pixels, as in its file.

    Args:
      record: one of `records`.

    Returns:
      uint8 `[h, w, 3]`, or `[h, w, 1]` with all channels side by side where a
      picture has not three.

    Raises:
      JdeepvisError: the file is missing or damaged.
    """
    path = self.path / record["file"]
    try:
      with Image.open(path) as file:
        pixels = np.asarray(file)
    except (OSError, ValueError, SyntaxError):
      raise damaged(path) from None
    return pixels if pixels.ndim == 3 else pixels[..., None]

  def image(self, record: Mapping[str, Any]) -> np.ndarray:
    """A picture before it was rounded to pixels.

    Args:
      record: one of `records`.

    Returns:
      float32 `[h, w, c]`, centred, grey levels.

    Raises:
      JdeepvisError: it is missing or damaged.
    """
    return _array(*self.image_bytes(record))

  def history(self, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What each step of a picture recorded, or what else was kept beside it.

    Args:
      record: one of `records`.

    Returns:
      Arrays by name.

    Raises:
      JdeepvisError: it is missing or damaged.
    """
    return {
      name: _array(*stored)
      for name, stored in self.history_bytes(record).items()
    }

  def image_bytes(self, record: Mapping[str, Any]) -> tuple[Path, bytes]:
    """The file that has `image`, and what of it is an .npy file's content."""
    if where := self._arrays.get(record["file"]):
      return self._read(where["shard"], where["image"])
    return self._old["images"].read(_stem(record))

  def history_bytes(
    self, record: Mapping[str, Any]
  ) -> dict[str, tuple[Path, bytes]]:
    """The same of each array of `history`."""
    if where := self._arrays.get(record["file"]):
      spans = where["history"].items()
      return {name: self._read(where["shard"], span) for name, span in spans}
    stem, old = _stem(record), self._old["history"]
    names = old.below.get(stem) or [""]
    return {name: old.read(f"{stem}/{name}") for name in names}

  def has_arrays(self, record: Mapping[str, Any]) -> bool:
    """Whether the folder has a picture's image and history."""
    stem, images, history = _stem(record), *self._old.values()
    return record["file"] in self._arrays or (
      stem in images.names and stem in history.below
    )

  def _read(self, shard: str, span: Sequence[int]) -> tuple[Path, bytes]:
    return self.path / shard, shards.read_bytes(self.path, shard, span)

  @functools.cached_property
  def _old(self) -> dict[str, "_Archive"]:
    """What a folder of an earlier version has in place of shards."""
    return {name: _Archive(self.path, name) for name in ("images", "history")}


class _Archive:
  """An `images.npz` or `history.npz`, and its parts from a run that was killed.

  Attributes:
    names: of its arrays.
    below: what of a name follows the last slash, by what comes before it.
  """

  def __init__(self, root: Path, name: str):
    self._main = root / f"{name}.npz"
    parts = sorted((root / ".unfinished").glob(f"{name}-*.npz"))
    self.names: dict[str, zipfile.ZipFile] = {}
    self.below: dict[str, list[str]] = {}
    for path in (self._main, *parts):
      try:
        archive = zipfile.ZipFile(path)
      except FileNotFoundError:
        continue
      except (OSError, zipfile.BadZipFile):
        raise damaged(path) from None
      for member in archive.namelist():
        self.names[member.removesuffix(".npy")] = archive
    for one in self.names:
      stem, _, last = one.rpartition("/")
      self.below.setdefault(stem, []).append(last)

  def read(self, name: str) -> tuple[Path, bytes]:
    if name not in self.names:
      raise JdeepvisError(
        f"There are no arrays of {name!r} in {str(self._main.parent)!r}; the "
        "run that makes its picture keeps them."
      )
    archive = self.names[name]
    path = Path(archive.filename)
    try:
      return path, archive.read(f"{name}.npy")
    except (OSError, zipfile.BadZipFile, zlib.error):
      raise damaged(path) from None


def _array(path: Path, content: bytes) -> np.ndarray:
  try:
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
  except _UNREADABLE:
    raise damaged(path) from None


def _stem(record: Mapping[str, Any]) -> str:
  return record["file"].removesuffix(".png")
