"""A net's description, a .prototxt, as plain data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jdeepvis.networks.caffe import schema, v0
from jdeepvis.networks.caffe.arrays import read_bytes
from jdeepvis.networks.caffe.caffe_layer import (
  CaffeLayer,
  nearest_field,
  read_layer,
  refusal,
)
from jdeepvis.networks.caffe.data_layers import (
  InputBlob,
  Transform,
  declared_inputs,
  input_blobs,
  is_data,
  named_once,
  source_of_images,
  transform_of,
)
from jdeepvis.networks.caffe.fields import Filled, fill
from jdeepvis.networks.caffe.text import (
  Field,
  TextError,
  decode,
  is_net,
  parse,
)
from jdeepvis.types import JdeepvisError

_MAX_TEXT = 4_000_000
_MAX_LAYERS = 5_000

_NO_OUTPUT = frozenset(["Accuracy", "HDF5Output", "Silence"])
_LOSSES = ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss")


class NetDescription(NamedTuple):
  """A net's description, in order of computation.

  Attributes:
    file: the name of its file, for messages.
    inputs: the input blobs.
    layers: the layers that a trained net runs.
    notes: a sentence for each thing left out.
    absent: blobs that are not there, each with the layer that would write it.
    losses: layers that say how scores become probabilities.
    transform: what the file says of the images' mean and scale, or None.
  """

  file: str
  inputs: tuple[InputBlob, ...]
  layers: tuple[CaffeLayer, ...]
  notes: tuple[str, ...]
  absent: Mapping[str, str]
  losses: tuple[CaffeLayer, ...]
  transform: Transform | None


def read_net(path: Path | str) -> NetDescription:
  """Reads a .prototxt, in the new (`layer`) or an old (`layers`) form.

  Layers of the training phase, data layers and losses are left out and noted.

  Raises:
    JdeepvisError: the file is missing, or describes no net.
  """
  data = read_bytes(path, "net description")
  if len(data) > _MAX_TEXT:
    raise JdeepvisError(
      f"{str(path)!r} is no .prototxt that describes a net: it has "
      f"{len(data)} bytes, a description less than {_MAX_TEXT}."
    )
  return parse_net(decode(data), str(path))


def is_description(path: Path | str) -> bool:
  """Whether a file, of any name, is the text of a net's description."""
  path = Path(path)
  if path.suffix == ".prototxt":
    return True
  try:
    if not path.is_file() or path.stat().st_size > _MAX_TEXT:
      return False
    return is_net(path.read_bytes())
  except OSError:
    return False


def parse_net(text: str, file: str) -> NetDescription:
  """The net that a .prototxt's `text` describes; see `read_net`.

  Raises:
    JdeepvisError: the text describes no net.
  """
  try:
    return _net(parse(text), file)
  except TextError as error:
    raise JdeepvisError(f"{file} cannot be read: {error}.") from error


def _net(fields: Sequence[Field], file: str) -> NetDescription:
  texts = [x for x in fields if x.name in ("layer", "layers")]
  if not texts or len(texts) > _MAX_LAYERS:
    raise JdeepvisError(
      f"{file} has {len(texts)} layers; give a net's deploy.prototxt, which "
      f"has 1 to {_MAX_LAYERS}."
    )
  for field in texts:
    if not isinstance(field.value, tuple):
      raise TextError(field.line, f"{field.name} needs braces")
  if any(v0.is_v0(x.value) for x in texts if x.name == "layers"):
    fields = v0.upgraded(fields)
    texts = [x for x in fields if x.name == "layer"]
  if len({x.name for x in texts}) > 1:
    raise JdeepvisError(
      f"{file} mixes `layer` and `layers`; write all layers in one form."
    )
  net, idle = _net_message(fields, file)
  return _Reading(file, net, idle).description(texts)


def _net_message(fields, file: str):
  net = schema.message_class("NetParameter")()
  filled = fill(net, [x for x in fields if x.name not in ("layer", "layers")])
  for unknown in filled.unknown:
    raise JdeepvisError(
      f"{file}, line {unknown.line}: the net has the field {unknown.path!r}, "
      f"which is not known here{nearest_field(unknown)}; remove it, if the net "
      "was trained without it."
    )
  return net, [(path, line, "the net") for path, line in filled.idle]


class _Reading:
  """The layers of one file, as they are sorted."""

  def __init__(self, file: str, net, idle):
    self.file, self.net = file, net
    self.idle = idle
    self.notes: list[str] = []
    self.layers: list[CaffeLayer] = []
    self.losses: list[CaffeLayer] = []
    self.data: list[tuple[CaffeLayer, bool, str]] = []
    self.absent: dict[str, str] = {}
    self.transforms: list[Transform] = []
    self.inputs: list[InputBlob] = []

  def description(self, texts: Sequence[Field]) -> NetDescription:
    taken: set[str] = set()
    for number, text in enumerate(texts):
      layer, filled = read_layer(text, number, taken)
      # TRAIN and TEST may each have a layer of the same name.
      if self._runs(layer, filled):
        taken.add(layer.name)
    inputs = named_once(
      [*declared_inputs(self.net, self.file), *self.inputs], self.file
    )
    written = {top for layer in self.layers for top in layer.tops}
    read = {bottom for layer in self.layers for bottom in layer.bottoms}
    inputs = [x for x in inputs if x.shape or x.name not in written]
    source, notes = None, []
    if not any(x.name in read for x in inputs):
      source = source_of_images(self.data, read - written, self.file)
    if source:
      inputs.append(source.blob)
      notes.append(source.note)
    others = (x for x in self.data if not source or x[0] is not source.layer)
    notes += [note for _, _, note in others]
    for name in written | {x.name for x in inputs}:
      self.absent.pop(name, None)
    return NetDescription(
      self.file,
      tuple(inputs),
      tuple(self.layers),
      tuple(self._idle_notes() + notes + self.notes),
      self.absent,
      tuple(self.losses),
      next(iter(self.transforms), None),
    )

  def _runs(self, layer: CaffeLayer, filled: Filled) -> bool:
    """Sorts a layer; whether it is one that a trained net runs."""
    training = _why_absent(layer, self.net.state)
    data = is_data(layer)
    transform = transform_of(layer) if data or layer.type == "Input" else None
    if transform and not training:
      self.transforms.insert(0, transform)
    elif transform:
      self.transforms.append(transform)
    if layer.type == "Input" and not training:
      self.inputs += input_blobs(layer, self.file)
      self._refuse_unknown(layer)
      return False
    reason = training
    if training:
      pass
    elif data:
      reason = "it reads images from elsewhere"
    elif layer.type in _NO_OUTPUT or layer.type.endswith("Loss"):
      reason = f"a trained net has no use for {layer.type}"
    if not reason:
      where = f"layer {layer.name!r}"
      self.idle += [(path, line, where) for path, line in filled.idle]
      self.layers.append(layer)
      return True
    said = ", ".join(filled.settings)
    note = (
      f"{self.file}: layer {layer.name!r} is left out, {reason}"
      f"{f' ({said})' if said else ''}."
    )
    if data:
      self.data.append((layer, bool(training), note))
    else:
      self.notes.append(note)
    if layer.type in _LOSSES and not training and layer.bottoms:
      self.losses.append(layer)
    for top in layer.tops:
      self.absent.setdefault(top, layer.name)
    return False

  def _refuse_unknown(self, layer: CaffeLayer) -> None:
    for unknown in layer.unknown:
      raise JdeepvisError(refusal(self.file, layer, unknown))

  def _idle_notes(self) -> list[str]:
    """One sentence for each field that changes nothing, however often."""
    places: dict[str, list[tuple[int, str]]] = {}
    for path, line, where in self.idle:
      places.setdefault(path, []).append((line, where))
    sentences = []
    for path, found in places.items():
      more = f" and {len(found) - 1} more" if len(found) > 1 else ""
      line, where = found[0]
      sentences.append(
        f"{self.file}: {path} of {where}, line {line}{more}, is passed over; "
        "it changes nothing in a trained net."
      )
    return sentences


def _why_absent(layer: CaffeLayer, state) -> str:
  """Why a layer is not in the test phase, at the file's stages, or ""."""
  message, test = layer.message, 1
  include = list(message.include)
  if include and not any(_admits(rule, state) for rule in include):
    for rule in include:
      missing = sorted(set(rule.stage) - set(state.stage))
      if missing and not (rule.HasField("phase") and rule.phase != test):
        said = " ".join(f'stage: "{stage}"' for stage in missing)
        return (
          "it is for a stage that the file does not set; to have it, write "
          f"state {{ {said} }} at the file's top"
        )
    return "it is for training only"
  phase = message.DESCRIPTOR.fields_by_name.get("phase")
  other = bool(phase) and message.HasField("phase") and message.phase != test
  excluded = any(_admits(rule, state) for rule in message.exclude)
  return "it is for training only" if other or excluded else ""


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
