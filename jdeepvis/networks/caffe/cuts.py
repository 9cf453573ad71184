"""What of a net can be run here: the rest is left out and said."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jdeepvis.networks.caffe.data_layers import InputBlob
from jdeepvis.networks.caffe.layers import BUILT_IN, READERS
from jdeepvis.networks.caffe.reader import CaffeLayer, NetDescription, refusal
from jdeepvis.networks.caffe.steps import CannotRunError, Step
from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.layer_table import check_layer
from jdeepvis.networks.layer_types import LAYER_TYPES, Shape
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

_SAID = 8
_WEIGHTED = frozenset(
  ["Convolution", "Deconvolution", "InnerProduct", "Eltwise", "Scale"]
)


class Runnable(NamedTuple):
  """What of a net can be run.

  Attributes:
    kept: the layers, each with its operation.
    notes: a sentence for each thing left out.
    read: blobs of them that layers left out read.
    weighed: those of `read` that a layer with weights depends on.
  """

  kept: list[tuple[CaffeLayer, Step]]
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
  # Boxes and sizes of images are inputs too, but no maps.
  return max(inputs, key=lambda x: (len(x.shape) in (0, 4), _cells(x)))


def runnable(net: NetDescription, image: InputBlob) -> Runnable:
  """The layers that can be run, and a sentence for each that cannot.

  Raises:
    JdeepvisError: a layer is not written as it must be, reads what nothing
      writes, or nothing is left.
  """
  others = [x.name for x in net.inputs if x.name != image.name]
  missing = dict(net.absent) | dict.fromkeys(others, "")
  known, kept, cut, causes = {image.name}, [], [], {}
  for layer in net.layers:
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
    step = None
    if not cause:
      step, reason = _step(layer, net.file)
      if reason:
        cause = layer.name
        causes[cause] = reason, []
    if step is not None:
      kept.append((layer, step))
      known.update(layer.tops)
      for top in layer.tops:
        missing.pop(top, None)
      continue
    cut.append(layer)
    if cause != layer.name:
      why = _why_missing(cause, others)
      causes.setdefault(cause, (why, []))[1].append(layer.name)
    missing |= dict.fromkeys(layer.tops, cause)
    known -= set(layer.tops)
  # A loss says how scores become probabilities, and computes them.
  for loss in net.losses[-1:]:
    kind = "Sigmoid" if loss.type.startswith("Sigmoid") else "Softmax"
    top = f"{loss.name}/probability"
    layer = loss._replace(type=kind, bottoms=loss.bottoms[:1], tops=(top,))
    if layer.bottoms[0] in known and (step := _step(layer, net.file)[0]):
      kept.append((layer, step))
  notes = tuple(
    f"{net.file}: {why.sentence(names)}." for why, names in causes.values()
  )
  if not kept:
    raise JdeepvisError(
      f"{net.file} has no layer that can be run: "
      f"{notes[0].removeprefix(f'{net.file}: ') if notes else 'it has none.'}"
    )
  read = {bottom for layer in cut for bottom in layer.bottoms}
  weighed: set[str] = set()
  for layer in reversed(cut):
    if layer.type in _WEIGHTED or weighed & set(layer.tops):
      weighed |= set(layer.bottoms)
  return Runnable(kept, notes, frozenset(read), frozenset(weighed))


def layer_info(layer: CaffeLayer, step: Step) -> LayerInfo:
  """The layer as data, with Caffe's own names of its blobs."""
  options = tuple(sorted(step.options.items()))
  return LayerInfo(
    layer.name, step.kind, layer.bottoms, layer.tops, *step[1:5], options
  )


def with_unpooling(
  layers: tuple[LayerInfo, ...],
) -> tuple[LayerInfo, ...]:
  """Unpooling to a size that is said takes its scale from its pooling.

  As in SegNet, where the mask alone says where values go.
  """
  masks = _masks(layers)
  return tuple(
    _with_scale(layer, masks[layer.inputs[1]].kernel)
    if layer.kind == "unpool"
    and layer.option("to")
    and layer.inputs[1] in masks
    else layer
    for layer in layers
  )


def with_exact_unpooling(
  layers: tuple[LayerInfo, ...], shapes: Mapping[str, Shape], file: str
) -> tuple[tuple[LayerInfo, ...], tuple[str, ...]]:
  """Leaves out unpooling that does not undo its pooling cell by cell.

  An unpooled map must be as large as the one that was pooled, whose cells the
  mask counts, and no two windows may share a cell.
  """
  masks, notes = _masks(layers), []
  for layer in layers:
    if layer.kind != "unpool":
      continue
    pool = masks.get(layer.inputs[1])
    exact = (
      pool is not None
      and pool.kernel == pool.stride == layer.option("scale")
      and pool.pad == (0, 0)
      and shapes[pool.inputs[0]][:2] == shapes[layer.outputs[0]][:2]
    )
    if exact or layer not in layers:
      continue
    layers, names = _without(layers, layer)
    why = _Why(
      f"layer {layer.name!r} cannot be run here and is left out",
      ": its mask is not that of a maximum over windows without overlap or "
      "padding, of a map of the unpooled size",
    )
    notes.append(f"{file}: {why.sentence(names)}.")
  return layers, tuple(notes)


def small_size(
  layers: tuple[LayerInfo, ...], shapes: Mapping[str, Shape], file: str
) -> tuple[str, ...]:
  """A sentence where the image is smaller than what a unit looks at.

  Of a net with a classifier only where a window is larger than its map: its
  file says the size that it was trained on.
  """
  height, width, _ = shapes[INPUT]
  free = not any(_sees_all(layer, shapes) for layer in layers)
  # Of each blob: how much of the image a unit sees, and from one to the next.
  fields = {INPUT: ((1, 1), (1, 1))}
  largest, where = (1, 1), ""
  for layer in layers:
    read = [fields[name] for name in layer.inputs if name in fields]
    if LAYER_TYPES[layer.kind].reach == "map" or len(read) < len(layer.inputs):
      continue
    seen = tuple(max(field[i] for field, _ in read) for i in (0, 1))
    step = read[0][1]
    spans = tuple(layer.dilation[i] * (layer.kernel[i] - 1) + 1 for i in (0, 1))
    seen = tuple(seen[i] + (spans[i] - 1) * step[i] for i in (0, 1))
    step = tuple(step[i] * layer.stride[i] for i in (0, 1))
    fields |= dict.fromkeys(layer.outputs, (seen, step))
    over = [
      spans[i] > shapes[layer.inputs[0]][i] and spans[i] > 1
      for i in (0, 1)
      if len(shapes[layer.inputs[0]]) == 3
    ]
    if (free or any(over)) and max(seen) > max(largest):
      largest, where = seen, layer.outputs[0]
  if largest[0] <= height and largest[1] <= width:
    return ()
  return (
    f"{file}: the input of {height} x {width} pixels is smaller than the "
    f"{largest[0]} x {largest[1]} that a unit of {where!r} looks at; "
    "size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH gives a larger one.",
  )


def _step(layer: CaffeLayer, file: str) -> "tuple[Step | None, _Why | None]":
  """A layer's operation, or why it cannot be run.

  Raises:
    JdeepvisError: the layer is not written as it must be.
  """
  reader = READERS.get(layer.type)
  if reader is None:
    return None, _unknown_type(layer)
  if (layer.type, reader) in BUILT_IN:
    for unknown in layer.unknown:
      raise JdeepvisError(refusal(file, layer, unknown))
  try:
    step = reader(layer)
    if step.kind not in LAYER_TYPES:
      raise ValueError(f"there is no LAYER_TYPES[{step.kind!r}]")
    if len(layer.tops) > 1 and step.mask:
      check_layer(layer_info(layer._replace(tops=layer.tops[:1]), step))
    else:
      check_layer(layer_info(layer, step))
  except CannotRunError as error:
    return None, _Why(
      f"layer {layer.name!r} ({layer.type}) cannot be run here and is left out",
      f": {error}",
    )
  except (AttributeError, LookupError, TypeError, ValueError) as error:
    raise JdeepvisError(
      f"{file}, line {layer.line}: layer {layer.name!r} ({layer.type}) cannot "
      f"be run: {str(error).rstrip('.')}."
    ) from error
  return step, None


class _Why(NamedTuple):
  """Why a layer is left out: before and behind those that depend on it."""

  before: str
  behind: str = ""

  def sentence(self, names: Sequence[str]) -> str:
    if not names:
      return self.before + self.behind
    more = f" and {len(names) - _SAID} more" if len(names) > _SAID else ""
    listed = f"layer{'s' * (len(names) > 1)} {', '.join(names[:_SAID])}{more}"
    return f"{self.before} with what depends on it, {listed}{self.behind}"


def _unknown_type(layer: CaffeLayer) -> _Why:
  close = nearest(layer.type, READERS)
  hint = f" ({close})" if close.startswith("nearest") else ""
  return _Why(
    f"layer {layer.name!r} is a {layer.type!r}, a type that is not known here"
    f"{hint}, and is left out",
    "; to run it, register it with caffe.layers.READERS[type] = lambda layer: "
    'Step("mine") and layer_types.LAYER_TYPES["mine"] = '
    "LayerType(apply, weights)",
  )


def _why_missing(cause: str, others: Sequence[str]) -> _Why:
  second = cause.removeprefix("input ")
  if second != cause and second in others:
    return _Why(
      f"the second input {second!r} is left out",
      "; a network here is given images alone",
    )
  return _Why(f"layer {cause!r} is left out")


def _masks(layers: Sequence[LayerInfo]) -> dict[str, LayerInfo]:
  return {x.outputs[0]: x for x in layers if x.kind == "max_pooling_mask"}


def _with_scale(layer: LayerInfo, scale: tuple[int, int]) -> LayerInfo:
  options = dict(layer.options) | {"scale": scale}
  return layer._replace(options=tuple(sorted(options.items())))


def _without(layers: tuple[LayerInfo, ...], bad: LayerInfo):
  """The layers without one and all that depend on it, and their names."""
  gone, kept, names = set(bad.outputs), [], []
  for layer in layers:
    if layer == bad:
      continue
    if gone & set(layer.inputs):
      gone |= set(layer.outputs)
      names.append(layer.name)
    else:
      kept.append(layer)
  return tuple(kept), names


def _cells(one: InputBlob) -> int:
  """Places in an input's map; one whose size is not said may be large."""
  if len(one.shape) != 4:
    return 0
  return 2**40 if 0 in one.shape[2:] else one.shape[2] * one.shape[3]


def _sees_all(layer: LayerInfo, shapes: Mapping[str, Shape]) -> bool:
  if LAYER_TYPES[layer.kind].reach == "map" and layer.kind != "deconvolution":
    return True
  shape = shapes[layer.inputs[0]] if layer.inputs else ()
  return (
    layer.kind == "average_pooling"
    and layer.kernel == shape[:2]
    and layer.kernel != (1, 1)
  )
