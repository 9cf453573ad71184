"""Maps, masks and boxes drawn over a picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw

from jdeepvis.types import AnyArray, Pixels

_FOR, _AGAINST = (220, 30, 30), (30, 90, 220)
_FRAME = (40, 230, 40)
_INK = 0.75  # how much of a picture the strongest colour covers


def overlay(pixels: Pixels, values: Float[AnyArray, "rows columns"]) -> Pixels:
  """The picture in grey, red where values are high and blue where below 0.

  The largest absolute value gets the full colour; NaN gets none.

  Args:
    pixels: uint8 `[h, w, 3]` or `[h, w, 1]`.
    values: a coarser map of the same picture, stretched to it bilinearly.

  Returns:
    uint8 `[h, w, 3]`.
  """
  height, width, _ = pixels.shape
  values = np.nan_to_num(np.float32(values), posinf=0, neginf=0)
  values = values / max(np.abs(values).max(), np.float32(1e-12))
  smooth = Image.fromarray(values).resize(
    (width, height), Image.Resampling.BILINEAR
  )
  strength = np.clip(np.asarray(smooth), -1, 1)[..., None]
  grey = np.mean(pixels, axis=-1, keepdims=True)
  ink = np.where(strength > 0, np.float32(_FOR), np.float32(_AGAINST))
  share = _INK * np.abs(strength)
  return np.uint8(np.round((1 - share) * grey + share * ink))


def outline(pixels: Pixels, box: Sequence[int]) -> Pixels:
  """The picture with a green frame just within a rectangle.

  Args:
    pixels: uint8 `[h, w, 3]` or `[h, w, 1]`.
    box: top, left, bottom and right, the latter two past the end.
  """
  canvas = Image.fromarray(_coloured(pixels))
  top, left, bottom, right = box
  ImageDraw.Draw(canvas).rectangle(
    (left, top, right - 1, bottom - 1), outline=_FRAME, width=3
  )
  return np.asarray(canvas)


def fade(pixels: Pixels, mask: Bool[np.ndarray, "h w"]) -> Pixels:
  """The picture with all that is not in the mask nearly white."""
  pale = 255 - (255 - pixels) // 5
  return _coloured(np.where(mask[..., None], pixels, pale))


def beside(*pictures: Pixels, gap: int = 4, background: int = 255) -> Pixels:
  """Pictures in a row, their tops at one height.

  Args:
    *pictures: uint8 `[h, w, 3]`, or `[h, w, 1]` in grey.
    gap: pixels between two, at least 1.
    background: the grey, 0..255, between them and below lower ones.
  """
  height = max(picture.shape[0] for picture in pictures)
  parts = [
    np.pad(
      _coloured(picture),
      ((0, height - picture.shape[0]), (0, gap), (0, 0)),
      constant_values=background,
    )
    for picture in pictures
  ]
  return np.concatenate(parts, axis=1)[:, :-gap]


def _coloured(pixels: Pixels) -> Pixels:
  return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()
