"""Weights that `torch.save` wrote, read without torch.

Since torch 1.6 they are a zip of raw storages and of a pickle that says which
part of which storage each tensor is; before, one file with the pickle in front
and the storages behind it.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jdeepvis.networks.torch_pickle import (
  ALONE,
  RefusedError,
  Storage,
  Tensor,
  unpickle,
)
from jdeepvis.types import JdeepvisError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def read_tensors(path: Path | str) -> dict[str, np.ndarray]:
  """The named tensors that `torch.save(model.state_dict(), path)` wrote.

  Args:
    path: the file, of either form; usually .pth or .pt.

  Returns:
    Each tensor by its name, read-only, in the type it was saved in (bfloat16
    is that of ml_dtypes). Tensors that share a storage in the file share it
    here.

  Raises:
    JdeepvisError: the file is missing, damaged, or holds anything else than
      named tensors.
  """
  try:
    with open(path, "rb") as file:
      is_zip = file.read(4) == b"PK\x03\x04"
      tensors, storages = (_read_zip if is_zip else _read_stream)(file)
    return {
      name: _look(tensor, storages[tensor.storage.key])
      for name, tensor in _named(tensors).items()
    }
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except RefusedError as error:
    raise JdeepvisError(f"{str(path)!r} {error}.") from None
  except Exception as error:  # a damaged file can raise anything
    raise JdeepvisError(
      f"{str(path)!r} is damaged, or torch.save did not write it: "
      f"{repr(error)[:200]}."
    ) from error


def how_to_export(path: Path | str) -> str:
  """What to do with a model that PyTorch saved, in two lines; "" for others.

  A whole module is a pickle of Python's classes, and TorchScript a program:
  neither is read here.
  """
  path = Path(path)
  try:
    with open(path, "rb") as file:
      start = file.read(2)
      names = zipfile.ZipFile(file).namelist() if start == b"PK" else []
  except (OSError, ValueError, zipfile.BadZipFile):
    return ""
  inner = {name.partition("/")[2] for name in names}
  # Older files of torch.save are a stream of pickles of the second protocol.
  if "data.pkl" not in inner and start != b"\x80\x02":
    return ""
  load = f"torch.load({path.name!r}, weights_only=False)"
  if "constants.pkl" in inner:
    load = f"torch.jit.load({path.name!r})"
  out = path.with_suffix(".onnx").name
  return (
    f"{str(path)!r} was saved by PyTorch; if it is a whole model, export it "
    f"there in two lines, model = {load}.eval() and torch.onnx.export(model, "
    f"torch.randn(1, 3, 224, 224), {out!r}), and load {out!r}; weights alone "
    "need a model of that code first, or, of a network known here by name, "
    "python -m experiments.convert_weights."
  )


def _read_zip(file) -> tuple[Any, Mapping[str, np.ndarray]]:
  with zipfile.ZipFile(file) as archive:
    entries = {
      info.filename.partition("/")[2]: info for info in archive.infolist()
    }
    if "constants.pkl" in entries:
      raise RefusedError(
        "is a TorchScript archive, a program; save its weights alone: "
        "torch.save(torch.jit.load(file).state_dict(), 'weights.pth')"
      )
    _check_sizes(entries.values(), file.seek(0, io.SEEK_END))
    tensors, expected = unpickle(io.BytesIO(archive.read(entries["data.pkl"])))
    storages = {
      key: _values(storage, archive.read(entries[f"data/{key}"]))
      for key, storage in expected.items()
    }
    if "byteorder" in entries and archive.read(entries["byteorder"]) == b"big":
      storages = {key: values.byteswap() for key, values in storages.items()}
    return tensors, storages


def _check_sizes(entries, size: int) -> None:
  """Refuses a zip that would unfold; torch neither packs nor overlaps."""
  packed = any(info.compress_type != zipfile.ZIP_STORED for info in entries)
  if packed or sum(info.file_size for info in entries) > size:
    raise ValueError("its entries are larger than the file")


def _read_stream(file) -> tuple[Any, Mapping[str, np.ndarray]]:
  file.seek(0)
  whole = file.read()
  if whole[257:262] == b"ustar":
    raise RefusedError(
      "is a tar, as torch's first versions wrote; load it with torch and "
      f"{ALONE}"
    )
  stream = io.BytesIO(whole)
  if unpickle(stream).value != _MAGIC:
    raise ValueError("its first number is another")
  if unpickle(stream).value != _PROTOCOL:
    raise ValueError("its protocol is another")
  unpickle(stream)  # the machine that wrote it; storages are little-endian
  tensors, expected = unpickle(stream)
  storages = {}
  for key in unpickle(stream).value:
    count = int.from_bytes(stream.read(8), "little")
    if not isinstance(key, str) or count != expected[key].count:
      raise ValueError("a storage has two sizes")
    start = stream.tell()
    end = start + count * expected[key].dtype.itemsize
    storages[key] = _values(expected[key], memoryview(whole)[start:end])
    stream.seek(end)
  return tensors, storages


def _values(storage: Storage, raw: bytes | memoryview) -> np.ndarray:
  if len(raw) != storage.count * storage.dtype.itemsize:
    raise ValueError(f"storage {storage.key!r} is cut short")
  return np.frombuffer(raw, storage.dtype)


def _named(tensors: Any) -> Mapping[str, Tensor]:
  if not isinstance(tensors, dict):
    raise RefusedError(f"holds no table of named tensors; {ALONE}")
  for name, tensor in tensors.items():
    if not isinstance(tensor, Tensor):
      raise RefusedError(f"holds {name[:80]!r}, which is no tensor; {ALONE}")
    if tensor.storage is None:
      raise ValueError(f"{name!r} has no values")
  return tensors


def _look(tensor: Tensor, values: np.ndarray) -> np.ndarray:
  strides = tuple(step * values.itemsize for step in tensor.strides)
  return np.lib.stride_tricks.as_strided(
    values[tensor.offset :], tensor.shape, strides, writeable=False
  )
