"""The nodes of an ONNX graph as plain values, under names one can read."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jdeepvis.networks.caffe.arrays import brief
from jdeepvis.networks.graph import INPUT
from jdeepvis.types import JdeepvisError

_OURS = ("", "ai.onnx")
_SCOPES = "pkg.torch.onnx.name_scopes"


class Node(NamedTuple):
  """One node.

  Attributes:
    name: what its blob is called, unique.
    op: its operator, `Conv`; of another domain than ONNX's `domain.Conv`.
    inputs: the values it reads; "" where an optional one is left out.
    outputs: the values it writes, likewise.
    attributes: by name, as plain values or protobuf's messages.
    opset: the version of the operators' definitions.
    proto: the message itself.
  """

  name: str
  op: str
  inputs: tuple[str, ...]
  outputs: tuple[str, ...]
  attributes: Mapping[str, Any]
  opset: int
  proto: Any

  def get(self, name: str, default: Any = None) -> Any:
    """The attribute called `name`."""
    return self.attributes.get(name, default)


def read_nodes(graph, opset: int, file: str) -> tuple[Node, ...]:
  """The nodes of a graph in the order of the file.

  Raises:
    JdeepvisError: a node is damaged.
  """
  from onnx import helper

  nodes = []
  names = readable_names(graph.node)
  for number, (proto, name) in enumerate(zip(graph.node, names, strict=True)):
    try:
      attributes = {
        x.name: _plain(helper.get_attribute_value(x)) for x in proto.attribute
      }
      domain = "" if proto.domain in _OURS else f"{proto.domain}."
      node = Node(
        name,
        f"{domain}{proto.op_type}",
        tuple(proto.input),
        tuple(proto.output),
        attributes,
        opset,
        proto,
      )
    except Exception as error:  # the helper raises whatever it meets
      raise JdeepvisError(
        f"{file}: node {number} ({proto.op_type}) is damaged: {brief(error)}."
      ) from error
    nodes.append(node)
  return tuple(nodes)


def readable_names(protos: Sequence[Any]) -> tuple[str, ...]:
  """What each node's blob is called, unique.

  PyTorch's exports say in which module a node is: the last node of a module
  that has no others in it is called by that module's path, as in
  `named_modules()`, all others `path/Operator`. Other nodes keep their name,
  those without one that of their first output.
  """
  modules = [_module_path(proto) for proto in protos]
  within = {
    path[:end] for path in filter(None, modules) for end in range(1, len(path))
  }
  last = {path: place for place, path in enumerate(modules) if path}
  wanted = []
  for place, (proto, path) in enumerate(zip(protos, modules, strict=True)):
    if path is None:
      name = proto.name or next(filter(None, proto.output), proto.op_type)
    else:
      name = ".".join(path)
      if path in within or last.get(path) != place or not name:
        name = f"{name}/{proto.op_type}" if name else proto.op_type
    wanted.append(re.sub(r"[^\w./+-]+", "_", name.strip("/")) or proto.op_type)
  return _unique(wanted)


def _unique(wanted: Sequence[str]) -> tuple[str, ...]:
  taken, counts, names = {INPUT, *wanted}, Counter(), []
  for name in wanted:
    counts[name] += 1
    fresh = name
    if counts[name] > 1 or name == INPUT:
      while fresh in taken:
        fresh = f"{name}_{counts[name]}"
        counts[name] += 1
    taken.add(fresh)
    names.append(fresh)
  return tuple(names)


def _module_path(proto) -> tuple[str, ...] | None:
  """The modules a node of PyTorch's is in; None where nothing says so."""
  for entry in proto.metadata_props:
    if entry.key == _SCOPES:
      scopes = re.findall(r"'([^']*)'", entry.value)
      return tuple(scopes[-2].split(".")) if len(scopes) > 1 else ()
  if not proto.name.startswith("/"):
    return None
  # Each part repeats the one it is in: /layer1/layer1.0/conv1/Conv.
  path, before = [], ""
  for part in proto.name.split("/")[1:-1]:
    inner = part.removeprefix(f"{before}.") if before else part
    path += inner.split(".")
    before = part
  return tuple(path)


def _plain(value):
  if isinstance(value, bytes):
    return value.decode("utf-8", errors="replace")
  if isinstance(value, list):
    return tuple(_plain(item) for item in value)
  return value
