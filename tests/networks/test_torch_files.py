"""Files of torch.save, read without torch."""

import os
import pickle
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
from networks import torch_files_by_hand as by_hand
from networks import write_torch_files as written

from jdeepvis.networks.torch_files import read_tensors

_DTYPES = {"brain": "bfloat16", "half": "float16", "count": "int64"}
_ALONE = "save the weights alone: torch.save"


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
    for value, reported in (
      (module, "torch.nn.modules.container.Sequential"),
      ({"state_dict": module.state_dict(), "epoch": 3}, "'state_dict'"),
      ({"x": torch.zeros(3).to_sparse()}, "_rebuild_sparse_tensor"),
      ({"x": torch.zeros(1).expand(9)}, "more values than its storage"),
      (torch.zeros(3), "no table"),
    ):
      torch.save(value, path, _use_new_zipfile_serialization=new)
      assert reported in by_hand.refused(path)
    torch.jit.save(torch.jit.script(module), path)
    assert "TorchScript" in by_hand.refused(path)


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


@pytest.mark.parametrize("wrap", [by_hand.zipped, by_hand.streamed])
def test_nothing_of_a_pickle_is_run(wrap, tmp_path):
  marker = tmp_path / "run"

  for evil, reported in (
    (_Evil(os.mkdir, str(marker)), "mkdir"),
    (_Evil(eval, f"open({str(marker)!r}, 'w')"), "eval"),
    (_Evil(getattr, "a", "upper"), "getattr"),
    (np.float64(3), "numpy"),
  ):
    for protocol in (2, 4):
      sentence = by_hand.refused(
        tmp_path / "evil.pth", wrap(pickle.dumps({"a": evil}, protocol))
      )
      assert reported in sentence and _ALONE in sentence
  assert not marker.exists()


@pytest.mark.parametrize("wrap", [by_hand.zipped, by_hand.streamed])
def test_what_is_no_table_of_tensors(wrap, tmp_path):
  for value, reported in (
    ({"epoch": 3}, "'epoch', which is no tensor"),
    ([1, 2], "no table of named tensors"),
    (None, "no table of named tensors"),
    ({3: 4}, "a key is a int"),
  ):
    path = tmp_path / "x.pth"
    assert reported in by_hand.refused(path, wrap(pickle.dumps(value, 2)))


def test_other_files(tmp_path):
  path = tmp_path / "x.pth"
  assert "no weight file" in by_hand.refused(path)
  assert "damaged" in by_hand.refused(path, b"")
  assert "damaged" in by_hand.refused(path, b"<html>log in</html>")
  assert "damaged" in by_hand.refused(path, pickle.dumps({"a": 1}))
  assert "damaged" in by_hand.refused(tmp_path)
  with tarfile.open(path, "w") as archive:
    archive.add(written.FOLDER / "zip.pth", "storages")
  sentence = by_hand.refused(path)
  assert "is a tar" in sentence and _ALONE in sentence
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("x/constants.pkl", b"")
  assert "TorchScript" in by_hand.refused(path)
