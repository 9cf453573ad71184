"""A picture as people are shown it: stretched, of a fair size, captioned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from jdeepvis.display.files import damaged
from jdeepvis.types import Pixels

_SMALLEST_SIDE = 192

FAINT = 4
"""Headroom above which a picture is shown stretched as well."""


@runtime_checkable
class Shown(Protocol):
  """What can be shown.

  Attributes:
    pixels: uint8 `[h, w, c]`, 0..255.
    image: the same centred, float32.
    title: what it is of.
    status: `ok`, or how it failed.
    facts: about it, by name.
  """

  pixels: Pixels
  image: np.ndarray
  title: str
  status: str
  facts: Mapping[str, Any]


class Kept(Shown, Protocol):
  """What a folder keeps.

  Attributes:
    history: what each step recorded, or what else belongs to it; arrays.
  """

  history: Mapping[str, np.ndarray]


def headroom(image: np.ndarray) -> float:
  """How many times brighter an image may get until it fills 0..255.

  Args:
    image: `[h, w, c]`, centred, grey levels.
  """
  peak = np.percentile(np.abs(image), 99.9)
  return float(127.5 / max(peak, 0.5))


def stretch(image: np.ndarray, contrast: float) -> Pixels:
  """The mean colour as mid-grey, as the original wrote all its pictures.

  Args:
    image: `[h, w, c]`, centred, grey levels.
    contrast: factor on every value.
  """
  return np.uint8(np.clip(127.5 + contrast * image, 0, 255))


def as_shown(picture: Shown) -> Pixels:
  """A picture's pixels, stretched where they are too faint to see."""
  contrast = headroom(picture.image)
  return (
    stretch(picture.image, contrast) if contrast > FAINT else picture.pixels
  )


def aspect(path: Path) -> float:
  """A picture file's width over its height.

  Raises:
    JdeepvisError: it cannot be read.
  """
  try:
    with Image.open(path) as file:
      return round(file.width / file.height, 3)
  except (OSError, ValueError, SyntaxError):
    raise damaged(path) from None


def thumbnail(path: Path, side: int) -> Pixels:
  """A picture file as RGB, of at most `side` pixels, and not too small."""
  try:
    with Image.open(path) as file:
      image = file.convert("RGB")
  except (OSError, ValueError, SyntaxError):
    raise damaged(path) from None
  image.thumbnail((side, side))
  return enlarged(np.asarray(image), min(side, _SMALLEST_SIDE))


def enlarged(pixels: Pixels, side: int) -> Pixels:
  """A small picture a whole number of times larger, up to `side` pixels.

  A unit of a low layer sees a few pixels: they are shown as such.
  """
  times = max(1, side // max(pixels.shape[:2]))
  return pixels.repeat(times, axis=0).repeat(times, axis=1)
