"""A net's description becomes a layer graph of ours."""

import bisect
from collections import defaultdict
from typing import NamedTuple

from jdeepvis.networks import left_out, scores, sides
from jdeepvis.networks.caffe import crops, cuts, sizes, unpooling
from jdeepvis.networks.caffe.caffe_layer import CaffeLayer
from jdeepvis.networks.caffe.data_layers import InputBlob, image_shape
from jdeepvis.networks.caffe.reader import NetDescription
from jdeepvis.networks.graph import INPUT, infer_shapes
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

# Each costs a walk of the graph, and a description may be meant to hurt.
_MOST_MIXING = 20


class CaffeGraph(NamedTuple):
  """A layer graph with its input and output.

  Attributes:
    layers: in order of computation.
    shape: the input's height, width, channels.
    output: the blob with the class scores, or None.
    shared: shared weights: (layer, index among its weights) to the same of
      the layer that has them.
    notes: a sentence for each thing left out.
  """

  layers: tuple[LayerInfo, ...]
  shape: tuple[int, int, int]
  output: str | None
  shared: dict[tuple[str, int], tuple[str, int]]
  notes: tuple[str, ...] = ()


def build_graph(
  net: NetDescription, size: tuple[int, int] | None = None
) -> CaffeGraph:
  """Turns a net's description into a layer graph.

  A blob that layers overwrite in place keeps all its values: the last under
  the blob's name, what went into its last activation as `name/pre`, any other
  as `name/layer`. An input by another name becomes `data`.

  Layers of unknown types, second inputs, and all that depends on either are
  left out.

  Args:
    net: the description.
    size: height and width of the images, in place of the file's.

  Raises:
    JdeepvisError: a layer cannot run as it is written, a blob is read that
      nothing writes, no layer is left, or the input is no image.
  """
  image = cuts.image_input(net)
  shape = image_shape(net.file, image, size)
  kept, notes, *beyond = cuts.runnable(net, image)
  layers = _name_blobs(net.file, image, kept)
  owners = _owners(kept)
  layers = unpooling.with_scales(
    tuple(_share(layer, kept, owners) for layer in layers)
  )
  layers, uncertain = crops.with_offsets(layers, net.file)
  layers, mixing = _without_mixing(layers, shape, net)
  shapes = infer_shapes(layers, shape).blobs
  layers = scores.along_channels(layers, shapes)
  layers, inexact = unpooling.exact(layers, shapes, net.file)
  if not layers:
    why = " ".join((*notes, *mixing, *inexact)) or "none computes anything."
    raise JdeepvisError(f"{net.file} has no layer that can be run: {why}")
  layers, output = scores.with_scores(layers, shapes, *beyond)
  notes += (*uncertain, *mixing, *inexact)
  notes += sizes.small_size(layers, shapes, net.file)
  return CaffeGraph(layers, shape, output, owners, notes)


def _without_mixing(
  layers: tuple[LayerInfo, ...],
  shape: tuple[int, int, int],
  net: NetDescription,
) -> tuple[tuple[LayerInfo, ...], tuple[str, ...]]:
  """Leaves out reshapes that would mix images; other misfits are refused."""
  notes = []
  while True:
    try:
      infer_shapes(layers, shape)
      return layers, tuple(notes)
    except JdeepvisError as error:
      bad = _first_misfit(layers, shape)
      if bad.kind != "reshape" or len(notes) == _MOST_MIXING:
        raise JdeepvisError(_misfit(error, bad, net)) from error
      reason = str(error).rpartition("channels last: ")[2].removesuffix(".")
    layers, names = left_out.without(layers, bad)
    why = left_out.LeftOut(
      f"layer {bad.name!r} (Reshape) cannot be run here and is left out",
      f": {reason}",
    )
    notes.append(f"{net.file}: {why.sentence(names)}.")


def _misfit(error: JdeepvisError, bad: LayerInfo, net: NetDescription) -> str:
  """Why a layer cannot read its blobs, in the file's own words."""
  reason = str(error).removesuffix(".")
  for layer in net.layers:
    if layer.name == bad.name:
      ours = f"Layer {bad.name!r} ({bad.kind})"
      theirs = f"line {layer.line}: layer {bad.name!r} ({layer.type})"
      reason = reason.replace(ours, theirs)
  hint = ""
  if "larger than the padded map" in reason or len(bad.inputs) > 1:
    hint = "; another size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH may fit"
  between = ", " if reason.startswith("line") else ": "
  return f"{net.file}{between}{reason}{hint}."


def _first_misfit(
  layers: tuple[LayerInfo, ...], shape: tuple[int, int, int]
) -> LayerInfo:
  """The first layer that cannot read its blobs, by bisection."""

  def fails(count: int) -> bool:
    try:
      infer_shapes(layers[:count], shape)
    except JdeepvisError:
      return True
    return False

  counts = range(1, len(layers) + 1)
  return layers[bisect.bisect_left(counts, True, key=fails)]


def _name_blobs(
  file: str, image: InputBlob, kept: list[tuple[CaffeLayer, LayerInfo]]
) -> tuple[LayerInfo, ...]:
  """Gives every value a name of its own, in place or not."""
  values = _Values(file, image.name)
  read = {bottom for layer, _ in kept for bottom in layer.bottoms}
  draft = []
  for layer, info in kept:
    ours = LAYER_TYPES[info.kind]
    inputs = tuple(values.read(layer, bottom) for bottom in layer.bottoms)
    if info.kind == "identity" and layer.bottoms == layer.tops:
      continue
    tops = layer.tops[:1] if ours.mask else layer.tops
    outputs = tuple(values.write(layer, top, ours.activation) for top in tops)
    draft.append(info._replace(inputs=inputs, outputs=outputs))
    for top in layer.tops[1:] if ours.mask else ():
      if top in read:
        outputs = (values.write(layer, top, False),)
        name = f"{layer.name}/mask"
        draft.append(
          info._replace(
            name=name, kind=ours.mask, inputs=inputs, outputs=outputs
          )
        )
  return sides.with_sides_of_concats(_named(draft, values.names()))


def _named(draft, names) -> list[LayerInfo]:
  layers = []
  for layer in draft:
    inputs = tuple(names[value] for value in layer.inputs)
    outputs = tuple(names[value] for value in layer.outputs)
    before = f"{outputs[0]}/pre" if outputs else ""
    activation = LAYER_TYPES[layer.kind].activation
    alone = activation and layer.outputs[0][1] == 0
    if alone and before not in names.values():
      # Both sides of an activation have names, in place or not.
      pre = LayerInfo(before, "identity", inputs, (before,))
      layers.append(pre)
      inputs = (before,)
    layers.append(layer._replace(inputs=inputs, outputs=outputs))
  return layers


class _Values:
  """The successive values of each blob, as (blob, number) until named."""

  def __init__(self, file: str, image: str):
    self._file, self._input = file, image
    # For each blob, who wrote each of its values and whether by activation.
    self._writers: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    self._writers[self._input].append((INPUT, False))

  def read(self, layer: CaffeLayer, blob: str) -> tuple[str, int]:
    return blob, len(self._writers[blob]) - 1

  def write(self, layer: CaffeLayer, blob: str, activation: bool):
    if blob in self._writers and blob not in layer.bottoms:
      raise JdeepvisError(
        f"{self._file}, line {layer.line}: layer {layer.name!r} writes the "
        f"blob {blob!r}, which another layer writes already; give its top "
        "another name."
      )
    if layer.tops.count(blob) > 1:
      raise JdeepvisError(
        f"{self._file}, line {layer.line}: layer {layer.name!r} writes the "
        f"blob {blob!r} twice; give one of its tops another name."
      )
    self._writers[blob].append((layer.name, activation))
    return blob, len(self._writers[blob]) - 1

  def names(self) -> dict[tuple[str, int], str]:
    names = {(self._input, 0): INPUT}
    taken = {INPUT}
    for blob, writers in self._writers.items():
      last = len(writers) - 1
      if (blob, last) not in names:
        names[blob, last] = scores.fresh(blob, taken)
    for blob, writers in self._writers.items():
      last = names[blob, len(writers) - 1]
      in_place = [i for i, (_, act) in enumerate(writers) if act and i > 0]
      pre = in_place[-1] - 1 if in_place else None
      for number, (writer, _) in enumerate(writers[:-1]):
        if (blob, number) not in names:
          side = "pre" if number == pre else writer
          names[blob, number] = scores.fresh(f"{last}/{side}", taken)
    return names


def _owners(kept) -> dict[tuple[str, int], tuple[str, int]]:
  first: dict[str, tuple[str, int]] = {}
  owners = {}
  for layer, _ in kept:
    for place, name in enumerate(layer.shared):
      if name in first:
        owners[layer.name, place] = first[name]
      elif name:
        first[name] = (layer.name, place)
  return owners


def _share(layer: LayerInfo, kept, owners) -> LayerInfo:
  """Points a layer that shares all its weights at the one that has them."""
  ours = next((x for x, _ in kept if x.name == layer.name), None)
  count = len(ours.shared) if ours else 0
  sources = {owners.get((layer.name, place)) for place in range(count)}
  has_bias = layer.option("bias", True)
  if not sources or None in sources or count < (2 if has_bias else 1):
    return layer
  if {place for _, place in sources} != set(range(count)):
    return layer
  layers = {owner for owner, _ in sources}
  return layer if len(layers) > 1 else layer._replace(weights=layers.pop())
