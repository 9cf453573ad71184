"""Weight files of other frameworks than Caffe."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jdeepvis.types import JdeepvisError, Params

TORCHVISION_NAMES = {
  "features.0": "conv1",
  "features.3": "conv2",
  "features.6": "conv3",
  "features.8": "conv4",
  "features.10": "conv5",
  "classifier.1": "fc6",
  "classifier.4": "fc7",
  "classifier.6": "fc8",
}
"""The layers of torchvision's AlexNet, and what Caffe calls them."""


def read_torchvision(path: Path | str) -> Mapping[str, list[np.ndarray]]:
  """Torchvision's AlexNet, with Caffe's names for its layers.

  Args:
    path: a .safetensors file, or a .pth where torch is installed.

  Raises:
    JdeepvisError: the file is missing, damaged or of another network.
  """
  tensors = _read_tensors(path)
  expected = {
    f"{name}.{leaf}"
    for name in TORCHVISION_NAMES
    for leaf in ("weight", "bias")
  }
  if tensors.keys() != expected:
    strange = sorted(tensors.keys() ^ expected)
    raise JdeepvisError(
      f"{str(path)!r} is not torchvision's AlexNet: it differs in "
      f"{', '.join(strange[:6])}."
    )
  return {
    ours: [tensors[f"{name}.weight"], tensors[f"{name}.bias"]]
    for name, ours in TORCHVISION_NAMES.items()
  }


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


def _read_tensors(path: Path | str) -> dict[str, np.ndarray]:
  try:
    if str(path).endswith(".safetensors"):
      return load_file(path)
    import torch

    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.numpy() for name, value in tensors.items()}
  except ImportError:
    raise JdeepvisError(
      f"{str(path)!r} needs torch to be read; install it, or give the weights "
      "as .safetensors."
    ) from None
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except (
    AttributeError,
    OSError,
    RuntimeError,
    SafetensorError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
  ) as error:
    raise JdeepvisError(
      f"{str(path)!r} holds no named tensors: {repr(error)[:200]}."
    ) from error


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
