"""Files of torch.save made by hand, to be refused."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from jdeepvis.networks.torch_files import read_tensors
from jdeepvis.types import JdeepvisError

VALUES = np.arange(12, dtype=np.float32).tobytes()


def refused(path, content=None):
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(JdeepvisError) as raised:
    read_tensors(path)
  sentence = str(raised.value)
  assert str(path) in sentence and sentence.endswith(".")
  assert "\n" not in sentence
  return sentence


def zipped(pickled, **records):
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("x/data.pkl", pickled)
    for name, data in records.items():
      archive.writestr(f"x/data/{name.removeprefix('_')}", data)
  return buffer.getvalue()


def streamed(pickled, keys=(), tail=b""):
  head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
  parts = [pickle.dumps(part, 2) for part in head]
  return b"".join([*parts, pickled, pickle.dumps(list(keys), 2), tail])


def number(value):
  return pickle.dumps(value, 2)[2:-1]


def table(count, offset, shape, strides, kind=b"FloatStorage"):
  """A pickle with one tensor `a`, on storage `0`."""
  storage = b"(%sctorch\n%s\n%s%s%stQ" % (
    number("storage"),
    kind,
    number("0"),
    number("cpu"),
    number(count),
  )
  where = number(offset) + number(shape) + number(strides)
  rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(%s%s\x89}tR" % (
    storage,
    where,
  )
  return b"\x80\x02}%s%ss." % (number("a"), rebuilt)


def both(*what, **more):
  """The same table in both forms."""
  pickled = table(*what, **more)
  length = struct.pack("<q", len(VALUES) // 4)
  return (
    zipped(pickled, _0=VALUES),
    streamed(pickled, ["0"], length + VALUES),
  )
