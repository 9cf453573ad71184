"""A map of numbers laid over the picture that it is about."""

import numpy as np
from jaxtyping import Float
from PIL import Image

from jdeepvis.types import AnyArray, Pixels

_FOR, _AGAINST = (220, 30, 30), (30, 90, 220)
_INK = 0.75  # how much of a picture the strongest colour covers


def overlay(pixels: Pixels, values: Float[AnyArray, "rows columns"]) -> Pixels:
  """The picture in grey, red where values are high and blue where below 0.

  The largest size of all values gets the full colour; what is no number gets
  none.

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
    parts[2 * i] = np.broadcast_to(picture, (*picture.shape[:2], 3))
  return np.concatenate(parts, axis=1)
