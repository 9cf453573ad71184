"""A network in one safetensors file: weights, input, labels, origin."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.types import JdeepvisError, Params

_KEY = "jdeepvis"
_MEAN = "input.mean"


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
  path: Path, network: Network, *, architecture: str, origin: Origin
) -> None:
  """Writes all that `read_network` needs into one file.

  Args:
    path: the file to write.
    network: what to write; its weights must be those of `architecture`.
    architecture: a name in `ARCHITECTURES`.
    origin: where the weights come from.

  Raises:
    JdeepvisError: the weights' shapes are not the architecture's, or the
      labels are not as many as its classes.
  """
  check_weights(architecture, network.params, str(path))
  check_labels(network, str(path))
  tensors = {
    f"{layer}.{leaf}": np.ascontiguousarray(values, np.float32)
    for layer, leaves in network.params.items()
    for leaf, values in leaves.items()
  }
  spec = network.input
  about = {
    "architecture": architecture,
    "shape": spec.shape,
    "resize": spec.resize,
    "labels": network.labels,
    "origin": dataclasses.asdict(origin),
  }
  tensors[_MEAN] = np.ascontiguousarray(spec.mean, np.float32)
  save_file(tensors, path, metadata={_KEY: json.dumps(about)})


def read_network(path: Path | str) -> Network:
  """Reads a file of `write_network`.

  Raises:
    JdeepvisError: the file is missing, damaged, of another make, or holds
      weights that do not fit its architecture.
  """
  try:
    with safe_open(path, framework="numpy") as file:
      about = json.loads((file.metadata() or {})[_KEY])
      tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spec = _input_spec(about["shape"], tensors.pop(_MEAN), about["resize"])
    architecture, labels = str(about["architecture"]), tuple(about["labels"])
  except FileNotFoundError:
    raise JdeepvisError(f"There is no weight file {str(path)!r}.") from None
  except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
    raise JdeepvisError(
      f"{str(path)!r} is not a weight file of jdeepvis ({error!r}); make one "
      "with python -m experiments.convert_weights."
    ) from error
  params: dict[str, dict[str, np.ndarray]] = {}
  for name, values in tensors.items():
    layer, _, leaf = name.rpartition(".")
    params.setdefault(layer, {})[leaf] = values
  check_weights(architecture, params, str(path))
  network = build(architecture, params, spec, labels)
  check_labels(network, str(path))
  return network


def build(
  architecture: str, params: Params, spec: InputSpec, labels: tuple[str, ...]
) -> Network:
  """The network of a known architecture with the given weights."""
  known = ARCHITECTURES[architecture]
  layers = known.module().layers()
  return Network(GraphApply(layers), params, spec, layers, labels, known.output)


def check_weights(architecture: str, params: Params, file: str) -> None:
  """Holds weights against an architecture, shape by shape.

  Raises:
    JdeepvisError: names the file, the layer, what was expected and found.
  """
  if architecture not in ARCHITECTURES:
    raise JdeepvisError(
      f"{file}: there is no architecture {architecture!r}; "
      f"{nearest(architecture, ARCHITECTURES)}."
    )
  known = ARCHITECTURES[architecture]
  expected = infer_shapes(known.module().layers(), known.input.shape).weights
  if missing := expected.keys() - params.keys():
    raise JdeepvisError(
      f"{file}: {architecture} needs layers that are missing: "
      f"{', '.join(sorted(missing))}."
    )
  if extra := params.keys() - expected.keys():
    raise JdeepvisError(
      f"{file}: {architecture} has no layers {', '.join(sorted(extra))}."
    )
  for layer, leaves in expected.items():
    found = {name: np.shape(values) for name, values in params[layer].items()}
    if found != leaves:
      raise JdeepvisError(
        f"{file}: layer {layer!r} of {architecture} has shapes {leaves}, "
        f"the file {found}."
      )


def check_labels(network: Network, file: str) -> None:
  """Holds the number of labels against that of the classes.

  Raises:
    JdeepvisError: names the file; no labels at all are fine.
  """
  labels, classes = len(network.labels), network.shapes[network.output][-1]
  if labels not in (0, classes):
    raise JdeepvisError(
      f"{file}: the network tells {classes} classes apart, but there are "
      f"{labels} labels."
    )


def _input_spec(shape, mean: np.ndarray, resize) -> InputSpec:
  shape = tuple(map(int, shape))
  if len(shape) != 3 or np.broadcast_shapes(mean.shape, shape) != shape:
    raise ValueError(f"no mean of shape {mean.shape} fits images of {shape}")
  return InputSpec(shape, mean, None if resize is None else int(resize))
