"""Between pictures as in files and images as networks take them."""

import math

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from jdeepvis.networks.input_spec import WARP, InputSpec
from jdeepvis.networks.regions import Rectangle
from jdeepvis.types import JdeepvisError, Pixels

_MODES = ("caffe", "square")


def preprocess(
  pixels: Pixels, spec: InputSpec, *, mode: str = "caffe"
) -> np.ndarray:
  """A picture as the network wants it: `fit`, then `centre`.

  >>> import numpy as np, jdeepvis
  >>> spec = jdeepvis.load_network("squeezenet1.1").input
  >>> photo = np.full((300, 400, 3), 128, np.uint8)
  >>> jdeepvis.preprocess(photo, spec).shape
  (227, 227, 3)

  Args:
    pixels: uint8 `[h, w, c]`, RGB (or grey with c = 1), 0..255.
    spec: the network's `input`.
    mode: see `fit`.

  Returns:
    float32 `[h, w, c]` of `spec.shape`, centred, 0..255 scale.

  Raises:
    JdeepvisError: the mode is unknown or the array is no picture.
  """
  return centre(fit(pixels, spec, mode=mode), spec)


def fit(pixels: Pixels, spec: InputSpec, *, mode: str = "caffe") -> Pixels:
  """A picture of the network's size and channels.

  Args:
    pixels: uint8 `[h, w, c]`, RGB (or grey with c = 1), 0..255.
    spec: the network's `input`.
    mode: `caffe` is what the network was trained with: `spec.rule` and
      `spec.interpolation` to `spec.resize` and the centre crop; Caffe's
      classifiers warp. `square` takes the centre square and resizes it
      straight to the input, as the original toolbox did with webcam frames.

  Returns:
    uint8 `[h, w, c]` of `spec.shape`.

  Raises:
    JdeepvisError: the mode is unknown or the array is no picture.
  """
  if mode not in _MODES:
    raise JdeepvisError(
      f"There is no preprocessing mode {mode!r}; use {' or '.join(_MODES)}."
    )
  height, width, channels = spec.shape
  pixels = _with_channels(np.asarray(pixels), channels)
  if mode == "square":
    pixels = _centre_crop(pixels, (min(pixels.shape[:2]),) * 2)
    return resize(pixels, (height, width), spec.interpolation)
  pixels = resize(pixels, _resized(pixels.shape, spec), spec.interpolation)
  return _centre_crop(pixels, (height, width))


def centre(pixels: Pixels, spec: InputSpec) -> np.ndarray:
  """A picture of the network's size less its mean, float32 `[h, w, c]`."""
  height, width, channels = spec.shape
  mean = np.float32(spec.mean)
  # A row at a time: NumPy is slow where it walks three channels at a time.
  mean = mean + np.zeros((width, channels), np.float32)
  rows = pixels.reshape(height, -1) - mean.reshape(-1, width * channels)
  return rows.reshape(spec.shape)


def in_picture(
  box: Rectangle, size: tuple[int, int], spec: InputSpec
) -> Rectangle:
  """Where a rectangle of a preprocessed image lies in the picture itself.

  Args:
    box: in what `preprocess` made of it, in mode `caffe`; pixels.
    size: the picture's height and width, pixels.
    spec: the network's `input`.
  """
  sides = _resized(size, spec)
  first, last = [], []
  for i, (side, have) in enumerate(zip(sides, size, strict=True)):
    border = (side - spec.shape[i]) // 2
    first.append(math.floor((box[i] + border) * have / side))
    last.append(math.ceil((box[i + 2] + border) * have / side))
  return Rectangle(*first, *last)


def to_pixels(image: np.ndarray, spec: InputSpec) -> Pixels:
  """A centred image as it is written to a file: uint8, mean added back.

  >>> import numpy as np, jdeepvis
  >>> spec = jdeepvis.load_network("squeezenet1.1").input
  >>> jdeepvis.to_pixels(np.zeros(spec.shape), spec)[0, 0].tolist()
  [123, 117, 104]

  Args:
    image: centred, `[h, w, c]`, grey levels; NaN turns black.
    spec: of the network that it is for.

  Returns:
    uint8 `[h, w, c]`, 0..255.
  """
  pixels = np.asarray(image, np.float32) + np.float32(spec.mean)
  pixels = np.nan_to_num(np.clip(pixels, 0, 255))
  return np.round(pixels).astype(np.uint8)


def resize(
  pixels: Pixels, size: tuple[int, int], interpolation: str = "bilinear"
) -> Pixels:
  """To height and width; uint8 `[h, w, c]` both ways."""
  height, width = size
  if pixels.shape[:2] == (height, width):
    return pixels
  if pixels.shape[-1] == 3:
    return np.asarray(_resize(pixels, (width, height), interpolation))
  planes = [
    _resize(pixels[..., channel], (width, height), interpolation)
    for channel in range(pixels.shape[-1])
  ]
  return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def read_picture(path) -> Pixels:
  """A file's picture, uint8 RGB `[h, w, 3]`, upright.

  >>> import jdeepvis
  >>> from jdeepvis.networks.zoo import third_party
  >>> jdeepvis.read_picture(third_party() / "photos" / "chelsea.jpg").dtype
  dtype('uint8')

  Args:
    path: the image's file.

  Returns:
    uint8 RGB `[h, w, 3]`, 0..255, upright.

  Raises:
    JdeepvisError: the file is missing or holds no picture that can be read.
  """
  try:
    with PILImage.open(path) as file:
      return upright(file)
  except FileNotFoundError:
    raise JdeepvisError(f"There is no image file {str(path)!r}.") from None
  except (OSError, ValueError, PILImage.DecompressionBombError) as error:
    raise JdeepvisError(
      f"The file {str(path)!r} is no readable image: {error}."
    ) from error


def upright(picture: PILImage.Image) -> Pixels:
  """An opened file's picture, uint8 RGB `[h, w, 3]`.

  Raises:
    OSError: it is damaged.
    ValueError: its pixels have 32 bits.
  """
  return np.asarray(_to_rgb(ImageOps.exif_transpose(picture)))


def _resized(size: tuple[int, ...], spec: InputSpec) -> tuple[int, int]:
  """A picture's height and width before the centre crop."""
  sides = (spec.resize, spec.resize) if spec.resize else spec.shape[:2]
  if spec.rule == WARP:
    return sides
  # As torchvision has it: the longer side is rounded down.
  height, width = size[:2]
  if sides[0] * width >= sides[1] * height:
    return sides[0], max(sides[0] * width // height, sides[1])
  return max(sides[1] * height // width, sides[0]), sides[1]


def _resize(
  pixels: np.ndarray, size: tuple[int, int], interpolation: str
) -> PILImage.Image:
  how = PILImage.Resampling[interpolation.upper()]
  return PILImage.fromarray(pixels).resize(size, how)


def _to_rgb(image: PILImage.Image) -> PILImage.Image:
  # Pillow cuts deep greys off at 255 where it should scale them.
  if image.mode.startswith("I;16"):
    grey = np.round(np.asarray(image) / 257).astype(np.uint8)
    image = PILImage.fromarray(grey)
  elif image.mode in ("I", "F"):
    raise ValueError("its pixels have 32 bits; save it with 8 or 16")
  if image.has_transparency_data:
    image = image.convert("RGBA")
  return image.convert("RGB")


def _with_channels(pixels: np.ndarray, channels: int) -> Pixels:
  if pixels.ndim == 2:
    pixels = pixels[..., None]
  if pixels.ndim != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
    raise JdeepvisError(
      "A picture is a uint8 array [height, width, channels]; this one is "
      f"{pixels.dtype} {list(pixels.shape)}."
    )
  found = pixels.shape[-1]
  if found == 3 and channels == 1:
    return np.asarray(PILImage.fromarray(pixels).convert("L"))[..., None]
  if found == 1:
    return np.repeat(pixels, channels, axis=-1)
  if found != channels:
    raise JdeepvisError(
      f"The network's input has {channels} channels, the picture {found}."
    )
  return pixels


def _centre_crop(pixels: Pixels, size: tuple[int, int]) -> Pixels:
  top, left = (
    (have - want) // 2
    for have, want in zip(pixels.shape[:2], size, strict=True)
  )
  return pixels[top : top + size[0], left : left + size[1]]
