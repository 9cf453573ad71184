"""A net's description becomes a layer graph of ours."""

from collections import defaultdict
from typing import NamedTuple

from jdeepvis.networks.caffe.reader import CaffeLayer, NetDescription
from jdeepvis.networks.graph import INPUT, infer_shapes
from jdeepvis.networks.layer_table import check_layer
from jdeepvis.networks.layer_types import LAYER_TYPES, is_relu, kind_of
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

_SCORES = "scores"


class CaffeGraph(NamedTuple):
  """A layer graph with its input and output.

  Attributes:
    layers: in order of computation.
    shape: the input's height, width, channels.
    output: the blob with the class scores before softmax, or None.
    shared: shared weights: (layer, index among its weights) to the same of
      the layer that has them.
  """

  layers: tuple[LayerInfo, ...]
  shape: tuple[int, int, int]
  output: str | None
  shared: dict[tuple[str, int], tuple[str, int]]


def build_graph(net: NetDescription) -> CaffeGraph:
  """Turns a net's description into a layer graph.

  A blob that layers overwrite in place keeps all its values: the last under
  the blob's name, what went into its last activation as `name/pre`, any other
  as `name/layer`. An input by another name becomes `data`.

  Raises:
    JdeepvisError: a layer is unknown or cannot run, a blob is read that
      nothing writes, or the input is no image.
  """
  shape = _input_shape(net)
  layers = _name_blobs(net)
  owners = _owners(net)
  layers = tuple(_share(layer, net, owners) for layer in layers)
  try:
    shapes = infer_shapes(layers, shape).blobs
  except JdeepvisError as error:
    raise JdeepvisError(f"{net.file}: {error}") from error
  layers, output = _class_scores(layers, shapes)
  return CaffeGraph(layers, shape, output, owners)


def _read_layer(
  layer: CaffeLayer,
  inputs: tuple[str, ...],
  outputs: tuple[str, ...],
  file: str,
) -> LayerInfo:
  kind = kind_of(layer.type)
  if kind is None:
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} is a {layer.type!r}, a type that is not "
      'known here; register it with layer_types.LAYER_TYPES["mine"] = '
      f"LayerType(apply, weights, caffe={{{layer.type!r}: no_settings}})."
    )
  try:
    found = {"kind": kind} | LAYER_TYPES[kind].caffe[layer.type](layer)
    own = found.keys() & LayerInfo._fields
    fields = {name: found.pop(name) for name in own}
    options = tuple(sorted(found.items()))
    info = LayerInfo(
      layer.name, inputs=inputs, outputs=outputs, options=options, **fields
    )
    check_layer(info)
  except (AttributeError, LookupError, ValueError) as error:
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} ({layer.type}) cannot be run: "
      f"{str(error).rstrip('.')}."
    ) from error
  return info


def _input_shape(net: NetDescription) -> tuple[int, int, int]:
  if len(net.inputs) != 1:
    raise JdeepvisError(
      f"{net.file} has {len(net.inputs)} inputs; a net for pictures has one: "
      "give its deploy.prototxt."
    )
  ((name, shape),) = net.inputs
  if len(shape) != 4 or any(extent < 1 for extent in shape):
    raise JdeepvisError(
      f"{net.file}: input {name!r} has shape {list(shape)}; a picture's is "
      "[images, channels, height, width]."
    )
  _, channels, height, width = shape
  if channels * height * width > 2**26 or max(shape) > 2**16:
    raise JdeepvisError(
      f"{net.file}: input {name!r} of {list(shape)} is too large."
    )
  return height, width, channels


def _name_blobs(net: NetDescription) -> tuple[LayerInfo, ...]:
  """Gives every value a name of its own, in place or not."""
  values = _Values(net)
  draft = []
  for layer in net.layers:
    inputs = tuple(values.read(layer, bottom) for bottom in layer.bottoms)
    step = _read_layer(layer, layer.bottoms, layer.tops, net.file)
    if step.kind == "identity" and layer.bottoms == layer.tops:
      continue
    outputs = tuple(
      values.write(layer, top, LAYER_TYPES[step.kind].activation)
      for top in layer.tops
    )
    draft.append(step._replace(inputs=inputs, outputs=outputs))
  names = values.names()
  layers = []
  for layer in draft:
    inputs = tuple(names[value] for value in layer.inputs)
    outputs = tuple(names[value] for value in layer.outputs)
    before = f"{outputs[0]}/pre" if outputs else ""
    alone = layer.outputs and layer.outputs[0][1] == 0
    if (
      alone
      and LAYER_TYPES[layer.kind].activation
      and before not in names.values()
    ):
      # Both sides of an activation have names, in place or not.
      pre = LayerInfo(before, "identity", inputs, (before,))
      layers.append(pre)
      inputs = (before,)
    layers.append(layer._replace(inputs=inputs, outputs=outputs))
  return _with_sides_of_concats(layers)


def _with_sides_of_concats(layers: list[LayerInfo]) -> tuple[LayerInfo, ...]:
  """Joins rectified maps before their ReLU, so that both sides are known."""
  relus = {x.outputs[0]: x.inputs[0] for x in layers if is_relu(x)}
  taken = {name for layer in layers for name in layer.outputs}
  done = []
  for layer in layers:
    before = f"{layer.outputs[0]}/pre" if layer.outputs else ""
    joins = layer.kind == "concat" and relus.keys() >= set(layer.inputs)
    if not joins or before in taken:
      done.append(layer)
      continue
    inputs = tuple(relus[name] for name in layer.inputs)
    done.append(LayerInfo(before, "concat", inputs, (before,)))
    done.append(LayerInfo(layer.name, "relu", (before,), layer.outputs))
  return tuple(done)


class _Values:
  """The successive values of each blob, as (blob, number) until named."""

  def __init__(self, net: NetDescription):
    self._file = net.file
    # For each blob, who wrote each of its values and whether by activation.
    self._writers: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    ((self._input, _),) = net.inputs
    self._writers[self._input].append((INPUT, False))

  def read(self, layer: CaffeLayer, blob: str) -> tuple[str, int]:
    if blob not in self._writers:
      raise JdeepvisError(
        f"{self._file}: layer {layer.name!r} reads the blob {blob!r}, which "
        "no layer before it writes."
      )
    return blob, len(self._writers[blob]) - 1

  def write(self, layer: CaffeLayer, blob: str, activation: bool):
    if blob in self._writers and blob not in layer.bottoms:
      raise JdeepvisError(
        f"{self._file}: layer {layer.name!r} writes the blob {blob!r}, which "
        "another layer writes already."
      )
    if layer.tops.count(blob) > 1:
      raise JdeepvisError(
        f"{self._file}: layer {layer.name!r} writes the blob {blob!r} twice."
      )
    self._writers[blob].append((layer.name, activation))
    return blob, len(self._writers[blob]) - 1

  def names(self) -> dict[tuple[str, int], str]:
    names = {(self._input, 0): INPUT}
    taken = {INPUT}
    for blob, writers in self._writers.items():
      last = len(writers) - 1
      if (blob, last) not in names:
        names[blob, last] = self._fresh(blob, taken)
    for blob, writers in self._writers.items():
      last = names[blob, len(writers) - 1]
      in_place = [i for i, (_, act) in enumerate(writers) if act and i > 0]
      pre = in_place[-1] - 1 if in_place else None
      for number, (writer, _) in enumerate(writers[:-1]):
        if (blob, number) not in names:
          side = "pre" if number == pre else writer
          names[blob, number] = self._fresh(f"{last}/{side}", taken)
    return names

  @staticmethod
  def _fresh(name: str, taken: set) -> str:
    while name in taken:
      name += "_"
    taken.add(name)
    return name


def _owners(net: NetDescription) -> dict[tuple[str, int], tuple[str, int]]:
  first: dict[str, tuple[str, int]] = {}
  owners = {}
  for layer in net.layers:
    for place, name in enumerate(layer.shared):
      if name in first:
        owners[layer.name, place] = first[name]
      elif name:
        first[name] = (layer.name, place)
  return owners


def _share(layer: LayerInfo, net: NetDescription, owners) -> LayerInfo:
  """Points a layer that shares all its weights at the one that has them."""
  ours = next((x for x in net.layers if x.name == layer.name), None)
  count = len(ours.shared) if ours else 0
  sources = {owners.get((layer.name, place)) for place in range(count)}
  has_bias = layer.option("bias", True)
  if not sources or None in sources or count < (2 if has_bias else 1):
    return layer
  if {place for _, place in sources} != set(range(count)):
    return layer
  layers = {owner for owner, _ in sources}
  return layer if len(layers) > 1 else layer._replace(weights=layers.pop())


def _class_scores(layers, shapes) -> tuple[tuple[LayerInfo, ...], str | None]:
  """Finds the class scores; their average is taken before a ReLU, not after.

  The average of a rectified map has no gradient for a class that is negative at
  every position, so the average before the ReLU replaces it. A net without a
  softmax ends in its scores, unless it ends in features.
  """
  softmax = [x for x in layers if LAYER_TYPES[x.kind].softmax]
  writers = {name: layer for layer in layers for name in layer.outputs}
  if not softmax:
    last = layers[-1]
    while LAYER_TYPES[last.kind].same_values and last.inputs[0] in writers:
      last = writers[last.inputs[0]]
    scores = layers[-1].outputs[0]
    return layers, None if LAYER_TYPES[last.kind].features else scores
  (scores,) = softmax[-1].inputs
  pool = writers.get(scores)
  while pool and LAYER_TYPES[pool.kind].same_values:
    pool = writers.get(pool.inputs[0])
  if not pool or not _is_global_average(pool, shapes):
    return layers, scores
  relu = writers.get(pool.inputs[0])
  while relu and relu.kind == "identity":
    relu = writers.get(relu.inputs[0])
  if not relu or relu.kind != "relu":
    return layers, scores
  name = _Values._fresh(_SCORES, set(shapes))
  mean = LayerInfo(name, "global_average", relu.inputs, (name,))
  place = layers.index(pool)
  return (*layers[:place], mean, *layers[place:]), name


def _is_global_average(layer: LayerInfo, shapes) -> bool:
  if layer.kind == "global_average":
    return True
  whole = layer.kernel == shapes[layer.inputs[0]][:2]
  return layer.kind == "average_pooling" and whole and layer.pad == (0, 0)
