"""Caffe's messages for the protobuf library, built when first used."""

import functools
import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from jdeepvis.networks.caffe.messages import MESSAGES, SETTINGS, WEIGHTS
from jdeepvis.networks.layer_types import LAYER_TYPES

_PACKAGE = "jdeepvis.caffe"

_OWN = 4001
"""The first number of settings that stand with their layer type."""

_FIELD = re.compile(r"(\w+)=(\d+) (\w+|\{[^}]*\})(\*?)(?: (\S+))?")
_SCALARS = frozenset(
  ["bool", "bytes", "double", "float", "int32", "int64", "string", "uint32"]
)


def message_class(name: str):
  """The message `name` with all its fields, for text and for writing."""
  own = dict(x.settings for x in LAYER_TYPES.values() if x.settings)
  return _class(_pool(tuple(own.items())), name)


@functools.cache
def weights_class(name: str):
  """The message `name` with weights alone, as raw little-endian bytes."""
  return _class(_weights_pool(), name)


@functools.cache
def _pool(own):
  messages = dict(MESSAGES)
  for number, (name, fields) in enumerate(own, start=_OWN):
    messages[f"Own{number}"] = fields
    for layer in ("LayerParameter", "V1LayerParameter"):
      messages[layer] += f"; {name}={number} Own{number}"
  for setting in SETTINGS.split(";"):
    name, message, new, old = setting.split()
    field = f"; {name}_param={{}} {message}Parameter"
    messages["LayerParameter"] += field.format(new)
    # Forks in the old form have words of the new one.
    old = old if old != "0" else 2000 + int(new)
    messages["V1LayerParameter"] += field.format(old)
  return _build(messages)


@functools.cache
def _weights_pool():
  return _build(WEIGHTS)


def _class(pool, name: str):
  descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
  return message_factory.GetMessageClass(descriptor)


def _build(messages: dict[str, str]):
  file = descriptor_pb2.FileDescriptorProto(
    name="jdeepvis_caffe.proto", package=_PACKAGE, syntax="proto2"
  )
  for name, fields in messages.items():
    message = file.message_type.add(name=name)
    for field in fields.split(";"):
      _add_field(message, *_FIELD.fullmatch(field.strip()).groups())
  pool = descriptor_pool.DescriptorPool()
  pool.Add(file)
  return pool


def _add_field(message, name, number, kind, repeated, default):
  proto = descriptor_pb2.FieldDescriptorProto
  label = proto.LABEL_REPEATED if repeated else proto.LABEL_OPTIONAL
  field = message.field.add(name=name, number=int(number), label=label)
  if default:
    field.default_value = default
  if kind in _SCALARS:
    field.type = getattr(proto, f"TYPE_{kind.upper()}")
    in_blob = message.name.startswith("Blob")
    field.options.packed = bool(repeated) and in_blob and kind != "bytes"
  elif kind.startswith("{"):
    enum = message.enum_type.add(name=f"{name.title()}Values")
    for value, word in enumerate(kind.strip("{}").split()):
      enum.value.add(name=word, number=value)
    field.type = proto.TYPE_ENUM
    field.type_name = f".{_PACKAGE}.{message.name}.{enum.name}"
  else:
    field.type = proto.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{kind}"
