"""A name or a path becomes a `Network`."""

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from jdeepvis.networks import convert
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.names import imported
from jdeepvis.networks.network import Network
from jdeepvis.networks.weights import read_network
from jdeepvis.types import JdeepvisError

DEFAULT_NETWORK = "googlenet"
"""The network that scripts take where none is named."""

BUNDLED: Mapping[str, str] = MappingProxyType(
  {
    "alexnet-conv": "alexnet_conv/alexnet_conv.safetensors",
    "googlenet": "bvlc_googlenet/bvlc_googlenet.safetensors",
    "squeezenet1.1": "squeezenet_v1.1/squeezenet_v1.1.safetensors",
  }
)
"""The networks in the box, each with its file in `third_party()`."""


def load_network(
  name: Path | str,
  weights: Path | str | None = None,
  *,
  mean: convert.Mean = None,
  labels: Path | str | Sequence[str] | None = None,
  scale: float | int = 1.0,
  bgr: bool = True,
) -> Network:
  """Loads a network by its name, from one file, or from Caffe's files.

  `load_network("googlenet")`, `squeezenet1.1` and `alexnet-conv`, AlexNet's
  convolutions without classes, are bundled; a .safetensors
  file that `experiments.convert_weights` made needs nothing else; the rest is
  for `load_network("deploy.prototxt", weights="net.caffemodel", ...)`.

  Args:
    name: a bundled network, a .safetensors file, a .prototxt, or
      `package.module:factory`, where `factory()` gives a `Network` of one's
      own.
    weights: the .caffemodel, or `random` for an untrained network, also of a
      name in `ARCHITECTURES`.
    mean: subtracted from pixels (0..255): a .binaryproto or .npy file, or one
      number a channel.
    labels: the class names, or a file with one a line.
    scale: what the net was trained to have centred pixels multiplied by,
      1/256 for LeNet; images stay on the 0..255 scale.
    bgr: the net and its mean have blue, green, red in this order, as almost
      all of Caffe's; images are RGB all the same.

  Returns:
    The network, called by its name or by the stem of the file with its weights;
    a factory's keeps the name that it has been given.

  Raises:
    JdeepvisError: there is no such network, or a file is missing or damaged.
  """
  name = str(name)
  if isinstance(labels, str | Path):
    labels = read_labels(labels)
  if name.endswith(".prototxt"):
    if weights is None:
      raise JdeepvisError(
        f"{name!r} describes a network without its weights; give "
        'weights="net.caffemodel", or weights="random", or make one file of '
        "both with python -m experiments.convert_weights."
      )
    network, notes = convert.read_caffe(
      name, weights, mean=mean, labels=labels or (), scale=scale, bgr=bgr
    )
    for note in notes:
      logging.getLogger("jdeepvis").warning("%s", note)
    file = name if weights == convert.RANDOM else weights
    return network.replace(name=Path(file).stem)
  as_caffe = scale != 1 or not bgr
  if weights == convert.RANDOM and name in ARCHITECTURES and not as_caffe:
    network = convert.read_architecture(
      name, weights, mean=mean, labels=labels or ()
    )
    return network.replace(name=name)
  given = (weights, mean, labels)
  if any(value is not None for value in given) or as_caffe:
    raise JdeepvisError(
      f"Weights, mean, labels, scale and bgr are for a .prototxt, not {name!r}."
    )
  if name in BUNDLED:
    return read_network(third_party() / BUNDLED[name]).replace(name=name)
  if name.endswith(".safetensors"):
    return read_network(name).replace(name=Path(name).stem)
  if name in ARCHITECTURES:
    source = ARCHITECTURES[name].published.split()[0]
    file = source.rpartition("/")[2]
    raise JdeepvisError(
      f"The weights of {name} are not bundled: its authors publish them at "
      f"{ARCHITECTURES[name].published}; convert them with python -m "
      f"experiments.convert_weights --net={name} --weights={file} "
      f"--out={name}.safetensors and load that file."
    )
  if ":" in name:
    network = _call_factory(name)
    named = network.name != Network.name
    return network if named else network.replace(name=name)
  raise JdeepvisError(
    f"There is no network {name!r}; give one of {', '.join(ARCHITECTURES)}, "
    "the path of a .safetensors or .prototxt file or package.module:factory."
  )


def _call_factory(name: str) -> Network:
  make = imported(name, "function to make a network:")
  try:
    network = make()
  except JdeepvisError:
    raise
  except Exception as error:
    raise JdeepvisError(
      f"The function {name!r} failed: {repr(error)[:200]}."
    ) from error
  if not isinstance(network, Network):
    raise JdeepvisError(
      f"The function {name!r} must return a jdeepvis.Network; it returned "
      f"{type(network).__name__}."
    )
  return network


@functools.cache
def third_party() -> Path:
  """The folder with bundled weights, labels and photographs."""
  package = Path(__file__).parents[1]
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
