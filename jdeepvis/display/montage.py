"""Many pictures as one: a bare sheet, or a captioned one."""

import math
import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from jdeepvis.types import JdeepvisError, Pixels

Sheet = UInt8[np.ndarray, "height width channels"]

_PAPER = 255
WELL = 244
"""The grey behind pictures that are smaller than their place."""

_INK = "#222222"
_MUTED = "#777777"
_ALARM = "#c62828"
_MIN_SIDE = 180  # pixels; below this a caption has no room
_MIN_TEXT, _STRIP_TEXT = 12, 24


def tile(
  images: UInt8[np.ndarray, "n h w c"],
  columns: int | None = None,
  pad: int = 2,
  background: int = _PAPER,
) -> Sheet:
  """Lays equal pictures out in rows, the first at the top left.

  Args:
    images: uint8 `[n, h, w, c]`, 0..255.
    columns: pictures in a row; by default what makes the sheet about square.
    pad: pixels between neighbours; there are none around the sheet.
    background: the grey, 0..255, between pictures and in empty places.

  Returns:
    The sheet, uint8 `[rows * (h + pad) - pad, columns * (w + pad) - pad, c]`.

  Raises:
    JdeepvisError: if there are no pictures.
  """
  n, h, w, c = images.shape
  if not n:
    raise JdeepvisError("A sheet needs at least one picture, got none.")
  columns = columns or math.ceil(math.sqrt(n))
  rows = math.ceil(n / columns)
  cells = np.full((rows * columns, h + pad, w + pad, c), background, np.uint8)
  cells[:n, :h, :w] = images
  grid = cells.reshape(rows, columns, h + pad, w + pad, c).swapaxes(1, 2)
  sheet = grid.reshape(rows * (h + pad), columns * (w + pad), c)
  return sheet[: rows * (h + pad) - pad, : columns * (w + pad) - pad]


def montage(
  images: Sequence[UInt8[np.ndarray, "_ _ _"]],
  captions: Sequence[str],
  statuses: Sequence[str],
  columns: int | None = None,
) -> Sheet:
  """Lays captioned pictures out in rows, with every failure marked in red.

  Args:
    images: uint8 `[h, w, 3]` or `[h, w, 1]` each, 0..255; sizes may differ.
    captions: the text under each, one line or more, broken where it is too
      long; the first stands out.
    statuses: "ok", or the failure to print across that picture.
    columns: pictures in a row; by default what makes the sheet about square.

  Returns:
    The sheet, uint8 `[h, w, 3]`.

  Raises:
    JdeepvisError: if there are no pictures, or the lists differ in length.
  """
  if not len(images) == len(captions) == len(statuses):
    raise JdeepvisError(
      "A montage needs one caption and one status for each picture, got "
      f"{len(images)} pictures, {len(captions)} captions and {len(statuses)} "
      "statuses."
    )
  if not images:
    raise JdeepvisError("A montage needs at least one picture, got none.")
  height = max(_MIN_SIDE, *(image.shape[0] for image in images))
  width = max(_MIN_SIDE, *(image.shape[1] for image in images))
  font = ImageFont.load_default(max(_MIN_TEXT, width // 18))
  broken = [_broken(caption, width, font) for caption in captions]
  lines = max(map(len, broken))
  columns = columns or math.ceil(math.sqrt(len(images)))
  rows = math.ceil(len(images) / columns)
  gap = round(1.5 * font.size)
  down = height + _strip_height(lines, font) + gap
  right = width + gap
  size = gap + rows * down, gap + columns * right, 3
  sheet = np.full(size, _PAPER, np.uint8)
  # Each straight to its place: a sheet of a thousand is large enough once.
  for i, image in enumerate(images):
    cell = sheet[gap + i // columns * down :, gap + i % columns * right :]
    picture = _picture(image, statuses[i], height, width, font)
    cell[:height, :width] = picture
    strip = _caption(broken[i], lines, width, font)
    cell[height : height + len(strip), :width] = strip
  return sheet


def strips(
  rows: Sequence[UInt8[np.ndarray, "_ _ 3"]], captions: Sequence[str]
) -> Sheet:
  """Rows of any sizes below each other, each under its caption.

  Args:
    rows: uint8 `[h, w, 3]` each, 0..255, shown as they are.
    captions: a line for each.

  Returns:
    The sheet, uint8 `[h, w, 3]`.
  """
  font = ImageFont.load_default(_STRIP_TEXT)
  width = max(row.shape[1] for row in rows)
  parts = []
  for row, caption in zip(rows, captions, strict=True):
    lines = _broken(caption, width, font)
    parts.append(_caption(lines, len(lines), width, font))
    space = ((0, _STRIP_TEXT // 2), (0, width - row.shape[1]), (0, 0))
    parts.append(np.pad(row, space, constant_values=_PAPER))
  return np.concatenate(parts)


def _picture(
  image: Pixels,
  status: str,
  height: int,
  width: int,
  font: ImageFont.FreeTypeFont,
) -> Sheet:
  area = np.full((height, width, 3), WELL, np.uint8)
  h, w, _ = image.shape
  top, left = (height - h) // 2, (width - w) // 2
  area[top : top + h, left : left + w] = image
  if status == "ok":
    return area
  canvas = Image.fromarray(area)
  draw = ImageDraw.Draw(canvas)
  draw.rectangle((0, 0, width - 1, height - 1), outline=_ALARM, width=3)
  band = height - round(1.7 * font.size)
  draw.rectangle((0, band, width, height), fill=_ALARM)
  middle = (width / 2, (band + height) / 2)
  draw.text(middle, status.replace("_", " "), "white", font, anchor="mm")
  return np.asarray(canvas)


def _caption(
  caption: Sequence[tuple[str, str]],
  lines: int,
  width: int,
  font: ImageFont.FreeTypeFont,
) -> Sheet:
  leading = _leading(font)
  canvas = Image.new("RGB", (width, _strip_height(lines, font)), "white")
  draw = ImageDraw.Draw(canvas)
  for i, (line, ink) in enumerate(caption):
    draw.text((0, (i + 1) * leading), line, ink, font, anchor="ls")
  return np.asarray(canvas)


def _strip_height(lines: int, font: ImageFont.FreeTypeFont) -> int:
  _, descent = font.getmetrics()
  return lines * _leading(font) + descent


def _leading(font: ImageFont.FreeTypeFont) -> int:
  return round(1.4 * font.size)


def _broken(
  caption: str, width: int, font: ImageFont.FreeTypeFont
) -> list[tuple[str, str]]:
  """Lines that fit, each with its ink; broken behind spaces, commas and +."""
  found = []
  for i, text in enumerate(caption.splitlines()):
    ink, line = _MUTED if i else _INK, ""
    for word in re.findall(r"[^ ,+]*[ ,+]?", text):
      fits = font.getlength(word.rstrip()) <= width
      for part in [word] if fits else word:
        if line and font.getlength((line + part).rstrip()) > width:
          found.append((line.rstrip(), ink))
          line = ""
        line += part
    found.append((line.rstrip(), ink))
  return found
