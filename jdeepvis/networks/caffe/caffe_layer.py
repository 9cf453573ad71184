"""One layer of a net's description, from its text."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jdeepvis.networks.caffe import schema
from jdeepvis.networks.caffe.fields import Filled, Unknown, fill
from jdeepvis.networks.caffe.text import Field, Quoted, TextError

_NEW_NAMES = {
  "ABSVAL": "AbsVal",
  "ARGMAX": "ArgMax",
  "BN": "BN",
  "BNLL": "BNLL",
  "ELU": "ELU",
  "HDF5_DATA": "HDF5Data",
  "HDF5_OUTPUT": "HDF5Output",
  "LRN": "LRN",
  "MVN": "MVN",
  "PRELU": "PReLU",
  "RELU": "ReLU",
  "SOFTMAX_LOSS": "SoftmaxWithLoss",
  "TANH": "TanH",
}


class CaffeLayer(NamedTuple):
  """One layer of a net's description.

  Attributes:
    name: its name, not empty, of its own.
    type: what it does, in the new form's words (`Convolution`).
    bottoms: the blobs it reads.
    tops: the blobs it writes.
    shared: for each of its weights the name it is shared by, or "".
    message: its settings by name (`convolution_param`, ...): a protobuf
      message, or `text.Settings` where the type is not Caffe's.
    line: where it stands in the file, from 1.
    unknown: fields that are not known and may change what it computes.
  """

  name: str
  type: str
  bottoms: tuple[str, ...]
  tops: tuple[str, ...]
  shared: tuple[str, ...]
  message: Any
  line: int = 0
  unknown: tuple[Unknown, ...] = ()


def read_layer(
  text: Field, number: int, taken: set
) -> tuple[CaffeLayer, Filled]:
  """A layer, and what became of its fields.

  Args:
    text: the layer as it is written.
    number: its place in the net, for a layer without a name.
    taken: the names of those before it.

  Raises:
    TextError: it has no type, or a field has no value of its kind.
  """
  old = text.name == "layers"
  message = schema.message_class(
    "V1LayerParameter" if old else "LayerParameter"
  )()
  said = {x.name: x.value for x in text.value}
  where = f"layer {str(said.get('name', number))!r}"
  try:
    kind = _type(text, message)
    where += f" ({kind})"
    filled = fill(message, [x for x in text.value if x.name != "type"])
  except TextError as error:
    raise TextError(error.line, f"{where}: {error.what}") from error
  name = message.name or f"{kind.lower()}{number}"
  while name in taken:
    name += "_"
  shared = tuple(message.param) if old else tuple(p.name for p in message.param)
  within = {
    part: _LayerMessage(getattr(message, part), settings)
    for part, settings in filled.nested.items()
  }
  layer = CaffeLayer(
    name,
    kind,
    tuple(message.bottom),
    tuple(message.top),
    shared,
    _LayerMessage(message, {**filled.settings, **within}),
    text.line,
    filled.unknown,
  )
  return layer, filled


def _type(text: Field, message) -> str:
  """A layer's type; an old one's word may be a number, or of a fork."""
  words = [x.value for x in text.value if x.name == "type"]
  if len(words) != 1 or not isinstance(words[0], str) or not words[0]:
    raise TextError(text.line, 'it needs one type: "..."')
  (word,) = words
  known = message.DESCRIPTOR.fields_by_name["type"].enum_type
  if isinstance(word, Quoted) and not (known and word in known.values_by_name):
    return str(word)
  if known and word.isdecimal() and int(word) in known.values_by_number:
    word = known.values_by_number[int(word)].name
  if word in _NEW_NAMES:
    return _NEW_NAMES[word]
  return "".join(part.capitalize() for part in word.split("_"))


def refusal(file: str, layer: CaffeLayer, unknown: Unknown) -> str:
  """The sentence for a field that may change what a layer computes."""
  return (
    f"{file}, line {unknown.line}: layer {layer.name!r} ({layer.type}) has the "
    f"field {unknown.path!r}, which is not known here and may change what it "
    f"computes{nearest_field(unknown)}; correct its name, remove it if the net "
    "was trained without it, or change the layer's type, and it is left out."
  )


def nearest_field(unknown: Unknown) -> str:
  """The known field most like it, in brackets, or nothing."""
  return f" (nearest: {unknown.nearest})" if unknown.nearest else ""


class _LayerMessage:
  """A layer's settings: those of its message, and those that it lacks."""

  def __init__(self, message, settings: Mapping[str, Any]):
    self._message = message
    self._settings = settings

  def strange(self, name: str) -> list[str]:
    """The fields of its settings `name` that their message lacks."""
    found = self._settings.get(name)
    return list(found._settings) if isinstance(found, _LayerMessage) else []

  def __getattr__(self, name: str):
    # Python asks for names of its own before there is anything.
    if name.startswith("_"):
      raise AttributeError(name)
    if name in self._settings:
      return self._settings[name]
    try:
      return getattr(self._message, name)
    except AttributeError:
      raise AttributeError(f"it does not say {name}") from None
