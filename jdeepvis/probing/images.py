"""A folder or a list of image files, read in batches in the background."""

import collections
import functools
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image as PILImage

from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.texts import read_lines
from jdeepvis.types import JdeepvisError

FAULTS = ("", "is no picture that can be read", "is missing", "is too large")
"""What can be wrong with a file; its place here is the fault's number."""

_UNREADABLE, _MISSING, _HUGE = 1, 2, 3
# What Pillow recognises but cannot read by itself, or only by another program.
_NOT_READ = frozenset(
  ["BUFR", "EPS", "FITS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"]
)
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_AHEAD = 2  # batches that are read beforehand


class ImageList(NamedTuple):
  """Image files in a fixed order; an image's number is its place in it.

  Attributes:
    root: the folder that names are relative to.
    names: of the files, with slashes.
    passed_over: how many other files the folder holds, by their suffix.
  """

  root: Path
  names: tuple[str, ...]
  passed_over: Mapping[str, int] = MappingProxyType({})

  @property
  def sha256(self) -> str:
    """A digest of the names, by which a run recognises its list."""
    names = "\n".join(self.names)
    return hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()


class Batch(NamedTuple):
  """Some images, ready for a network.

  Attributes:
    pixels: centred; zeros where a file has a fault.
    numbers: places in the list; -1 for padding and for files with a fault.
    faults: for each file in turn, its number in `FAULTS`; 0 is none.
  """

  pixels: Float[np.ndarray, "n h w c"]
  numbers: Int[np.ndarray, " n"]
  faults: UInt8[np.ndarray, " n"]


def require_loaders() -> None:
  """Says at once, before anything is begun, that files cannot be scanned.

  Raises:
    JdeepvisError: a package that only scans need is not installed.
  """
  try:
    import grain  # noqa: F401
  except ImportError as error:
    raise JdeepvisError(
      f"Scanning images needs {error.name}: pip install 'jdeepvis[probe]'."
    ) from error


def list_images(path: Path | str, root: Path | str | None = None) -> ImageList:
  """The images that a folder or a text file names.

  Args:
    path: a folder, of which every file is taken whose name ends as those that
      Pillow opens do, however deep, by name; or a text file with one image a
      line, and perhaps a class number behind it, as Caffe's lists have.
    root: the folder that the names in a list are relative to, Caffe's
      root_folder; the list's own by default.

  Raises:
    JdeepvisError: there is no such folder or list, no image in it, or none of
      those that it names.
  """
  path = Path(path).expanduser()
  if path.is_dir():
    if root is not None:
      raise JdeepvisError(
        f"{str(path)!r} is a folder of images; a root is for a list of them."
      )
    return _list_folder(path)
  folder = path.parent if root is None else Path(root).expanduser()
  # Caffe's lists put the root before names that begin with a slash, too.
  names = [x if root is None else x.lstrip("/") for x in _read_list(path)]
  if not names:
    raise JdeepvisError(
      f"There is no image in the list {str(path)!r}; write one a line."
    )
  if not any(os.path.isfile(folder / name) for name in names):
    raise JdeepvisError(
      f"None of the {len(names)} images that {str(path)!r} names is there; the "
      f"first would be {spell(str(folder / names[0]))!r}: give the folder that "
      "names are relative to as root=FOLDER or --root=FOLDER, or put the "
      "list into it."
    )
  return ImageList(folder, tuple(names))


def passed_over(images: ImageList) -> str:
  """A sentence on a folder's files that are no images by name, or ""."""
  counts = sorted(images.passed_over.items(), key=lambda pair: -pair[1])
  if not counts:
    return ""
  total = sum(count for _, count in counts)
  kinds = ", ".join(f"{count} {suffix}" for suffix, count in counts[:6])
  more = ", ..." if len(counts) > 6 else ""
  return (
    f"{total} files whose names are none of images are passed over ({kinds}"
    f"{more})."
  )


def spell(name: str) -> str:
  """A file's name as one line of valid UTF-8, whatever bytes it has."""
  name = name.encode(errors="backslashreplace").decode()
  return _BREAKS.sub(lambda found: ascii(found[0])[1:-1], name)


def read_image(
  images: ImageList, number: int, spec: InputSpec
) -> tuple[Float[np.ndarray, "h w c"], int]:
  """One image as the network wants it, and what is wrong with its file.

  Args:
    images: the list.
    number: the image's place in it.
    spec: the network's `input`.

  Returns:
    The centred image, zeros if there is a fault; the fault's number.
  """
  path = images.root / images.names[number]
  zeros = np.zeros(spec.shape, np.float32)
  # Unlike Path's, os.path's never raise. Opening a pipe would block.
  if not os.path.isfile(path):
    return zeros, _UNREADABLE if os.path.exists(path) else _MISSING
  try:
    return preprocess(read_picture(path), spec), 0
  except PILImage.DecompressionBombWarning:
    fault = _HUGE
  except JdeepvisError as error:
    bomb = isinstance(error.__cause__, PILImage.DecompressionBombError)
    fault = _HUGE if bomb else _UNREADABLE
  except Exception:  # a damaged file can raise anything
    fault = _UNREADABLE
  return zeros, fault if os.path.exists(path) else _MISSING


def read_batches(
  images: ImageList,
  numbers: Int[np.ndarray, " files"],
  spec: InputSpec,
  *,
  batch: int,
  workers: int,
) -> Iterator[Batch]:
  """Reads images in order, some batches ahead.

  By grain, in threads: Pillow decodes and resizes outside Python's lock, so
  that processes would cost their start and a copy of each image for no speed.

  Args:
    images: the list.
    numbers: which of them, in this order; -1 is padding.
    spec: the network's `input`.
    batch: images in a batch; must divide the count of `numbers`.
    workers: threads that decode; what is read does not depend on it.
  """
  import grain

  ahead = grain.ReadOptions(
    num_threads=workers, prefetch_buffer_size=max(workers, _AHEAD * batch)
  )
  source = grain.MapDataset.source(_Source(images, numbers, spec))
  return iter(source.to_iter_dataset(ahead).batch(batch, batch_fn=_stack))


class _Source:
  """The images as a sequence, which is what grain reads."""

  def __init__(self, images: ImageList, numbers: np.ndarray, spec):
    self._images = images
    self._numbers = numbers
    self._spec = spec

  def __len__(self) -> int:
    return len(self._numbers)

  def __getitem__(self, place: int) -> tuple[np.ndarray, int, int]:
    number = int(self._numbers[place])
    if number < 0:
      return np.zeros(self._spec.shape, np.float32), number, 0
    pixels, fault = read_image(self._images, number, self._spec)
    return pixels, -1 if fault else number, fault


def _stack(rows) -> Batch:
  pixels, numbers, faults = zip(*rows, strict=True)
  return Batch(np.stack(pixels), np.int32(numbers), np.uint8(faults))


def _list_folder(path: Path) -> ImageList:
  suffixes, names, others = _suffixes(), [], collections.Counter()
  for folder, _, files in os.walk(path):
    for file in files:
      suffix = os.path.splitext(file)[1].lower()
      if suffix in suffixes:
        names.append(str((Path(folder) / file).relative_to(path).as_posix()))
      else:
        others[spell(suffix) or "without a suffix"] += 1
  if not names:
    raise JdeepvisError(
      f"There is no image in {str(path)!r}: their names end in .jpg, .jpeg, "
      ".png or what else Pillow opens."
    )
  return ImageList(path, tuple(sorted(names)), MappingProxyType(dict(others)))


@functools.cache
def _suffixes() -> frozenset[str]:
  """How the names of files that Pillow opens end."""
  PILImage.init()
  return frozenset(
    suffix
    for suffix, kind in PILImage.registered_extensions().items()
    if kind in PILImage.OPEN and kind not in _NOT_READ
  )


def _read_list(path: Path) -> Iterator[str]:
  try:
    lines = read_lines(path)
  except (OSError, UnicodeDecodeError) as error:
    raise JdeepvisError(
      f"{str(path)!r} is neither a folder of images nor a list of them: "
      f"{error}."
    ) from error
  for line in filter(None, map(str.strip, lines)):
    name, _, label = line.rpartition(" ")
    yield name.strip() if name and label.isdigit() else line
