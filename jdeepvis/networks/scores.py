"""Which blob of a net holds its class scores, and what it says of them."""

from collections.abc import Mapping

from jdeepvis.networks.caffe_axes import own_axis
from jdeepvis.networks.layer_types import LAYER_TYPES, is_relu
from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.readings import reading
from jdeepvis.types import JdeepvisError

_SCORES = "scores"


def with_scores(
  layers: tuple[LayerInfo, ...],
  shapes: Mapping[str, Shape],
  read: frozenset[str] = frozenset(),
  weighed: frozenset[str] = frozenset(),
  last: str | None = None,
) -> tuple[tuple[LayerInfo, ...], str | None]:
  """Finds the class scores; they are taken before a ReLU, not after.

  They are what a softmax or a last sigmoid reads. What is rectified, or the
  average or maximum of a rectified map, has no gradient for a class that is
  negative at every position, so the value before the ReLU replaces it, whether
  or not a softmax follows. A net without either ends in its scores where its
  last layer is linear in its weights, perhaps cropped, resized or added up as
  segmentation does, or such an average; else there are none.

  Args:
    layers: a layer graph, in order of computation.
    shapes: of its blobs.
    read: blobs that layers which were left out read.
    weighed: those of them that a layer with weights depends on.
    last: the blob that the net ends in; None is the last layer's first.
  """
  writers = {name: layer for layer in layers for name in layer.outputs}
  said = reading(layers, weighed)
  scores = said.inputs[0] if said else last or layers[-1].outputs[0]
  same = [kind for kind, ours in LAYER_TYPES.items() if ours.same_values]
  last = _source(scores, writers, same)
  if last is None:
    return layers, scores if said else None
  average, largest = _sums_up(last, shapes)
  if not said and (
    scores in read or not (average or scores in _linear_blobs(layers))
  ):
    return layers, None
  if _rectifies(last):
    return layers, last.inputs[0]
  pooled = average or largest
  relu = pooled and _source(last.inputs[0], writers, ("identity",))
  if not relu or not _rectifies(relu):
    return layers, scores
  name = fresh(_SCORES, set(shapes))
  before = last._replace(name=name, inputs=relu.inputs, outputs=(name,))
  place = layers.index(last)
  return (*layers[:place], before, *layers[place:]), name


def fresh(name: str, taken: set) -> str:
  """A name that is not taken yet, and is now."""
  while name in taken:
    name += "_"
  taken.add(name)
  return name


def _source(blob: str, writers, same) -> LayerInfo | None:
  """The layer that computes a blob, behind those that only hand it on."""
  layer = writers.get(blob)
  while layer and layer.kind in same:
    layer = writers.get(layer.inputs[0])
  return layer


def _linear_blobs(layers: tuple[LayerInfo, ...]) -> set[str]:
  """What ends in weights that nothing bends: cropped, resized, added up too."""
  linear: set[str] = set()
  for layer in layers:
    ours = LAYER_TYPES[layer.kind]
    on = ours.same_values or ours.resizes
    added = layer.kind == "eltwise" and layer.option("operation") == "sum"
    read = set(layer.inputs if added else layer.inputs[:1])
    if ours.product or ((on or added) and read <= linear):
      linear |= set(layer.outputs)
  return linear


def along_channels(
  layers: tuple[LayerInfo, ...], shapes: Mapping[str, Shape]
) -> tuple[LayerInfo, ...]:
  """Layers whose axis, however counted, is the channels' as plain ones."""
  return tuple(_along_channels(layer, shapes) for layer in layers)


def _along_channels(layer: LayerInfo, shapes) -> LayerInfo:
  kind = layer.kind.removesuffix("_axis")
  if kind == layer.kind or kind not in LAYER_TYPES:
    return layer
  ndim = len(shapes[layer.inputs[0]]) + 1
  try:
    channels = own_axis(layer.option("axis"), ndim) == ndim - 1
  except JdeepvisError:
    return layer
  options = tuple(pair for pair in layer.options if pair[0] != "axis")
  return layer._replace(kind=kind, options=options) if channels else layer


def _rectifies(layer: LayerInfo) -> bool:
  return is_relu(layer) or layer.kind == "clip_relu"


def _sums_up(layer: LayerInfo, shapes) -> tuple[bool, bool]:
  """Whether it is the average, or the maximum, of whole maps."""
  whole = layer.kernel == shapes[layer.inputs[0]][:2] and layer.pad == (0, 0)
  mean = layer.kind == "reduction" and layer.option("operation") == "mean"
  return (
    layer.kind == "global_average"
    or (layer.kind == "average_pooling" and whole)
    or (
      mean and layer.option("axis") in (2, -2) and layer.option("factor") == 1
    ),
    layer.kind == "global_max" or (layer.kind == "max_pooling" and whole),
  )
