"""Files of torch.save that mean harm, or came to it."""

import contextlib
import io
import pickle
import random
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from networks import torch_files_by_hand as by_hand
from networks import write_torch_files as written

from jdeepvis.networks.torch_files import read_tensors
from jdeepvis.types import JdeepvisError


def test_the_made_up_table_is_one(tmp_path):
  for content in by_hand.both(12, 1, (2, 3), (6, 2)):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    np.testing.assert_array_equal(
      read_tensors(path)["a"], [[1, 3, 5], [7, 9, 11]]
    )


@pytest.mark.parametrize(
  "what",
  [
    (12, 0, (13,), (1,)),
    (12, 1, (12,), (1,)),
    (12, 0, (3, 4), (5, 1)),
    (12, 12, (), ()),
    (12, -1, (2,), (1,)),
    (12, 3, (2,), (-1,)),
    (12, 0, (-2,), (1,)),
    (12, 0, (2, 3), (1,)),
    (12, 0, (2,), (2**62,)),
    (12, 2**70, (1,), (1,)),
    (12, 0, (2**40,), (0,)),
    (12, 0, (2**40, 2**40), (0, 0)),
    (12, 0, (1,) * 65, (1,) * 65),
    (12, 0, (2.0,), (1,)),
    (12, 0, ("2",), (1,)),
    (12, 0, (10**5000,), (1,)),
    (13, 0, (12,), (1,)),
    (11, 0, (1,), (1,)),
    (2**62, 0, (2**61,), (1,)),
    (-12, 0, (1,), (1,)),
  ],
)
def test_nobody_reads_outside_a_storage(what, tmp_path):
  for content in by_hand.both(*what):
    by_hand.refused(tmp_path / "x.pth", content)


def test_a_storage_of_another_type_or_none(tmp_path):
  path = tmp_path / "x.pth"
  for content in by_hand.both(12, 0, (2,), (1,), kind=b"DoubleStorage"):
    by_hand.refused(path, content)
  for content in by_hand.both(12, 0, (2,), (1,), kind=b"QInt8Storage"):
    assert "torch.QInt8Storage" in by_hand.refused(path, content)
  table = by_hand.table(12, 0, (2,), (1,))
  for content in (
    by_hand.zipped(table),
    by_hand.zipped(table, _1=by_hand.VALUES),
    by_hand.streamed(table, []),
    by_hand.streamed(table, ["0"]),
    by_hand.streamed(table, ["1"], struct.pack("<q", 12) + by_hand.VALUES),
    by_hand.streamed(table, ["0"], struct.pack("<q", 2**60) + by_hand.VALUES),
    by_hand.streamed(table, [("0",)], struct.pack("<q", 12) + by_hand.VALUES),
  ):
    by_hand.refused(path, content)


def _deep(depth):
  """A tuple of a tuple of ..., each twice: the hash of it takes for ever."""
  return b")" + b"q\x00h\x00\x86" * depth


def test_small_files_stay_small(tmp_path):
  """What a hostile file asks for is neither given room nor waited for."""
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("x/data.pkl", by_hand.table(2**24, 0, (1,), (1,)))
    archive.writestr("x/data/0", bytes(2**26))
  tracemalloc.start()
  try:
    for content in (
      packed.getvalue(),
      by_hand.zipped(b"\x80\x02}r\xff\xff\xff\xff."),
      by_hand.zipped(b"\x80\x02T\xff\xff\xff\x7f."),
      by_hand.zipped(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f."),
      by_hand.zipped(b"\x80\x02}" + _deep(200) + b"Ns."),
      by_hand.zipped(b"\x80\x04" + _deep(200) + _deep(200) + b"\x93."),
      by_hand.zipped(
        b"\x80\x02ccollections\nOrderedDict\n(" + _deep(200) + b"tR."
      ),
      by_hand.streamed(b"\x80\x02}.")[:-3] + _deep(200) + b"\x85.",
      by_hand.streamed(b"\x80\x02" + _deep(200) + b"."),
      b"\x80\x02" + _deep(200) + b".",
    ):
      path = tmp_path / "x.pth"
      path.write_bytes(content)
      with contextlib.suppress(JdeepvisError):
        assert read_tensors(path) == {}
    assert tracemalloc.get_traced_memory()[1] < 2**22
  finally:
    tracemalloc.stop()


def test_entries_within_entries(tmp_path):
  """What lies twice in one place would fill more memory than the file."""
  inner, outer = io.BytesIO(), io.BytesIO()
  with zipfile.ZipFile(inner, "w") as archive:
    archive.writestr("x/data/1", bytes(1000))
    start = archive.start_dir
  with zipfile.ZipFile(outer, "w") as archive:
    archive.writestr("x/data.pkl", pickle.dumps({}, 2))
    archive.writestr("x/data/0", inner.getvalue()[:start])
    (second,) = zipfile.ZipFile(inner).infolist()
    second.header_offset = archive.start_dir - start
    archive.filelist.append(second)
  with zipfile.ZipFile(outer) as archive:
    assert archive.read("x/data/1") == bytes(1000)
  sentence = by_hand.refused(tmp_path / "x.pth", outer.getvalue())
  assert "larger than the file" in sentence


@pytest.mark.parametrize("name", ["zip", "stream", "2017"])
def test_damaged_files_load_or_are_refused(name, tmp_path):
  content = (written.FOLDER / f"{name}.pth").read_bytes()
  source, path = random.Random(0), tmp_path / "x.pth"
  refused = 0
  for _ in range(300):
    damaged = bytearray(content)
    for _ in range(source.choice((1, 1, 3))):
      damaged[source.randrange(len(damaged))] = source.randrange(256)
    if source.random() < 0.2:
      del damaged[source.randrange(len(damaged)) :]
    path.write_bytes(damaged)
    try:
      for value in read_tensors(path).values():
        value.sum()
    except JdeepvisError as error:
      refused += 1
      assert str(error).endswith(".") and str(path) in str(error)
  assert refused > 100
