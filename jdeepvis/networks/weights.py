"""A network in one safetensors file: weights, input, labels, origin."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jdeepvis.networks import layer_table
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.types import JdeepvisError, Params

_KEY = "jdeepvis"
_MEAN = "input.mean"
_KEPT = (np.float16, np.float32)
_DAMAGE = (
  AttributeError,
  KeyError,
  OSError,
  RecursionError,
  SafetensorError,
  TypeError,
  ValueError,
)


@dataclasses.dataclass(frozen=True)
class Origin:
  """Where weights come from, kept in their file.

  Attributes:
    source: the file, package or page they were read from.
    sha256: of that source file.
    licence: their licence, by its common name.
  """

  source: str
  sha256: str
  licence: str = "unknown"


def write_network(
  path: Path,
  network: Network,
  *,
  architecture: str | None,
  origin: Origin,
  half: bool = False,
) -> None:
  """Writes all that `read_network` needs into one file.

  Args:
    path: the file to write.
    network: what to write; its weights must be those of `architecture`.
    architecture: a name in `ARCHITECTURES`; None writes the network's own
      table of layers.
    origin: where the weights come from.
    half: keep the weights in 16 bits, which halves the file; they are read
      back as float32.

  Raises:
    JdeepvisError: the weights' shapes are not the architecture's, the labels
      are not as many as its classes, or the file cannot be written.
  """
  spec = network.input
  if architecture is None:
    if not network.layers:
      raise JdeepvisError(
        f"{str(path)!r} cannot hold a network that is no graph of layers."
      )
    check_network(network, str(path))
  else:
    known = build(architecture, network.params, spec, network.labels)
    check_network(known, str(path), architecture)
  kept = np.float16 if half else np.float32
  tensors = {
    f"{layer}.{leaf}": np.ascontiguousarray(values, kept)
    for layer, leaves in network.params.items()
    for leaf, values in leaves.items()
  }
  about = {
    "architecture": architecture,
    "shape": spec.shape,
    "resize": spec.resize,
    "deviation": spec.deviation,
    "bgr": spec.bgr,
    "rule": spec.rule,
    "interpolation": spec.interpolation,
    "labels": network.labels,
    "origin": dataclasses.asdict(origin),
  }
  if architecture is None:
    about["layers"] = layer_table.to_plain(network.layers)
    about["output"] = network.output
  tensors[_MEAN] = np.ascontiguousarray(spec.mean, np.float32)
  try:
    save_file(tensors, path, metadata={_KEY: json.dumps(about)})
  except (OSError, SafetensorError) as error:
    raise JdeepvisError(
      f"The file {str(path)!r} cannot be written: {error}."
    ) from error


def read_network(path: Path | str) -> Network:
  """Reads a file of `write_network`.

  Raises:
    JdeepvisError: the file is missing, damaged, of another make, or holds
      weights or labels that do not fit its architecture.
  """
  try:
    with safe_open(path, framework="numpy") as file:
      about = json.loads((file.metadata() or {})[_KEY])
      tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spec = _read_input(about, tensors.pop(_MEAN))
    architecture, labels = about["architecture"], _read_labels(about["labels"])
    table, output = about.get("layers"), about.get("output")
    strange = [k for k, v in tensors.items() if v.dtype not in _KEPT]
    names = isinstance(architecture, str | None), isinstance(output, str | None)
    if strange or not all(names):
      raise ValueError(f"{strange or (architecture, output)}")
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except _DAMAGE as error:
    raise JdeepvisError(
      f"{str(path)!r} is not a weight file of jdeepvis ({repr(error)[:200]}); "
      "make one with python -m experiments.convert_weights."
    ) from error
  params: dict[str, dict[str, np.ndarray]] = {}
  for name, values in tensors.items():
    layer, _, leaf = name.rpartition(".")
    params.setdefault(layer, {})[leaf] = np.asarray(values, np.float32)
  if architecture is not None:
    try:
      network = build(architecture, params, spec, labels)
    except JdeepvisError as error:
      raise JdeepvisError(f"{path}: {error}") from error
    return check_network(network, str(path), architecture)
  layers = layer_table.from_plain(table, str(path))
  network = Network(GraphApply(layers), params, spec, layers, labels, output)
  return check_network(network, str(path))


def build(
  architecture: str, params: Params, spec: InputSpec, labels: tuple[str, ...]
) -> Network:
  """The network of a known architecture with the given weights, unchecked.

  Raises:
    JdeepvisError: there is no such architecture.
  """
  if architecture not in ARCHITECTURES:
    raise JdeepvisError(
      f"There is no architecture {architecture!r}; "
      f"{nearest(architecture, ARCHITECTURES)}."
    )
  known = ARCHITECTURES[architecture]
  layers = known.module().layers()
  return Network(GraphApply(layers), params, spec, layers, labels, known.output)


def check_network(
  network: Network, file: str, name: str = "the network"
) -> Network:
  """The network, if its weights fit its layers and its labels its classes.

  Args:
    network: a graph of layers.
    file: where it is from.
    name: what to call it.

  Raises:
    JdeepvisError: names the file, what was expected and what was found; no
      labels at all are fine.
  """
  try:
    blobs, expected = infer_shapes(network.layers, network.input.shape)
  except JdeepvisError as error:
    raise JdeepvisError(f"{file}: {error}") from error
  if missing := expected.keys() - network.params.keys():
    raise JdeepvisError(
      f"{file}: {name} needs layers that are missing: "
      f"{', '.join(sorted(missing)[:12])}."
    )
  if extra := network.params.keys() - expected.keys():
    raise JdeepvisError(
      f"{file}: {name} has no layers {', '.join(sorted(extra)[:12])}."
    )
  for layer, leaves in expected.items():
    weights = network.params[layer]
    found = {leaf: np.shape(values) for leaf, values in weights.items()}
    if found != leaves:
      raise JdeepvisError(
        f"{file}: layer {layer!r} of {name} has shapes {leaves}, "
        f"the file {found}."
      )
  if network.output is None:
    if network.labels:
      raise JdeepvisError(
        f"{file}: {name} has no class scores, but there are "
        f"{len(network.labels)} labels; leave them out."
      )
    return network
  if network.output not in blobs:
    raise JdeepvisError(
      f"{file}: its output {network.output!r} is no blob of it."
    )
  labels, classes = len(network.labels), blobs[network.output][-1]
  if labels not in (0, classes):
    raise JdeepvisError(
      f"{file}: {name} has {classes} classes, but there are {labels} labels."
    )
  return network


def _read_input(about, mean: np.ndarray) -> InputSpec:
  shape, resize = tuple(about["shape"]), about["resize"]
  whole = all(type(extent) is int and 0 < extent <= 2**16 for extent in shape)
  if len(shape) != 3 or not whole or math.prod(shape) > 2**26:
    raise ValueError(f"its input is {shape}")
  if resize is not None and (type(resize) is not int or resize < shape[0]):
    raise ValueError(f"its resize is {resize}")
  if mean.dtype != np.float32 or mean.shape not in (shape, shape[2:]):
    raise ValueError(f"its mean is {mean.dtype} {mean.shape}")
  # Files of before said nothing else.
  more = ("deviation", "bgr", "rule", "interpolation")
  said = {name: about[name] for name in more if name in about}
  if type(said.get("bgr", False)) is not bool:
    raise ValueError(f"its bgr is {said['bgr']}")
  return InputSpec(shape, mean, resize, **said)


def _read_labels(labels) -> tuple[str, ...]:
  if not all(isinstance(label, str) for label in labels):
    raise ValueError("its labels are no text")
  return tuple(labels)
