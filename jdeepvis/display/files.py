"""Files that appear whole or not at all."""

import contextlib
import csv
import json
import math
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jdeepvis.types import JdeepvisError, Pixels

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
  """Lends a temporary path that replaces `path` if the body succeeds.

  Args:
    path: where the finished file shall be; its folder is made if missing.

  Yields:
    A hidden path in the same folder, with the same suffix, to write to.
  """
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  name = f".{path.stem}-{secrets.token_hex(4)}{path.suffix}"
  temporary = path.with_name(name)
  try:
    yield temporary
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def write_image(
  path: Path | str, pixels: Pixels, facts: Mapping[str, Any] | None = None
) -> None:
  """Writes a picture, as PNG, JPEG or WebP by the suffix of `path`.

  Args:
    path: where to write.
    pixels: uint8 `[h, w, c]`, 0..255: RGB where `c` is 3, else every channel
      in grey, side by side.
    facts: written into a PNG as text; other formats go without.

  Raises:
    JdeepvisError: for any other suffix.
  """
  if Path(path).suffix.lower() not in _SUFFIXES:
    raise JdeepvisError(
      f"Cannot write the picture {str(path)!r}: its name must end in "
      f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}."
    )
  if pixels.shape[-1] != 3:
    pixels = np.concatenate(np.moveaxis(pixels, -1, 0), axis=1)
  image = Image.fromarray(pixels)
  about = PngInfo()
  for name, value in (facts or {}).items():
    about.add_itxt(name, str(value))
  with atomic(path) as temporary:
    # Of zlib's ways the one that suits pictures: as small, four times faster.
    image.save(temporary, quality=95, pnginfo=about, compress_type=zlib.Z_RLE)


def write_animation(path: Path | str, frames: Iterable[Pixels]) -> None:
  """Writes pictures of one size as an animated WebP of ten a second, looped.

  Args:
    path: where to write.
    frames: at least one, uint8 `[h, w, 3]`.
  """
  first, *others = map(Image.fromarray, frames)
  with atomic(path) as temporary:
    first.save(
      temporary,
      format="WEBP",
      save_all=True,
      append_images=others,
      duration=100,  # milliseconds
      loop=0,
      quality=80,
    )


def write_json(path: Path | str, tree: Any) -> None:
  """Writes a tree of plain values and arrays as indented JSON.

  Args:
    path: where to write.
    tree: see `to_json`.
  """
  with atomic(path) as temporary:
    temporary.write_text(to_json(tree, indent=2) + "\n", encoding="utf-8")


def write_csv(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
  """Writes rows as comma-separated values under one line of names.

  Args:
    path: where to write.
    rows: at least one, all with the same keys; None becomes an empty cell.
  """
  with (
    atomic(path) as temporary,
    open(temporary, "w", encoding="utf-8", newline="") as file,
  ):
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def damaged(path: Path | str) -> JdeepvisError:
  """The error for a file that this package wrote and cannot read."""
  return JdeepvisError(
    f"{str(path)!r} is damaged; remove it, and what it held is made again."
  )


def to_json(tree: Any, indent: int | None = None) -> str:
  """Spells a tree as strict JSON.

  Args:
    tree: mappings, sequences, plain values and arrays, nested at will; numbers
      that JSON lacks (NaN and the infinities) become null.
    indent: spaces for each level, or None for a single line.

  Returns:
    The text, ASCII only.
  """
  return json.dumps(_plain(tree), indent=indent)


def _plain(tree: Any) -> Any:
  match tree:
    case Mapping():
      return {str(key): _plain(value) for key, value in tree.items()}
    case list() | tuple():
      return [_plain(value) for value in tree]
    case _ if hasattr(tree, "tolist"):
      return _plain(tree.tolist())
    case float() if not math.isfinite(tree):
      return None
    case _:
      return tree
