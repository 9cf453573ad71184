"""Files of torch.save, read without torch."""

import contextlib
import io
import os
import pickle
import random
import struct
import tarfile
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from networks import write_torch_files as written

from jdeepvis.networks.torch_files import read_tensors
from jdeepvis.types import JdeepvisError

_DTYPES = {"brain": "bfloat16", "half": "float16", "count": "int64"}
_ALONE = "save the weights alone: torch.save"


def _refused(path, content=None):
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(JdeepvisError) as raised:
    read_tensors(path)
  sentence = str(raised.value)
  assert str(path) in sentence and sentence.endswith(".")
  assert "\n" not in sentence
  return sentence


def _equal(found, expected):
  assert list(found) == list(expected)
  for name, value in expected.items():
    assert found[name].shape == value.shape, name
    assert found[name].dtype == _DTYPES.get(name, value.dtype), name
    np.testing.assert_array_equal(found[name].astype(value.dtype), value)


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_what_torch_writes(form):
  found = read_tensors(written.FOLDER / f"{form}.pth")
  _equal(found, written.expected())
  # One storage in the file is one here, and nobody's to change.
  assert np.shares_memory(found["whole"], found["turned"])
  assert np.shares_memory(found["whole"], found["row"])
  assert not any(value.flags.writeable for value in found.values())


def test_what_torch_wrote_in_2017():
  found = read_tensors(written.FOLDER / "2017.pth")
  expected = written.expected()
  names = ("whole", "turned", "row", "none", "learned")
  expected = {name: expected[name] for name in names}
  _equal(found, {**expected, "bias": np.arange(3, dtype=np.float32)})


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_what_torch_writes_here(new, protocol, tmp_path):
  torch = pytest.importorskip("torch")
  path = tmp_path / "x.pth"
  form = {
    "_use_new_zipfile_serialization": new,
    "pickle_protocol": protocol,
  }
  torch.save(written.tensors(torch), path, **form)
  _equal(read_tensors(path), written.expected())
  module = _module(torch)
  torch.save(module.state_dict(), path, **form)
  found = read_tensors(path)
  for name, value in module.state_dict().items():
    np.testing.assert_array_equal(found.pop(name), value.numpy())
  assert not found


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_writes_and_nobody_reads(new, tmp_path):
  torch = pytest.importorskip("torch")
  path, module = tmp_path / "x.pth", _module(torch)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch's own, of what it deprecates
    for value, told in (
      (module, "torch.nn.modules.container.Sequential"),
      ({"state_dict": module.state_dict(), "epoch": 3}, "'state_dict'"),
      ({"x": torch.zeros(3).to_sparse()}, "_rebuild_sparse_tensor"),
      ({"x": torch.zeros(1).expand(9)}, "more values than its storage"),
      (torch.zeros(3), "no table"),
    ):
      torch.save(value, path, _use_new_zipfile_serialization=new)
      assert told in _refused(path)
    torch.jit.save(torch.jit.script(module), path)
    assert "TorchScript" in _refused(path)


def _module(torch):
  return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def test_a_big_machine_wrote_it(tmp_path):
  """As on s390x: all values the other way round, and a record that says so."""
  path = tmp_path / "big.pth"
  types = {"0": "f4", "1": "f2", "2": "u2", "3": "f8", "4": "i8"}
  with (
    zipfile.ZipFile(written.FOLDER / "zip.pth") as source,
    zipfile.ZipFile(path, "w") as target,
  ):
    for name in source.namelist():
      data = source.read(name)
      if name.endswith("/byteorder"):
        data = b"big"
      elif "/data/" in name:
        kind = types.get(name.rpartition("/")[2], "f4")
        kind = "u1" if len(data) == 3 else kind
        data = np.frombuffer(data, kind).byteswap().tobytes()
      target.writestr(name, data)
  _equal(read_tensors(path), written.expected())


class _Evil:
  def __init__(self, function, *arguments):
    self.made = function, arguments

  def __reduce__(self):
    return self.made


def _zipped(pickled, **records):
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("x/data.pkl", pickled)
    for name, data in records.items():
      archive.writestr(f"x/data/{name.removeprefix('_')}", data)
  return buffer.getvalue()


def _streamed(pickled, keys=(), tail=b""):
  head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
  parts = [pickle.dumps(part, 2) for part in head]
  return b"".join([*parts, pickled, pickle.dumps(list(keys), 2), tail])


@pytest.mark.parametrize("wrap", [_zipped, _streamed])
def test_nothing_of_a_pickle_is_run(wrap, tmp_path):
  marker = tmp_path / "run"

  for evil, told in (
    (_Evil(os.mkdir, str(marker)), "mkdir"),
    (_Evil(eval, f"open({str(marker)!r}, 'w')"), "eval"),
    (_Evil(getattr, "a", "upper"), "getattr"),
    (np.float64(3), "numpy"),
  ):
    for protocol in (2, 4):
      sentence = _refused(
        tmp_path / "evil.pth", wrap(pickle.dumps({"a": evil}, protocol))
      )
      assert told in sentence and _ALONE in sentence
  assert not marker.exists()


@pytest.mark.parametrize("wrap", [_zipped, _streamed])
def test_what_is_no_table_of_tensors(wrap, tmp_path):
  for value, told in (
    ({"epoch": 3}, "'epoch', which is no tensor"),
    ([1, 2], "no table of named tensors"),
    (None, "no table of named tensors"),
    ({3: 4}, "a key is a int"),
  ):
    path = tmp_path / "x.pth"
    assert told in _refused(path, wrap(pickle.dumps(value, 2)))


def test_other_files(tmp_path):
  path = tmp_path / "x.pth"
  assert "no weight file" in _refused(path)
  assert "damaged" in _refused(path, b"")
  assert "damaged" in _refused(path, b"<html>log in</html>")
  assert "damaged" in _refused(path, pickle.dumps({"a": 1}))
  assert "damaged" in _refused(tmp_path)
  with tarfile.open(path, "w") as archive:
    archive.add(written.FOLDER / "zip.pth", "storages")
  sentence = _refused(path)
  assert "is a tar" in sentence and _ALONE in sentence
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("x/constants.pkl", b"")
  assert "TorchScript" in _refused(path)


def _number(value):
  return pickle.dumps(value, 2)[2:-1]


def _table(count, offset, shape, strides, kind=b"FloatStorage"):
  """A pickle with one tensor `a`, on storage `0`."""
  storage = b"(%sctorch\n%s\n%s%s%stQ" % (
    _number("storage"),
    kind,
    _number("0"),
    _number("cpu"),
    _number(count),
  )
  where = _number(offset) + _number(shape) + _number(strides)
  rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(%s%s\x89}tR" % (
    storage,
    where,
  )
  return b"\x80\x02}%s%ss." % (_number("a"), rebuilt)


_VALUES = np.arange(12, dtype=np.float32).tobytes()


def _both(*what, **more):
  table = _table(*what, **more)
  length = struct.pack("<q", len(_VALUES) // 4)
  return (
    _zipped(table, _0=_VALUES),
    _streamed(table, ["0"], length + _VALUES),
  )


def test_the_made_up_table_is_one(tmp_path):
  for content in _both(12, 1, (2, 3), (6, 2)):
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
  for content in _both(*what):
    _refused(tmp_path / "x.pth", content)


def test_a_storage_of_another_type_or_none(tmp_path):
  path = tmp_path / "x.pth"
  for content in _both(12, 0, (2,), (1,), kind=b"DoubleStorage"):
    _refused(path, content)
  for content in _both(12, 0, (2,), (1,), kind=b"QInt8Storage"):
    assert "torch.QInt8Storage" in _refused(path, content)
  table = _table(12, 0, (2,), (1,))
  for content in (
    _zipped(table),
    _zipped(table, _1=_VALUES),
    _streamed(table, []),
    _streamed(table, ["0"]),
    _streamed(table, ["1"], struct.pack("<q", 12) + _VALUES),
    _streamed(table, ["0"], struct.pack("<q", 2**60) + _VALUES),
    _streamed(table, [("0",)], struct.pack("<q", 12) + _VALUES),
  ):
    _refused(path, content)


def _deep(depth):
  """A tuple of a tuple of ..., each twice: the hash of it takes for ever."""
  return b")" + b"q\x00h\x00\x86" * depth


def test_small_files_stay_small(tmp_path):
  """What a hostile file asks for is neither given room nor waited for."""
  packed = io.BytesIO()
  with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("x/data.pkl", _table(2**24, 0, (1,), (1,)))
    archive.writestr("x/data/0", bytes(2**26))
  tracemalloc.start()
  try:
    for content in (
      packed.getvalue(),
      _zipped(b"\x80\x02}r\xff\xff\xff\xff."),
      _zipped(b"\x80\x02T\xff\xff\xff\x7f."),
      _zipped(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f."),
      _zipped(b"\x80\x02}" + _deep(200) + b"Ns."),
      _zipped(b"\x80\x04" + _deep(200) + _deep(200) + b"\x93."),
      _zipped(b"\x80\x02ccollections\nOrderedDict\n(" + _deep(200) + b"tR."),
      _streamed(b"\x80\x02}.")[:-3] + _deep(200) + b"\x85.",
      _streamed(b"\x80\x02" + _deep(200) + b"."),
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
  sentence = _refused(tmp_path / "x.pth", outer.getvalue())
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
