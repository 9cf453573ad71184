"""What of a net can be run here: the rest is left out and said."""

import difflib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jdeepvis.networks.caffe.caffe_layer import CaffeLayer, refusal
from jdeepvis.networks.caffe.data_layers import InputBlob
from jdeepvis.networks.caffe.reader import NetDescription
from jdeepvis.networks.layer_table import check_layer
from jdeepvis.networks.layer_types import BUILT_IN, LAYER_TYPES, kind_of
from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.left_out import LeftOut, sentences, why_missing
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError


class Runnable(NamedTuple):
  """What of a net can be run.

  Attributes:
    kept: the layers, each as ours with Caffe's own names of its blobs.
    notes: a sentence for each thing left out.
    read: blobs of them that layers left out read.
    weighed: those of `read` that a layer with weights depends on.
  """

  kept: list[tuple[CaffeLayer, LayerInfo]]
  notes: tuple[str, ...]
  read: frozenset[str]
  weighed: frozenset[str]


def image_input(net: NetDescription) -> InputBlob:
  """The input that holds the images; others are left out.

  Raises:
    JdeepvisError: there is none.
  """
  read = {bottom for layer in net.layers for bottom in layer.bottoms}
  inputs = [x for x in net.inputs if x.name in read] or list(net.inputs)
  if not inputs:
    raise JdeepvisError(
      f"{net.file} has 0 inputs; give the net's deploy.prototxt, or write at "
      'its top the two lines input: "data" and input_shape { dim: 1 dim: 3 '
      "dim: HEIGHT dim: WIDTH }."
    )

  def likeness(one):
    # Boxes, sizes of images and maps of labels are inputs too.
    colours = len(one.shape) == 4 and one.shape[1] == 3
    return len(one.shape) in (0, 4), _cells(one), colours, one.name == "data"

  return max(inputs, key=likeness)


def runnable(net: NetDescription, image: InputBlob) -> Runnable:
  """The layers that can be run, and a sentence for each that cannot.

  Raises:
    JdeepvisError: a layer is not written as it must be, reads what nothing
      writes, or nothing is left.
  """
  others = [x.name for x in net.inputs if x.name != image.name]
  missing = dict(net.absent) | dict.fromkeys(others, "")
  known, kept, cut, causes = {image.name}, [], [], {}
  for layer in _one_by_one(net.layers):
    cause = ""
    for bottom in layer.bottoms:
      if bottom in missing:
        cause = cause or missing[bottom] or f"input {bottom}"
      elif bottom not in known:
        close = nearest(bottom, known)
        raise JdeepvisError(
          f"{net.file}, line {layer.line}: layer {layer.name!r} reads the blob "
          f"{bottom!r}, which no layer before it writes; {close}."
        )
    info = None
    if not cause:
      info, reason = _layer_info(layer, net.file)
      if reason:
        cause = layer.name
        causes[cause] = reason, []
    if info is not None:
      kept.append((layer, info))
      known.update(layer.tops)
      for top in layer.tops:
        missing.pop(top, None)
      continue
    cut.append(layer)
    if cause != layer.name:
      why = why_missing(cause, others)
      causes.setdefault(cause, (why, []))[1].append(layer.name)
    missing |= dict.fromkeys(layer.tops, cause)
    known -= set(layer.tops)
  # A loss says how scores become probabilities, and computes them.
  for loss in net.losses[-1:]:
    kind = "Sigmoid" if loss.type.startswith("Sigmoid") else "Softmax"
    top = f"{loss.name}/probability"
    layer = loss._replace(type=kind, bottoms=loss.bottoms[:1], tops=(top,))
    info = layer.bottoms[0] in known and _layer_info(layer, net.file)[0]
    if info:
      kept.append((layer, info))
  notes = sentences(net.file, causes.values())
  if not kept:
    raise JdeepvisError(
      f"{net.file} has no layer that can be run: "
      f"{notes[0].removeprefix(f'{net.file}: ') if notes else 'it has none.'}"
    )
  read = {bottom for layer in cut for bottom in layer.bottoms}
  weighed: set[str] = set()
  for layer in reversed(cut):
    kind = kind_of(layer.type)
    weighs = kind is not None and LAYER_TYPES[kind].weighs
    if weighs or weighed & set(layer.tops):
      weighed |= set(layer.bottoms)
  return Runnable(kept, notes, frozenset(read), frozenset(weighed))


def _one_by_one(layers: Sequence[CaffeLayer]) -> Iterator[CaffeLayer]:
  """A layer of several bottoms, each with a top, as one that shares weights."""
  for layer in layers:
    kind, several = kind_of(layer.type), len(layer.bottoms) > 1
    each = several and kind is not None and LAYER_TYPES[kind].one_by_one
    if not each or len(layer.bottoms) != len(layer.tops):
      yield layer
      continue
    # Weights are shared by a name; those without one get it here.
    shared = [f"{layer.name}/{place}" for place in range(2)]
    for place, name in enumerate(layer.shared[:2]):
      shared[place] = name or shared[place]
    for place, ends in enumerate(zip(layer.bottoms, layer.tops, strict=True)):
      name = f"{layer.name}/{ends[1]}" if place else layer.name
      bottoms, tops = zip(ends, strict=True)
      yield layer._replace(
        name=name, bottoms=bottoms, tops=tops, shared=tuple(shared)
      )


def _layer_info(
  layer: CaffeLayer, file: str
) -> "tuple[LayerInfo | None, LeftOut | None]":
  """A layer as ours, or why it cannot be run.

  Raises:
    JdeepvisError: the layer is not written as it must be.
  """
  kind = kind_of(layer.type)
  if kind is None:
    return None, _unknown_type(layer)
  ours = LAYER_TYPES[kind]
  reader = ours.caffe[layer.type]
  # A reader of one's own sees all fields of a message that is not declared.
  if (layer.type, reader) in BUILT_IN or ours.settings:
    for unknown in layer.unknown:
      raise JdeepvisError(refusal(file, layer, unknown))
  try:
    found = {"kind": kind} | reader(layer)
    fields = {x: found.pop(x) for x in found.keys() & LayerInfo._fields}
    options = tuple(sorted(found.items()))
    info = LayerInfo(
      layer.name,
      inputs=layer.bottoms,
      outputs=layer.tops,
      options=options,
      **fields,
    )
    known = LAYER_TYPES.get(info.kind)
    outputs = layer.tops[:1] if known and known.mask else layer.tops
    check_layer(info._replace(outputs=outputs))
  except CannotRunError as error:
    return None, LeftOut(
      f"layer {layer.name!r} ({layer.type}) cannot be run here and is left out",
      f": {error}",
    )
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    raise JdeepvisError(
      f"{file}, line {layer.line}: layer {layer.name!r} ({layer.type}) cannot "
      f"be run: {str(error).rstrip('.')}."
    ) from error
  return info, None


def _unknown_type(layer: CaffeLayer) -> LeftOut:
  types = [name for ours in LAYER_TYPES.values() for name in ours.caffe]
  lower = {name.lower(): name for name in types}
  close = difflib.get_close_matches(layer.type.lower(), lower, n=1, cutoff=0.75)
  hint = f" (nearest: {lower[close[0]]})" if close else ""
  return LeftOut(
    f"layer {layer.name!r} is a {layer.type!r}, a type that is not known here"
    f"{hint}, and is left out",
    '; to run it, register it with layer_types.LAYER_TYPES["mine"] = '
    f"LayerType(apply, weights, caffe={{{layer.type!r}: no_settings}})",
  )


def _cells(one: InputBlob) -> int:
  """Places in an input's map; one whose size is not said may be large."""
  if len(one.shape) != 4:
    return 0
  return 2**40 if 0 in one.shape[2:] else one.shape[2] * one.shape[3]
