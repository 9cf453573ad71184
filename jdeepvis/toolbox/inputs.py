"""From a frame's or an upload's bytes to an image, within strict limits."""

import io
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from jdeepvis.networks import pictures
from jdeepvis.networks.input_spec import WARP, InputSpec
from jdeepvis.types import JdeepvisError, Pixels

MAX_BYTES = 16 * 2**20
"""Of one message, and so of an upload."""

_MAX_PIXELS = 32_000_000
_FORMATS = ("JPEG", "PNG", "WEBP")


def decode(data: bytes) -> Pixels:
  """The picture in an upload: uint8 RGB `[h, w, 3]`, upright.

  Its size is read from its head, so that a small file that would unpack to a
  huge picture is refused before it does.

  Args:
    data: a JPEG, PNG or WebP file.

  Raises:
    JdeepvisError: it is none of these, is damaged or too large.
  """
  if len(data) > MAX_BYTES:
    raise JdeepvisError(
      f"An image may have {MAX_BYTES} bytes; this one has {len(data)}."
    )
  return _decode(io.BytesIO(data), "This")


def read_file(path: Path) -> Pixels:
  """The picture in one of the server's own files, as `decode` reads it.

  Raises:
    JdeepvisError: it is no picture, is damaged or too large.
  """
  try:
    with open(path, "rb") as file:
      return _decode(file, repr(path.name))
  except OSError as error:
    raise JdeepvisError(f"{path.name!r}: {error.strerror}.") from error


def _decode(file: io.BufferedIOBase, name: str) -> Pixels:
  try:
    with PILImage.open(file, formats=_FORMATS) as picture:
      if picture.width * picture.height <= _MAX_PIXELS:
        return pictures.upright(picture)
  except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning):
    pass  # Pillow's own limit is a larger one
  except Exception as error:  # a damaged file can raise anything
    raise JdeepvisError(
      f"{name} is no JPEG, PNG or WebP image that can be read."
    ) from error
  raise JdeepvisError(f"{name} has more than {_MAX_PIXELS} pixels.")


def prepare(pixels: Pixels, spec: InputSpec, fit: str) -> Pixels:
  """A picture of the network's size.

  Args:
    pixels: uint8 `[h, w, c]`.
    spec: the network's `input`.
    fit: `square` takes the middle, `stretch` squeezes all of it in, `caffe`
      warps to a larger square and takes its middle.
  """
  if fit == "stretch":
    return pictures.fit(pixels, spec.replace(resize=None, rule=WARP))
  return pictures.fit(pixels, spec, mode=fit)


def stretch_contrast(pixels: Pixels) -> Pixels:
  """From the darkest to the brightest as 0..255, the original's webcam."""
  low, high = int(pixels.min()), int(pixels.max())
  if high == low or (low, high) == (0, 255):
    return pixels
  table = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255)
  return np.take(np.uint8(np.round(table)), pixels)
