"""A net's description, a .prototxt, as plain data."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf import text_format

from jdeepvis.networks.caffe import schema
from jdeepvis.networks.caffe.arrays import brief, read_bytes
from jdeepvis.types import JdeepvisError

_MAX_TEXT = 4_000_000
_MAX_LAYERS = 5_000

_NEW_NAMES = {
  "ABSVAL": "AbsVal",
  "ARGMAX": "ArgMax",
  "BNLL": "BNLL",
  "HDF5_DATA": "HDF5Data",
  "HDF5_OUTPUT": "HDF5Output",
  "LRN": "LRN",
  "MVN": "MVN",
  "RELU": "ReLU",
  "SOFTMAX_LOSS": "SoftmaxWithLoss",
  "TANH": "TanH",
}

_TRAINING = frozenset(
  [
    "Accuracy",
    "Data",
    "DummyData",
    "HDF5Data",
    "HDF5Output",
    "ImageData",
    "MemoryData",
    "Silence",
    "WindowData",
  ]
)


class CaffeLayer(NamedTuple):
  """One layer of a net's description.

  Attributes:
    name: its name, not empty, of its own.
    type: what it does, in the new form's words (`Convolution`).
    bottoms: the blobs it reads.
    tops: the blobs it writes.
    shared: for each of its weights the name it is shared by, or "".
    message: the protobuf message with its settings (`convolution_param`, ...).
  """

  name: str
  type: str
  bottoms: tuple[str, ...]
  tops: tuple[str, ...]
  shared: tuple[str, ...]
  message: Any


class NetDescription(NamedTuple):
  """A net's description, in order of computation.

  Attributes:
    file: the name of its file, for messages.
    inputs: each input blob with its shape, batch first; the shape is empty
      where the file has none.
    layers: the layers that a trained net runs.
    notes: a sentence for each thing left out.
  """

  file: str
  inputs: tuple[tuple[str, tuple[int, ...]], ...]
  layers: tuple[CaffeLayer, ...]
  notes: tuple[str, ...]


def read_net(path: Path | str) -> NetDescription:
  """Reads a .prototxt, in the new (`layer`) or the old (`layers`) form.

  Layers of the training phase, data layers and losses are left out and noted.

  Raises:
    JdeepvisError: the file is missing, or describes no net.
  """
  data = read_bytes(path, "net description")
  try:
    if len(data) > _MAX_TEXT:
      raise ValueError(f"it has {len(data)} bytes, a description less")
    return parse_net(data.decode("utf-8"), str(path))
  except (ValueError, RecursionError) as error:
    if isinstance(error, JdeepvisError):
      raise
    raise JdeepvisError(
      f"{str(path)!r} is no .prototxt that describes a net: {brief(error)}."
    ) from error


def parse_net(text: str, file: str) -> NetDescription:
  """The net that a .prototxt's `text` describes; see `read_net`.

  Raises:
    JdeepvisError: the text describes no net.
  """
  net, notes = _parse(text, file)
  messages = net.layer or net.layers
  if net.layer and net.layers:
    raise JdeepvisError(
      f"{file} mixes `layer` and `layers`; a net is in one form."
    )
  if not messages or len(messages) > _MAX_LAYERS:
    raise JdeepvisError(
      f"{file} has {len(messages)} layers; a net has 1 to {_MAX_LAYERS}."
    )
  inputs, layers, taken = _declared_inputs(net, file), [], set()
  for number, message in enumerate(messages):
    layer = _normalise(message, number, taken, file)
    reason = _why_left_out(layer, net.state)
    if layer.type == "Input" and not reason:
      inputs += _input_layer(layer, file)
    elif reason:
      notes.append(f"{file}: layer {layer.name!r} is left out, {reason}.")
    else:
      layers.append(layer)
      taken.add(layer.name)
  return NetDescription(file, tuple(inputs), tuple(layers), tuple(notes))


def _parse(text: str, file: str):
  net, notes = schema.message_class("NetParameter")(), []
  try:
    text_format.Parse(text, net)
    return net, notes
  except text_format.ParseError as error:
    first = error
  except RecursionError:
    raise JdeepvisError(f"{file} nests braces too deeply for a net.") from None
  unknown = re.search(r'"[\w.]*?(\w+)" has no field named "(\w+)"', str(first))
  # Unknown settings of data, loss and custom layers do not matter; within a
  # layer that is run, one may change what it computes.
  if not unknown or unknown[1] not in ("LayerParameter", "V1LayerParameter"):
    raise JdeepvisError(f"{file} cannot be read: {brief(first)}.") from None
  net.Clear()
  try:
    text_format.Parse(text, net, allow_unknown_field=True)
  except (text_format.ParseError, RecursionError) as error:
    raise JdeepvisError(f"{file} cannot be read: {brief(error)}.") from None
  notes.append(
    f"{file}: settings that only training or unknown layers have are left "
    f"out, {unknown[2]} the first."
  )
  return net, notes


def _declared_inputs(net, file: str) -> list:
  names = list(net.input)
  if net.input_shape:
    shapes = [tuple(shape.dim) for shape in net.input_shape]
  else:
    dims = list(net.input_dim)
    shapes = [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
  shapes = shapes or [()] * len(names)
  if len(shapes) != len(names):
    raise JdeepvisError(
      f"{file} has {len(names)} inputs but {len(shapes)} input shapes."
    )
  return list(zip(names, shapes, strict=True))


def _input_layer(layer: CaffeLayer, file: str) -> list:
  shapes = [tuple(shape.dim) for shape in layer.message.input_param.shape]
  shapes = shapes * len(layer.tops) if len(shapes) == 1 else shapes
  shapes = shapes or [()] * len(layer.tops)
  if len(shapes) != len(layer.tops):
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(layer.tops)} tops but "
      f"{len(shapes)} shapes."
    )
  return list(zip(layer.tops, shapes, strict=True))


def _normalise(message, number: int, taken: set, file: str) -> CaffeLayer:
  old = message.DESCRIPTOR.name == "V1LayerParameter"
  if old and message.HasField("layer"):
    raise JdeepvisError(
      f"{file} is in the oldest form (`layers {{ layer {{ ... }} }}`); "
      "upgrade it with Caffe's upgrade_net_proto_text."
    )
  kind = _new_name(_type_word(message)) if old else message.type
  name = message.name or f"{kind.lower()}{number}"
  while name in taken:
    name += "_"
  shared = tuple(message.param) if old else tuple(p.name for p in message.param)
  return CaffeLayer(
    name, kind, tuple(message.bottom), tuple(message.top), shared, message
  )


def _type_word(message) -> str:
  field = message.DESCRIPTOR.fields_by_name["type"]
  return field.enum_type.values_by_number[message.type].name


def _new_name(old: str) -> str:
  if old in _NEW_NAMES:
    return _NEW_NAMES[old]
  return "".join(word.capitalize() for word in old.split("_"))


def _why_left_out(layer: CaffeLayer, state) -> str:
  message, test = layer.message, 1
  included = [_admits(rule, state) for rule in message.include]
  if included and not any(included):
    return "it is for training only"
  if any(_admits(rule, state) for rule in message.exclude):
    return "it is for training only"
  phase = message.DESCRIPTOR.fields_by_name.get("phase")
  if phase and message.HasField("phase") and message.phase != test:
    return "it is for training only"
  if layer.type in _TRAINING or layer.type.endswith("Loss"):
    return f"a trained net has no use for {layer.type}"
  return ""


def _admits(rule, state) -> bool:
  """Whether the test phase meets a rule, with the file's level and stages."""
  test, stages = 1, set(state.stage)
  return not (
    (rule.HasField("phase") and rule.phase != test)
    or (rule.HasField("min_level") and state.level < rule.min_level)
    or (rule.HasField("max_level") and state.level > rule.max_level)
    or (set(rule.stage) - stages)
    or (set(rule.not_stage) & stages)
  )
