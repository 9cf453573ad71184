"""A folder's records and arrays, in files that only grow.

    records/000000.jsonl        a picture a line; each run has its own file
    arrays/000000-000000.npy    arrays one behind the other; a run's first shard

A line counts once its newline is there, and it is written after the arrays that
it tells of: a run killed at any byte leaves at most half a line, and arrays
that no record names. The next run, or another one at the same time, begins
files of its own, so that nobody waits and nothing is ever written anew.
"""

import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdeepvis.display.files import damaged, to_json

PLACE = "records/*.jsonl"
"""What a manifest has as its `records` where they lie in files of their own."""

ARRAYS = "arrays"
"""The fact of a line that tells where the picture's arrays are."""

_LARGEST_SHARD = 2**26  # bytes from which on a run begins another
_AT_ONCE = 100  # lines that are parsed together
_NEEDED = {"file", "title", "status", ARRAYS}


class Entry(NamedTuple):
  """What a folder keeps of a picture beside its file.

  Attributes:
    record: plain, see `Record.to_plain`.
    image: float32 `[h, w, c]`, centred.
    history: what each step recorded, or what else belongs to it.
  """

  record: Mapping[str, Any]
  image: np.ndarray
  history: Mapping[str, np.ndarray]


class Appender:
  """What one run adds to a folder.

  Its files are begun with its first picture.
  """

  def __init__(self, root: Path):
    self._root = root
    self._path: Path | None = None
    self._end = 0
    self._shard = 0

  def append(self, entries: Sequence[Entry]) -> None:
    """Writes arrays, then the records that tell where they are."""
    if self._path is None:
      self._path = _begin(self._root / "records")
    lines = "".join(
      to_json({**record, ARRAYS: self._write_arrays(image, history)}) + "\n"
      for record, image, history in entries
    )
    self._write_lines(lines.encode())

  def _write_lines(self, lines: bytes) -> None:
    with open(self._path, "r+b") as file:
      # Behind the last whole line, should a write before have failed halfway.
      file.seek(self._end)
      file.write(lines)
      file.truncate()
    self._end += len(lines)

  def _write_arrays(
    self, image: np.ndarray, history: Mapping[str, np.ndarray]
  ) -> dict[str, Any]:
    """Adds a picture's arrays to the shard; tells where they are."""
    name = f"arrays/{self._path.stem}-{self._shard:06d}.npy"
    path = self._root / name
    path.parent.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    with open(path, "ab") as file:
      begin = file.tell()

      def span(array: np.ndarray) -> list[int]:
        offset = buffer.tell()
        np.save(buffer, array, allow_pickle=False)
        return [begin + offset, buffer.tell() - offset]

      spans = {
        "shard": name,
        "image": span(image),
        "history": {key: span(rows) for key, rows in history.items()},
      }
      file.write(buffer.getbuffer())
      if file.tell() > _LARGEST_SHARD:
        self._shard += 1
    return spans


def read_lines(root: Path) -> Iterator[dict[str, Any]]:
  """The records of all runs, each with where its arrays are.

  Args:
    root: the folder.

  Yields:
    Those of one run behind those of the run before; of several of one file the
    last holds.

  Raises:
    JdeepvisError: a file is damaged.
  """
  for path in record_files(root):
    with open(path, "rb") as file:
      whole = itertools.takewhile(lambda line: line.endswith(b"\n"), file)
      while lines := list(itertools.islice(whole, _AT_ONCE)):
        yield from _parse(path, lines)


def complete_files(root: Path) -> set[str]:
  """The pictures of which all that was written is there.

  Args:
    root: the folder.

  Raises:
    JdeepvisError: records are damaged, or arrays.
  """
  found: set[str] = set()
  sizes: dict[str, int] = {}
  for record in read_lines(root):
    file, where = record["file"], record[ARRAYS]
    # Asked for anew where it does not suffice, as others may write to it.
    if sizes.get(where["shard"], 0) < _end(where):
      sizes[where["shard"]] = _size(root / where["shard"], _end(where))
    needed = (file, record["preview"]) if "preview" in record else (file,)
    if sizes[where["shard"]] and all(
      os.path.exists(f"{root}/{name}") for name in needed
    ):
      found.add(file)
    else:
      found.discard(file)
  return found


def record_files(root: Path) -> list[Path]:
  """The files that `read_lines` reads, in its order."""
  return sorted((root / "records").glob("*.jsonl"))


def read_bytes(root: Path, shard: str, span: Sequence[int]) -> bytes:
  """An array as an .npy file would hold it.

  Raises:
    JdeepvisError: the shard is missing or damaged.
  """
  offset, size = span
  try:
    with open(root / shard, "rb") as file:
      file.seek(offset)
      content = file.read(size)
  except OSError:
    raise damaged(root / shard) from None
  if len(content) != size or not content.startswith(np.lib.format.MAGIC_PREFIX):
    raise damaged(root / shard)
  return content


def _begin(folder: Path) -> Path:
  """A file that nobody else writes to, numbered behind all that are there."""
  folder.mkdir(exist_ok=True)
  stems = (path.stem for path in folder.glob("*.jsonl"))
  taken = [int(stem) for stem in stems if stem.isdecimal()]
  for number in itertools.count(max(taken, default=-1) + 1):
    path = folder / f"{number:06d}.jsonl"
    try:
      path.touch(exist_ok=False)
    except FileExistsError:
      continue  # another run was faster
    return path


def _size(shard: Path, end: int) -> int:
  """A shard's bytes, `end` at least; 0 where it is missing."""
  if not shard.exists():
    return 0
  size = shard.stat().st_size
  if size < end:
    raise damaged(shard)
  return size


def _end(where: Mapping[str, Any]) -> int:
  """The least size of the shard that has these arrays."""
  spans = where["image"], *where["history"].values()
  return max(offset + size for offset, size in spans)


def _parse(path: Path, lines: Sequence[bytes]) -> list[dict[str, Any]]:
  try:
    # Together, so that records share their names in memory.
    records = json.loads(b"[" + b",".join(lines) + b"]")
    if len(records) == len(lines) and all(
      record.keys() >= _NEEDED for record in records
    ):
      return records
  except (ValueError, AttributeError):
    pass
  raise damaged(path)
