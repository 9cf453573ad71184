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


def outline(pixels: Pixels, box: Sequence[int], *, width: int = 3) -> Pixels:
  """The picture with a green frame just within a rectangle.

  Args:
    pixels: uint8 `[h, w, 3]` or `[h, w, 1]`.
    box: top, left, bottom and right, the latter two past the end.
    width: of the frame, pixels.
  """
  canvas = Image.fromarray(_coloured(pixels))
  top, left, bottom, right = box
  ImageDraw.Draw(canvas).rectangle(
    (left, top, right - 1, bottom - 1), outline=_FRAME, width=width
  )
  return np.asarray(canvas)


def fade(pixels: Pixels, mask: Bool[np.ndarray, "h w"]) -> Pixels:
  """The picture with all that is not in the mask nearly white."""
  pale = 255 - (255 - pixels) // 5
  return _coloured(np.where(mask[..., None], pixels, pale))


def beside(*pictures: Pixels, gap: int = 4) -> Pixels:
  """Pictures of one height in a row, white between them.

  Args:
    *pictures: uint8 `[h, w, 3]`, or `[h, w, 1]` in grey.
    gap: pixels between two.
  """
  height = pictures[0].shape[0]
  white = np.full((height, gap, 3), 255, np.uint8)
  parts = [white] * (2 * len(pictures) - 1)
  for i, picture in enumerate(pictures):
    parts[2 * i] = _coloured(picture)
  return np.concatenate(parts, axis=1)


def _coloured(pixels: Pixels) -> Pixels:
  return np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()
