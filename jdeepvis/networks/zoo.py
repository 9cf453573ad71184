"""A name or a path becomes a `Network`."""

import functools
import importlib
from pathlib import Path

import jdeepvis
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.network import Network
from jdeepvis.networks.weights import read_network
from jdeepvis.types import JdeepvisError

_BUNDLED = {"squeezenet1.1": "squeezenet_v1.1/squeezenet_v1.1.safetensors"}


def load_network(name: str) -> Network:
  """Loads a network by the name of a bundled one or the path of a file.

  Args:
    name: `squeezenet1.1`, a .safetensors file that
      `experiments.convert_weights` made, or `package.module:factory`, where
      `factory()` gives a `Network` of one's own.

  Raises:
    JdeepvisError: there is no such network, or its file is damaged.
  """
  if name in _BUNDLED:
    return read_network(third_party() / _BUNDLED[name])
  if name.endswith(".safetensors"):
    return read_network(name)
  if ":" in name:
    return _call_factory(name)
  raise JdeepvisError(
    f"There is no network {name!r}; give one of {', '.join(ARCHITECTURES)}, "
    "the path of a .safetensors file or package.module:factory."
  )


def _call_factory(name: str) -> Network:
  module, _, factory = name.partition(":")
  try:
    make = getattr(importlib.import_module(module), factory)
  except (ImportError, AttributeError, ValueError) as error:
    raise JdeepvisError(
      f"There is no function {name!r} to make a network: {error}."
    ) from error
  network = make()
  if not isinstance(network, Network):
    raise JdeepvisError(
      f"The function {name!r} must return a jdeepvis.Network; it returned "
      f"{type(network).__name__}."
    )
  return network


@functools.cache
def third_party() -> Path:
  """The folder with bundled weights, labels and photographs."""
  package = Path(jdeepvis.__file__).parent
  for folder in (package / "third_party", package.parent / "third_party"):
    if folder.is_dir():
      return folder
  raise JdeepvisError(
    f"The bundled data are missing beside {str(package)!r}; install jdeepvis "
    "again."
  )


def imagenet_labels() -> tuple[str, ...]:
  """The 1000 class names of ILSVRC 2012, in class order."""
  path = third_party() / "imagenet_labels" / "synset_words.txt"
  return read_labels(path)


def read_labels(path: Path | str) -> tuple[str, ...]:
  """A label file: one class per non-empty line, a leading wnid left out.

  Raises:
    JdeepvisError: the file is missing or is no text.
  """
  try:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise JdeepvisError(f"No labels in {str(path)!r}: {error}.") from error
  return tuple(_without_wnid(line.strip()) for line in lines if line.strip())


def _without_wnid(line: str) -> str:
  first, _, rest = line.partition(" ")
  is_wnid = first[:1] == "n" and first[1:].isdigit() and len(first) == 9
  return rest if is_wnid and rest else line
