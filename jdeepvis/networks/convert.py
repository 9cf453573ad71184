"""Foreign weight files become our parameters."""

import hashlib
import pickle
from pathlib import Path

import jax
import numpy as np

from jdeepvis.types import JdeepvisError, Params


def read_array_pickle(path: Path | str) -> Params:
  """The weights in a pickle of `{layer: [kernel, bias]}`, HWIO and BGR.

  Nothing but NumPy arrays in plain containers is admitted, so that reading
  runs no code of the file. This is how the package ndf 0.1.4 carries the
  SqueezeNet release.

  Raises:
    JdeepvisError: the file is missing, damaged or holds anything else.
  """
  try:
    with open(path, "rb") as file:
      layers = _ArrayUnpickler(file).load()
    return {
      name: {"kernel": np.float32(kernel), "bias": np.float32(bias)}
      for name, (kernel, bias) in layers.items()
    }
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except Exception as error:  # a damaged pickle can raise anything
    raise JdeepvisError(
      f"{str(path)!r} is no pickle of {{layer: [kernel, bias]}} with arrays "
      f"alone: {error!r}."
    ) from error


def reverse_input_channels(params: Params, layer: str) -> Params:
  """BGR to RGB (or back), once: in the kernel that reads the images."""
  kernel = params[layer]["kernel"][:, :, ::-1]
  return {**params, layer: {**params[layer], "kernel": kernel}}


def sha256(path: Path | str) -> str:
  """The file's SHA-256, as hexadecimal digits."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(params: Params) -> str:
  """A digest of all weights, by which a run knows its network again."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    digest.update(jax.tree_util.keystr(path).encode())
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()


class _ArrayUnpickler(pickle.Unpickler):
  _ADMITTED = frozenset(
    {
      ("numpy", "dtype"),
      ("numpy", "ndarray"),
      ("numpy.core.multiarray", "_reconstruct"),
      ("numpy._core.multiarray", "_reconstruct"),
      ("numpy.core.numeric", "_frombuffer"),
      ("numpy._core.numeric", "_frombuffer"),
    }
  )

  def find_class(self, module, name):
    if (module, name) not in self._ADMITTED:
      raise pickle.UnpicklingError(f"{module}.{name} is not admitted")
    return super().find_class(module.replace(".core.", "._core."), name)
