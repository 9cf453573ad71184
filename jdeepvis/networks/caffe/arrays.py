"""Caffe's arrays as they are: a net's weights, the images' mean."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from jdeepvis.networks.caffe import schema, text
from jdeepvis.types import JdeepvisError

_MAX_AXES = 32
# How NVIDIA's fork, and OpenCV's shrinkCaffeModel, keep numbers.
_RAW = {0: "<f8", 1: "<f4", 2: "<f2"}
_OTHERS = (
  (
    b"\x89HDF\r\n\x1a\n",
    "an HDF5 file; load it in Caffe and save it again, "
    "net.save('net.caffemodel')",
  ),
  (
    b"version https://git-lfs",
    "a Git LFS pointer, which stands for it; fetch it with git lfs pull",
  ),
  (
    b"PK\x03\x04",
    "a zip archive; unpack it, or, if PyTorch saved it, convert the model to "
    "Caffe or JAX first",
  ),
  (b"\x1f\x8b", "compressed by gzip; unpack it with gunzip or tar"),
  (b"BZh", "compressed by bzip2; unpack it with bunzip2 or tar"),
  (b"\xfd7zXZ", "compressed by xz; unpack it with unxz or tar"),
  (
    b"\x80\x02",
    "a pickle of Python, as PyTorch saved it; convert the model to Caffe or "
    "JAX first",
  ),
  (b"\x93NUMPY", "an .npy file of NumPy"),
  (b"Rar!", "a rar archive; unpack it and give the file in it"),
  (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the file in it"),
)


def read_blobs(path: Path | str) -> dict[str, list[np.ndarray]]:
  """Reads a .caffemodel in the new or the old wire form.

  Returns:
    For each layer that has weights its arrays, float32, with the axes and the
    channel order of the file.

  Raises:
    JdeepvisError: the file is missing, damaged, or holds no weights.
  """
  net = schema.weights_class("NetParameter")()
  _decode(net, path, "a .caffemodel")
  blobs: dict[str, list[np.ndarray]] = {}
  # The oldest form has a layer's name and arrays within another message.
  oldest = [x.layer for x in net.layers if x.HasField("layer")]
  try:
    for layer in (*oldest, *net.layers, *net.layer):
      if layer.blobs and layer.name not in blobs:
        blobs[layer.name] = [
          _array(blob, f"{path}: layer {layer.name!r}") for blob in layer.blobs
        ]
  except UnicodeDecodeError as error:
    raise JdeepvisError(
      f"{str(path)!r} is no .caffemodel: a layer's name is no text."
    ) from error
  if not blobs:
    raise JdeepvisError(
      f"{str(path)!r} holds no weights; give the .caffemodel of a trained net."
    )
  return blobs


def read_mean(
  source: Path | str | Sequence[float | int] | np.ndarray,
  channels: int = 3,
  *,
  bgr: bool = True,
) -> np.ndarray:
  """The mean that a net's images are centred by.

  Args:
    source: a .binaryproto or .npy file, or one number for each channel (also
      as text, `104,117,123`).
    channels: how many the images have.
    bgr: three channels come as blue, green, red, Caffe's order.

  Returns:
    float32 `[c]` or `[h, w, c]`, RGB where there are three channels.

  Raises:
    JdeepvisError: the file is missing or damaged, or the shape is no mean's.
  """
  name = repr(str(source)) if isinstance(source, str | Path) else "The mean"
  if isinstance(source, str | Path):
    mean = _mean_from_text(str(source))
  else:
    mean = np.asarray(source, np.float32)
  if mean.ndim == 4 and mean.shape[0] == 1:
    mean = mean[0]
  if mean.ndim not in (1, 3) or mean.shape[0] != channels or 0 in mean.shape:
    raise JdeepvisError(
      f"{name} has shape {list(mean.shape)}; a mean is [{channels}] or "
      f"[{channels}, height, width]."
    )
  if not np.isfinite(mean).all():
    raise JdeepvisError(f"{name} holds values that are no finite numbers.")
  mean = np.moveaxis(mean, 0, -1)
  mean = mean[..., ::-1] if bgr and channels == 3 else mean
  return np.ascontiguousarray(mean, np.float32)


def read_bytes(path: Path | str, what: str) -> bytes:
  """A file's bytes; `what` it should be is for the message.

  Raises:
    JdeepvisError: the file is missing, cannot be read, or is something else
      that people often have in its place.
  """
  path = Path(path).expanduser()
  try:
    data = path.read_bytes()
  except FileNotFoundError:
    raise JdeepvisError(f"There is no {what} {str(path)!r}.") from None
  except IsADirectoryError:
    raise JdeepvisError(
      f"{str(path)!r} is a folder; give the {what} in it."
    ) from None
  except (OSError, ValueError) as error:
    raise JdeepvisError(
      f"The {what} {str(path)!r} cannot be read: {brief(error)}."
    ) from error
  if not data:
    raise JdeepvisError(f"The {what} {str(path)!r} is empty; fetch it again.")
  if found := _what_else(data):
    raise JdeepvisError(f"{str(path)!r} is no {what} but {found}.")
  return data


def brief(error) -> str:
  """An error's first line, short, without its full stop."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200].rstrip(".")


def _what_else(data: bytes) -> str:
  """What a file is by its first bytes, and what to do, or ""."""
  for start, what in _OTHERS:
    if data.startswith(start):
      return what
  head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
  # Neither a description nor protobuf's wire form begins so.
  if head.startswith(b"<"):
    return (
      "a web page, as one gets where a download needs a click; download the "
      "file itself, from its page's raw or download link"
    )
  if data[257:262] == b"ustar":
    return "a tar archive; unpack it and give the file in it"
  return ""


def _mean_from_text(source: str) -> np.ndarray:
  source = os.path.expanduser(source)
  if source.endswith(".npy"):
    try:
      # Mapped: a header that promises more than the file has fails at once.
      mean = np.load(source, mmap_mode="r", allow_pickle=False)
      if mean.dtype.kind not in "fiu":
        raise ValueError(f"its numbers are {mean.dtype}")
      with np.errstate(all="ignore"):
        return np.asarray(mean, np.float32)
    except FileNotFoundError:
      raise JdeepvisError(f"There is no mean file {source!r}.") from None
    except Exception as error:  # a damaged header can raise anything
      raise JdeepvisError(
        f"{source!r} is no .npy file of numbers: {brief(error)}."
      ) from error
  if source.endswith(".binaryproto"):
    blob = schema.weights_class("BlobProto")()
    _decode(blob, source, "a .binaryproto")
    return _array(blob, source)
  try:
    return np.array([float(part) for part in source.split(",")], np.float32)
  except ValueError:
    raise JdeepvisError(
      f"The mean {source!r} is no .binaryproto, .npy or list of numbers."
    ) from None


def _decode(message, path: Path | str, what: str) -> None:
  data = read_bytes(path, what.removeprefix("a "))
  try:
    message.ParseFromString(data)
  except DecodeError as error:
    if text.is_net(data):
      raise JdeepvisError(
        f"{str(path)!r} is no {what.removeprefix('a ')} but the text of a "
        "net's description; give the file with its weights."
      ) from error
    raise JdeepvisError(
      f"{str(path)!r}, of {len(data)} bytes, is damaged or not {what}; fetch "
      "it again."
    ) from error


def _array(blob, where: str) -> np.ndarray:
  if blob.HasField("raw_data"):
    if blob.raw_data_type not in _RAW:
      raise JdeepvisError(
        f"{where} has numbers of the unknown kind {blob.raw_data_type}; save "
        "the net again with store_blobs_in_old_format: true."
      )
    data, item = blob.raw_data, np.dtype(_RAW[blob.raw_data_type])
  else:
    double = not blob.data and bool(blob.double_data)
    chunks = blob.double_data if double else blob.data
    data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    item = np.dtype("<f8" if double else "<f4")
  if blob.HasField("shape"):
    shape = tuple(blob.shape.dim)
  else:
    shape = (blob.num, blob.channels, blob.height, blob.width)
    # A single shared number has no axes, and so no shape in the file.
    shape = shape if any(shape) else (len(data) // item.itemsize,)
  size = 1
  for extent in shape:
    size *= extent
  if len(data) != size * item.itemsize or len(shape) > _MAX_AXES:
    raise JdeepvisError(
      f"{where} has {len(data) // item.itemsize} values for the shape "
      f"{brief(list(shape))}; the file is damaged, so fetch it again."
    )
  if any(extent < 1 for extent in shape):
    raise JdeepvisError(f"{where} has the impossible shape {list(shape)}.")
  with np.errstate(all="ignore"):
    values = np.frombuffer(data, item).astype(np.float32, copy=False)
  return values.reshape(shape)
