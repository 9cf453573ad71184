"""Weight files as torch writes and wrote them.

  python tests/networks/write_torch_files.py

where torch is installed writes the files in `torch_files/`, which the tests
read without it. What is in them is counted up, so that a test knows it.
"""

import collections
import pickle
import types
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "torch_files"


def expected():
  """What is in each file, by name."""
  base = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
  return {
    "whole": base,
    "turned": base.transpose(2, 0, 1)[1:, :, ::2],  # strides, not a copy
    "row": base[1, 2],  # all three in one storage
    "half": np.arange(7, dtype=np.float16) / 8,
    "brain": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "double": np.arange(3, dtype=np.float64) / 3,
    "count": np.array(5, np.int64),
    "flags": np.array([True, False, True]),
    "none": np.zeros((0, 3), np.float32),
    "learned": np.arange(4, dtype=np.float32).reshape(2, 2),
  }


def tensors(torch):
  """The same as a state dict."""
  values = {name: np.array(value) for name, value in expected().items()}
  found = {name: torch.from_numpy(value) for name, value in values.items()}
  whole = found["whole"]
  found["turned"] = whole.permute(2, 0, 1)[1:, :, ::2]
  found["row"] = whole[1, 2]
  found["brain"] = found["brain"].bfloat16()
  found["learned"] = torch.nn.Parameter(found["learned"])
  found = collections.OrderedDict(found)
  found._metadata = {"": {"version": 1}}
  return found


def as_in_2017(torch):
  """A module that pickles tensors as torch 0.1 did, for `torch.save`.

  Half of them through `_rebuild_tensor`, as vgg16-397923af.pth, half as a
  blank tensor with a state, as its siblings; parameters in both of their ways.
  """

  class Pickler(pickle.Pickler):
    def reducer_override(self, value):
      if not isinstance(value, torch.Tensor):
        return NotImplemented
      if isinstance(value, torch.nn.Parameter):
        if value.ndim > 1:
          return torch.nn.Parameter, (value.data,), (True, False, {})
        state = (value.data, None, {}, True, False)
        return torch.nn.Parameter, (), state
      where = (value.storage_offset(), tuple(value.shape), value.stride())
      where = (value.storage(), *where)
      if value.ndim > 1:
        return torch._utils._rebuild_tensor, where
      return torch.FloatTensor, (), where

  module = types.ModuleType("pickle_in_2017")
  module.Pickler, module.dump = Pickler, pickle.dump
  return module


def old_tensors(torch):
  """What `as_in_2017` is for: floats alone."""
  kept = {
    name: value
    for name, value in tensors(torch).items()
    if value.dtype == torch.float32
  }
  kept["bias"] = torch.nn.Parameter(torch.arange(3.0))
  return collections.OrderedDict(kept)


def main():
  import torch

  FOLDER.mkdir(exist_ok=True)
  torch.save(tensors(torch), FOLDER / "zip.pth")
  torch.save(
    tensors(torch),
    FOLDER / "stream.pth",
    _use_new_zipfile_serialization=False,
  )
  torch.save(
    old_tensors(torch),
    FOLDER / "2017.pth",
    pickle_module=as_in_2017(torch),
    _use_new_zipfile_serialization=False,
  )
  loaded = torch.load(FOLDER / "2017.pth", weights_only=True)
  for name, value in old_tensors(torch).items():
    assert torch.equal(loaded[name], value), name


if __name__ == "__main__":
  main()
