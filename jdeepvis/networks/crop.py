"""The part of a network that one unit depends on, as a network."""

import functools
from collections.abc import Iterator, Mapping

import numpy as np

from jdeepvis.networks.graph import INPUT, infer_shapes, with_layers
from jdeepvis.networks.jaxpr.crops import crop_traced
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import InputSpec, LayerInfo, Network
from jdeepvis.networks.receptive_field import in_graph, receptive_field
from jdeepvis.networks.regions import (
  Position,
  Rectangle,
  locate,
  needed_regions,
  region_read,
  whole,
)


def crop(
  network: Network, layer: str, position: Position | None = None
) -> Network:
  """The network that sees only what one unit sees.

  Its input is the unit's receptive field, `receptive_field(network, layer,
  position)`, and for the pixels there the unit's value and gradient are those
  of the whole network, at borders and corners too: a window is padded only
  where it leaves the *whole* map. Where some layer on the way reads a whole
  map (`inner_product`, `global_average`) the unit sees the whole image, and
  the crop's input is as large as the network's.

  A crop of a layer graph is one like any other; of another network, and of
  tokens, it is the network's jaxpr, each equation at what is needed of it.
  Where the field was measured, the whole network runs on the field amid the
  mean colour. Positions whose windows are padded alike, such as all those that
  no padding reaches, give equal `apply`s, which share one compiled program.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> jdeepvis.crop(network, "fire2/concat").input.shape
  (15, 15, 3)

  Args:
    network: any network.
    layer: a blob of it; `output` stands for the class scores.
    position: row and column of the unit in the layer's map; None is the
      centre, `(h // 2, w // 2)`.

  Returns:
    A network that ends at `layer`, a map of 1 x 1 (a vector stays one). Of a
    layer graph it has the layers, and their weights, that are needed, else no
    graph and the whole network as its weights. Its input's shape and per-pixel
    mean are those of the receptive field. Its `output` is `layer` where that
    holds the class scores, else None.

  Raises:
    JdeepvisError: there is no such layer or position.
  """
  layer = find_layer(network, layer)
  unit = locate(layer, network.shapes[layer], position)
  if not in_graph(network, layer):
    field = receptive_field(network, layer, position)
    return crop_traced(network, layer, unit, field)
  shapes = infer_shapes(network.layers, network.input.shape).blobs
  needed = needed_regions(network.layers, shapes, layer, unit)
  layers = tuple(
    part
    for info in network.layers
    if needed.keys() & set(info.outputs)
    for part in _crop_layer(info, needed, shapes)
  )
  keys = {info.weights_key for info in layers}
  return with_layers(network, layers).replace(
    params={key: network.params[key] for key in network.params if key in keys},
    input=_crop_input(network.input, needed[INPUT]),
    labels=network.labels if layer == network.output else (),
    output=layer if layer == network.output else None,
  )


def _crop_input(spec: InputSpec, field: Rectangle) -> InputSpec:
  # Without `resize`, since no picture is warped to a part of an image.
  mean = spec.mean[field.slices] if np.ndim(spec.mean) == 3 else spec.mean
  return spec.replace(
    shape=(*field.size, spec.shape[2]), mean=mean, resize=None
  )


def _crop_layer(
  layer: LayerInfo,
  needed: Mapping[str, Rectangle],
  shapes: Mapping[str, Shape],
) -> Iterator[LayerInfo]:
  """The layer, reading and writing the kept region of each blob."""
  reach = LAYER_TYPES[layer.kind].reach
  made = functools.reduce(
    Rectangle.union, (needed[name] for name in layer.outputs if name in needed)
  )
  inputs, outputs, after = [], [], []
  for name in layer.inputs:
    read = region_read(layer, made, shapes[name])
    seen = read.clip(whole(shapes[name]))
    part = f"{name}/for/{layer.name}"
    # Windows could crop by negative padding themselves, but XLA's 1x1 pools and
    # convolutions get that wrong.
    if seen != needed[name]:
      yield _trim(name, part, needed[name], seen)
    inputs.append(name if seen == needed[name] else part)
    if reach == "window":
      layer = _with_padding(layer, seen, read)
  for name in layer.outputs:
    full = whole(shapes[name]) if reach == "map" else made
    kept = needed.get(name, full)
    outputs.append(name if kept == full else f"{name}/whole")
    if kept != full:
      after.append(_trim(outputs[-1], name, full, kept))
  yield layer._replace(inputs=tuple(inputs), outputs=tuple(outputs))
  yield from after


def _trim(
  source: str, name: str, have: Rectangle, want: Rectangle
) -> LayerInfo:
  return _with_padding(LayerInfo(name, "trim", (source,), (name,)), have, want)


def _with_padding(
  layer: LayerInfo, have: Rectangle, want: Rectangle
) -> LayerInfo:
  """Pads a layer from the region it has to the one it wants, or crops it."""
  padding = (
    (have.top - want.top, want.bottom - have.bottom),
    (have.left - want.left, want.right - have.right),
  )
  return layer.with_option("padding", padding)
