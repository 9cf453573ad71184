"""A name or a path becomes a `Network`."""

import functools
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tqdm import tqdm

from jdeepvis.networks import convert
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.caffe.arrays import read_bytes
from jdeepvis.networks.caffe.reader import is_description
from jdeepvis.networks.digests import sha256
from jdeepvis.networks.download import alone, cache_folder, fetch
from jdeepvis.networks.names import imported, nearest
from jdeepvis.networks.network import Network
from jdeepvis.networks.onnx.convert import is_onnx, read_onnx
from jdeepvis.networks.texts import read_lines
from jdeepvis.networks.torch_files import how_to_export
from jdeepvis.networks.weights import Origin, read_network, write_network
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
"""The bundled networks, each with its file in `third_party()`."""


def load_network(
  name: Path | str,
  weights: Path | str | None = None,
  *,
  mean: convert.Mean = None,
  labels: Path | str | Sequence[str] | None = None,
  scale: float | int = 1.0,
  bgr: bool | None = None,
  size: tuple[int, int] | None = None,
  download: bool = False,
) -> Network:
  """Loads a network by its name, from one file, or from Caffe's files.

  `load_network("googlenet")`, `squeezenet1.1` and `alexnet-conv`, AlexNet's
  convolutions without classes, are bundled; `load_network("caffenet",
  download=True)` fetches it once; a .safetensors file that
  `experiments.convert_weights` made needs nothing else; the rest is for
  `load_network("net.onnx", ...)`, as PyTorch, Keras and JAX export it, and for
  `load_network("deploy.prototxt", weights="net.caffemodel", ...)`.

  >>> import jdeepvis
  >>> jdeepvis.load_network("squeezenet1.1").labels[130]
  'flamingo'

  Args:
    name: a name in `ARCHITECTURES`, a .safetensors file, an .onnx file, a
      .prototxt (by whatever name: .pt, .txt), or `package.module:factory`,
      where `factory()` gives a `Network` of one's own.
    weights: the .caffemodel, or `random` for an untrained network, also of a
      name in `ARCHITECTURES`; nothing for a .prototxt without weights.
    mean: subtracted from pixels (0..255): a .binaryproto or .npy file, or one
      number a channel.
    labels: the class names, or a file with one a line.
    scale: what the net was trained to have centred pixels multiplied by,
      1/256 for LeNet; images stay on the 0..255 scale.
    bgr: the net and its mean have blue, green, red in this order; images are
      RGB all the same. None is what is usual: true for Caffe's files, whose
      nets almost all have, false for ONNX.
    size: height and width of the images, in place of the file's.
    download: whether to fetch the weights of a name if they are neither
      bundled nor kept from an earlier time (see `download_network`).

  Returns:
    The network, called by its name or by the stem of the file with its weights;
    a factory's keeps the name that it has been given.

  Raises:
    JdeepvisError: there is no such network, or a file is missing or damaged,
      or cannot be fetched.
  """
  name = os.path.expanduser(name)
  if weights is not None:
    weights = os.path.expanduser(weights)
  if isinstance(labels, str | Path):
    labels = read_labels(labels)
  if download and name not in ARCHITECTURES:
    raise JdeepvisError(
      f"Nothing can be downloaded for {name!r}; {nearest(name, ARCHITECTURES)}."
    )
  if is_onnx(name) and weights is None:
    network, notes = read_onnx(
      name,
      mean=mean,
      labels=labels or (),
      scale=scale,
      bgr=bool(bgr),
      size=size,
    )
    return _told(network.replace(name=Path(name).stem), notes)
  known = name in ARCHITECTURES or name.endswith((".safetensors", ".onnx"))
  if not known and is_description(name):
    network, notes = convert.read_caffe(
      name,
      weights,
      mean=mean,
      labels=labels or (),
      scale=scale,
      bgr=bgr is not False,
      size=size,
    )
    file = name if weights in (None, convert.RANDOM) else weights
    return _told(network.replace(name=Path(file).stem), notes)
  as_caffe = scale != 1 or bgr is not None or size is not None
  if weights == convert.RANDOM and name in ARCHITECTURES and not as_caffe:
    network = convert.read_architecture(
      name, weights, mean=mean, labels=labels or ()
    )
    return network.replace(name=name)
  if not known and ":" not in name:
    raise JdeepvisError(_no_network(name))
  given = (weights, mean, labels)
  if any(value is not None for value in given) or as_caffe:
    raise JdeepvisError(
      "Weights, mean, labels, scale, bgr and size are for a .prototxt, all "
      f"but weights for an .onnx file too, not {name!r}."
    )
  if name in BUNDLED:
    return read_network(third_party() / BUNDLED[name]).replace(name=name)
  if name.endswith(".safetensors"):
    return read_network(name).replace(name=Path(name).stem)
  if name in ARCHITECTURES:
    path = download_network(name) if download else _kept(name)
    if not path.exists():
      raise JdeepvisError(_where(name))
    return read_network(path).replace(name=name)
  network = _call_factory(name)
  named = network.name != Network.name
  return network if named else network.replace(name=name)


def _no_network(name: str) -> str:
  """What a name that is none of a network's may be instead."""
  if export := how_to_export(name):
    return export
  if os.path.isfile(name):
    read_bytes(name, "net description")  # It may be a known other thing.
    return (
      f"{name!r} describes no net; give a deploy.prototxt, and its .caffemodel "
      'as weights: load_network("deploy.prototxt", weights="net.caffemodel"), '
      "or --net=deploy.prototxt --weights=net.caffemodel of "
      "experiments.convert_weights."
    )
  return (
    f"There is no network {name!r}; give one of {', '.join(ARCHITECTURES)}, "
    "the path of a .safetensors, .onnx or .prototxt file or "
    "package.module:factory."
  )


def download_network(name: str) -> Path:
  """Fetches the published weights of a network, and keeps them converted.

  They are kept in `~/.cache/jdeepvis/weights`, where `load_network` finds them
  by name; the environment variable JDEEPVIS_WEIGHTS names another folder. A
  bar shows how far it is.

  Args:
    name: a name in `ARCHITECTURES`.

  Returns:
    The file; if it is there already, nothing is fetched.

  Raises:
    JdeepvisError: there is no such network, the file cannot be fetched, has
      another checksum than the published one (see `fetch`), or cannot be kept.
  """
  if name not in ARCHITECTURES:
    raise JdeepvisError(
      f"There is no network {name!r} to download; "
      f"{nearest(name, ARCHITECTURES)}."
    )
  published = ARCHITECTURES[name].published
  if published is None:
    raise JdeepvisError(_where(name))
  path = _kept(name)
  try:
    with alone(path.with_suffix(".lock")):
      if path.exists():
        return path
      with tqdm(
        total=published.size,
        unit="B",
        unit_scale=True,
        desc=f"Downloading {name}",
        dynamic_ncols=True,
      ) as bar:
        file = fetch(published, path.parent, lambda at: bar.update(at - bar.n))
      network = convert.read_architecture(name, file)
      network = network.replace(labels=imagenet_labels())
      origin = Origin(published.url, sha256(file), published.licence)
      part = path.with_suffix(".part.safetensors")
      write_network(part, network, architecture=name, origin=origin)
      part.replace(path)
      file.unlink()
  except OSError as error:
    raise JdeepvisError(
      f"The weights of {name} cannot be kept in {str(path.parent)!r}: "
      f"{error.strerror}; JDEEPVIS_WEIGHTS names another folder."
    ) from error
  return path


def _told(network: Network, notes: Sequence[str]) -> Network:
  for note in notes:
    logging.getLogger("jdeepvis").warning("%s", note)
  return network


def _kept(name: str) -> Path:
  """Where the weights of a network are once they have been downloaded."""
  folder = os.environ.get("JDEEPVIS_WEIGHTS") or cache_folder("weights")
  return Path(folder) / f"{name}.safetensors"


def _where(name: str) -> str:
  """How to get the weights of a network that is not here."""
  published = ARCHITECTURES[name].published
  if published is None:
    return (
      f"The weights of {name} are not here, and no file of them is published; "
      "docs/weights.md says how to make them."
    )
  return (
    f"The weights of {name} are not here: jdeepvis.load_network({name!r}, "
    f"download=True) or python -m experiments.convert_weights "
    f"--download={name} fetches them from {published}; a file you have is "
    f"converted with python -m experiments.convert_weights --net={name} "
    f"--weights={published.file} --out={name}.safetensors and loaded as that."
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
def third_party(package: Path = Path(__file__).parents[1]) -> Path:
  """The folder with bundled weights, labels and photographs.

  Args:
    package: the folder of the package, which has it or lies beside it.
  """
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
    lines = read_lines(path)
  except OSError as error:
    raise JdeepvisError(
      f"No labels in {str(path)!r}: {error.strerror}."
    ) from error
  except UnicodeDecodeError as error:
    raise JdeepvisError(
      f"The labels {str(path)!r} are not in UTF-8; save them as that."
    ) from error
  return tuple(_without_wnid(line.strip()) for line in lines if line.strip())


def _without_wnid(line: str) -> str:
  first, _, rest = line.partition(" ")
  is_wnid = first[:1] == "n" and first[1:].isdigit() and len(first) == 9
  return rest if is_wnid and rest else line
