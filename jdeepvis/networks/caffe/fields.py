"""From what a text says to messages; each field that none has is judged.

A field of the forks that this reader knows is in `schema`. Of the others, those
that cannot change a forward pass are passed over and counted. What is left may
change what a layer computes, and is handed back for whoever runs the layer.
"""

import collections
import difflib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from jdeepvis.networks.caffe.text import (
  Field,
  Quoted,
  TextError,
  plain_values,
)

# The forks' choices of engine, precision and training, wherever they stand.
_IDLE = frozenset(
  [
    "engine",
    "debug",
    "multinode",
    "reshape_every_iter",
    "conv_algos_override",
    "workspace_limit",
    "force_backward",
    "forward_type",
    "backward_type",
    "forward_math",
    "backward_math",
    "lr_mult",
    "decay_mult",
    "blobs_lr",
    "weight_decay",
    "regularizer",
    "clip_gradient",
    "clip_gradients",
    "momentum",
    "moving_average_fraction",
    "update_interval",
    "need_backward",
    "bn_stats_batch_size",
    "diff_scale",
    "loss_weight",
    "gradient_scale",
    "stable_prod_grad",
    "propagate_down",
  ]
)
_IDLE_ENDS = ("_filler", "_lr", "_regularizer", "_lr_mult", "_decay_mult")
# Messages that only training reads.
_IDLE_MESSAGES = ("FillerParameter", "ParamSpec", "TransformationParameter")
# Starts of settings of the whole net, in NVIDIA's and Intel's forks.
_IDLE_OF_NET = ("default_", "global_grad_", "reduce_", "bn_stats_", "compile_")
_IDLE_OF_NETS = frozenset(
  ["engine", "multinode", "eltwise_mem_sharing", "debug_info", "train_state"]
)
# Settings of Caffe's own layers that are for data, losses and recurrence.
_FOR_OTHERS = frozenset(
  f"{name}_param"
  for name in [
    "accuracy",
    "annotated_data",
    "contrastive_loss",
    "data",
    "embed",
    "mn_activation",
    "mn_grad_compress",
    "hdf5_data",
    "hdf5_output",
    "hinge_loss",
    "image_data",
    "infogain_loss",
    "loss",
    "multibox_loss",
    "parameter",
    "python",
    "recurrent",
    "spp",
    "video_data",
    "window_data",
  ]
)

_INTEGERS = {
  FieldDescriptor.TYPE_INT32: (-(2**31), 2**31),
  FieldDescriptor.TYPE_UINT32: (0, 2**32),
  FieldDescriptor.TYPE_INT64: (-(2**63), 2**63),
}
_TRUTHS = {"true": True, "True": True, "t": True, "1": True}
_TRUTHS |= {"false": False, "False": False, "f": False, "0": False}


class Unknown(NamedTuple):
  """A field that is not known, and may change what is computed.

  Attributes:
    path: its name, with that of the settings it stands in.
    line: where it stands.
    nearest: a known field with a name like it, or "".
  """

  path: str
  line: int
  nearest: str


class Filled(NamedTuple):
  """What became of a message's fields.

  Attributes:
    unknown: those that are judged to matter.
    idle: path and line of those that cannot change a forward pass.
    settings: the layer's unknown fields by name, see `text.plain`.
    nested: unknown fields of its known settings, by their name and their own.
  """

  unknown: tuple[Unknown, ...]
  idle: tuple[tuple[str, int], ...]
  settings: dict[str, Any]
  nested: dict[str, dict[str, Any]]


def fill(message, fields: Sequence[Field]) -> Filled:
  """Sets a message's fields from those of a text.

  Raises:
    TextError: a field has no value of its kind, or stands twice where it can
      only stand once.
  """
  unknown, idle, stray = [], [], collections.defaultdict(list)
  for path, field in _fill(message, fields, ""):
    owner = field.owner
    within = path.rpartition(".")[0]
    stray[within].append(field.field)
    if owner.name.endswith("LayerParameter") and path in _FOR_OTHERS:
      continue
    if _is_idle(owner, field.field):
      idle.append((path, field.field.line))
      continue
    near = []
    if not unknown:  # The first is what a refusal names.
      near = difflib.get_close_matches(
        field.field.name, owner.fields_by_name, n=1, cutoff=0.6
      )
    unknown.append(Unknown(path, field.field.line, "".join(near)))
  values = {within: plain_values(found) for within, found in stray.items()}
  settings = values.pop("", {})
  nested = {within: x for within, x in values.items() if "." not in within}
  return Filled(tuple(unknown), tuple(idle), settings, nested)


class _Stray(NamedTuple):
  """A field that its message, `owner`, does not have."""

  owner: Any
  field: Field


def _fill(message, fields, path: str) -> Iterator[tuple[str, _Stray]]:
  descriptor, said = message.DESCRIPTOR, set()
  for field in fields:
    known = descriptor.fields_by_name.get(field.name)
    if known is None:
      yield path + field.name, _Stray(descriptor, field)
      continue
    part = getattr(message, field.name)
    repeated = hasattr(part, "extend")
    if field.name in said and not repeated:
      raise TextError(
        field.line, f"{field.name} stands there twice; remove one"
      )
    said.add(field.name)
    if known.message_type is not None:
      if not isinstance(field.value, tuple):
        raise TextError(field.line, f"{field.name} needs braces")
      if repeated:
        part = part.add()
      else:
        part.SetInParent()
      yield from _fill(part, field.value, f"{path}{field.name}.")
      continue
    if isinstance(field.value, tuple):
      raise TextError(field.line, f"{field.name} is no field with braces")
    value = _value(known, field)
    if value is None:
      yield path + field.name, _Stray(descriptor, field)
    elif repeated:
      getattr(message, field.name).append(value)
    else:
      setattr(message, field.name, value)


def _value(known, field: Field):
  """The value as the field's type; None for an engine of some fork."""
  word, name = field.value, field.name
  if known.type == FieldDescriptor.TYPE_STRING:
    if not isinstance(word, Quoted):
      raise TextError(field.line, f"{name}: {word} needs quotation marks")
    return str(word)
  if known.enum_type is not None:
    return _enum(known.enum_type, field)
  if isinstance(word, Quoted):
    raise TextError(field.line, f"{name} is no text, but it is {word[:40]!r}")
  if known.type == FieldDescriptor.TYPE_BOOL:
    if word not in _TRUTHS:
      raise TextError(field.line, f"{name} is true or false, not {word[:40]}")
    return _TRUTHS[word]
  try:
    if known.type in _INTEGERS:
      least, end = _INTEGERS[known.type]
      value = _whole(word)
      if not least <= value < end:
        raise ValueError
      return value
    return float(word.removesuffix("f")) if word[-1:] == "f" else float(word)
  except (ValueError, OverflowError):
    kind = "whole number" if known.type in _INTEGERS else "number"
    if known.type in _INTEGERS and _INTEGERS[known.type][0] == 0:
      kind += " from 0"
    raise TextError(
      field.line, f"{name} is a {kind}, not {word[:40]}"
    ) from None


def _whole(word: str) -> int:
  if word.lower().startswith(("0x", "-0x")):
    return int(word, 16)
  digits = word.lstrip("-")
  octal = len(digits) > 1 and digits.startswith("0")
  return int(word, 8 if octal else 10)


def _enum(kind, field: Field):
  values = kind.values_by_name
  if field.value in values:
    return values[field.value].number
  if field.value.isdecimal() and int(field.value) in kind.values_by_number:
    return int(field.value)
  if field.name == "engine":
    return None
  raise TextError(
    field.line,
    f"{field.name} is one of {', '.join(values)}, not {field.value[:40]}",
  )


def _is_idle(owner, field: Field) -> bool:
  name, of = field.name, owner.name
  if of == "NetParameter":
    return name in _IDLE_OF_NETS or name.startswith(_IDLE_OF_NET)
  engine = "cudnn" in name
  return (
    engine or of in _IDLE_MESSAGES or name in _IDLE or name.endswith(_IDLE_ENDS)
  )
