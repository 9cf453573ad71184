"""Where a net's images come from, and what its file says of them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jdeepvis.networks.caffe.text import Settings
from jdeepvis.networks.layer_types import kind_of
from jdeepvis.types import JdeepvisError

# Of layers without bottoms these are no sources of images.
_NO_DATA = frozenset(["", "Input", "Parameter"])
_OF_PIXELS = re.compile("mean|scale|std|var|norm|div").search
_SETTINGS = (
  "data_param",
  "image_data_param",
  "window_data_param",
  "dense_image_data_param",
  "image_seg_data_param",
)


class InputBlob(NamedTuple):
  """A blob that a net is given.

  Attributes:
    name: its name.
    shape: batch first; empty where the file has none, 0 for an extent that it
      does not say.
    source: the layer that it comes from, in words, or "".
  """

  name: str
  shape: tuple[int, ...]
  source: str = ""


class Transform(NamedTuple):
  """What a file says of the images that the net was trained on.

  Attributes:
    mean_value: subtracted from each channel, or empty.
    mean_file: the name of a file with the mean, or "".
    scale: what centred pixels are multiplied by.
    rgb: whether it turns blue, green, red into red, green, blue.
    line: where it stands.
    others: fields that are not known, and may say more of pixels.
  """

  mean_value: tuple[float, ...]
  mean_file: str
  scale: float
  rgb: bool
  line: int
  others: tuple[str, ...] = ()


class Source(NamedTuple):
  """A data layer as an input, and a sentence about it."""

  layer: Any
  blob: InputBlob
  note: str


def declared_inputs(net, file: str) -> list[InputBlob]:
  """The inputs that a net names, each once.

  Raises:
    JdeepvisError: there are not as many shapes as inputs.
  """
  names = list(net.input)
  if net.input_shape:
    shapes = [tuple(shape.dim) for shape in net.input_shape]
  else:
    dims = list(net.input_dim)
    shapes = [tuple(dims[i : i + 4]) for i in range(0, len(dims), 4)]
  if len(shapes) != len(names):
    names = list(dict.fromkeys(names))
  shapes = shapes or [()] * len(names)
  if len(shapes) != len(names):
    raise JdeepvisError(
      f"{file} has {len(names)} inputs but {len(shapes)} input shapes; give "
      "each input its own input_shape { dim: 1 dim: 3 dim: 227 dim: 227 }."
    )
  return [InputBlob(*pair) for pair in zip(names, shapes, strict=True)]


def input_blobs(layer, file: str) -> list[InputBlob]:
  """The blobs of an Input layer.

  Raises:
    JdeepvisError: there are not as many shapes as tops.
  """
  shapes = [tuple(shape.dim) for shape in layer.message.input_param.shape]
  shapes = shapes * len(layer.tops) if len(shapes) == 1 else shapes
  shapes = shapes or [()] * len(layer.tops)
  if len(shapes) != len(layer.tops):
    raise JdeepvisError(
      f"{file}: layer {layer.name!r} has {len(layer.tops)} tops but "
      f"{len(shapes)} shapes; give it one shape, or one a top."
    )
  source = f"layer {layer.name!r}"
  return [
    InputBlob(top, shape, source)
    for top, shape in zip(layer.tops, shapes, strict=True)
  ]


def named_once(inputs: Iterable[InputBlob], file: str) -> list[InputBlob]:
  """One input for each name, the one with a shape: Caffe drops the others.

  Raises:
    JdeepvisError: a name has two shapes.
  """
  found: dict[str, InputBlob] = {}
  for one in inputs:
    before = found.get(one.name)
    if before and before.shape and one.shape and before.shape != one.shape:
      raise JdeepvisError(
        f"{file} says twice what the input {one.name!r} is, "
        f"{list(before.shape)} and {list(one.shape)}; remove one of them."
      )
    if not before or one.shape:
      found[one.name] = one
  return list(found.values())


def image_shape(
  file: str, image: InputBlob, size: tuple[int, int] | None = None
) -> tuple[int, int, int]:
  """Height, width and channels of a net's images.

  Args:
    file: the file's name.
    image: the input that holds them.
    size: height and width, in place of the file's.

  Raises:
    JdeepvisError: they are not said, no picture's, or too many.
  """
  name, shape = image.name, image.shape or (1, 3, 0, 0)
  if len(shape) != 4:
    raise JdeepvisError(
      f"{file}: input {name!r} has shape {list(shape)}; a picture's is "
      "[images, channels, height, width], so give four numbers."
    )
  channels, *sides = shape[1:]
  height, width = size or sides
  if min(height, width) < 1:
    raise JdeepvisError(
      f"{file} does not say how large its images are; give "
      f"size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH, or write into it, in "
      f"place of {image.source or 'its input'}, "
      f"{two_lines(name, (1, channels, 0, 0))}."
    )
  if channels < 1:
    raise JdeepvisError(
      f"{file}: input {name!r} has shape {list(shape)}; write how many "
      "channels its images have, 3 for colours."
    )
  sides = channels, height, width
  if channels * height * width > 2**26 or max(sides) > 2**16:
    raise JdeepvisError(
      f"{file}: input {name!r} of {list(sides)} is too large; give a "
      "smaller size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH."
    )
  return height, width, channels


def is_data(layer) -> bool:
  """Whether a layer is a source of images, of whatever type."""
  free = bool(layer.tops) and not layer.bottoms and layer.type not in _NO_DATA
  return free and kind_of(layer.type) is None


def transform_of(layer) -> Transform | None:
  """What a layer says of its images' mean, scale and order, if anything."""
  said = layer.message.transform_param
  named = any(map(said.HasField, ("scale", "mean_file", "bgr2rgb")))
  others = tuple(filter(_OF_PIXELS, layer.message.strange("transform_param")))
  if named or said.mean_value or others:
    values, rgb = tuple(said.mean_value), said.bgr2rgb
    return Transform(
      values, said.mean_file, said.scale, rgb, layer.line, others
    )
  # Older data layers said it among their own settings.
  for own in _settings(layer):
    values = own.get("mean_value", ())
    values = values if isinstance(values, tuple) else (values,)
    scale = own.get("scale", 1.0)
    told = any(map(own.HasField, ("scale", "mean_file", "mean_value")))
    if told and all(isinstance(x, int | float) for x in (*values, scale)):
      file = str(own.get("mean_file", ""))
      return Transform(values, file, scale, False, layer.line)
  return None


def source_of_images(
  layers: Sequence[tuple[Any, bool, str]], wanted: set[str], file: str
) -> Source | None:
  """The data layer that is taken for the images.

  Args:
    layers: the data layers, each with whether it is for training only, and a
      sentence for where it is left out.
    wanted: blobs that layers read and none writes.
    file: the file's name.
  """
  for layer, _, _ in sorted(layers, key=lambda one: one[1]):
    tops = [top for top in layer.tops if top in wanted]
    if not tops:
      continue
    top = "data" if "data" in tops else tops[0]
    shape = _shape(layer, layer.tops.index(top))
    source = f"the {layer.type} layer {layer.name!r} (line {layer.line})"
    note = (
      f"{file}: {source} is taken for images as the input {top!r}; to write it "
      f"into the file, put in its place {two_lines(top, shape)}."
    )
    return Source(layer, InputBlob(top, shape, source), note)
  return None


def two_lines(name: str, shape: Sequence[int]) -> str:
  """The lines of a description that declare an input."""
  pairs = zip(shape, _WORDS, strict=True)
  known = [str(extent) if extent > 0 else word for extent, word in pairs]
  dims = " ".join(f"dim: {extent}" for extent in known)
  return f'the two lines input: "{name}" and input_shape {{ {dims} }}'


_WORDS = ("1", "3", "HEIGHT", "WIDTH")


def _shape(layer, place: int) -> tuple[int, int, int, int]:
  """What a data layer makes, 0 for what it does not say."""
  message = layer.message
  if layer.type == "MemoryData":
    said = message.memory_data_param
    return 1, said.channels, said.height, said.width
  if layer.type == "DummyData":
    said = message.dummy_data_param
    if said.shape:
      shape = tuple(said.shape[min(place, len(said.shape) - 1)].dim)
      return shape if len(shape) == 4 else (1, 3, 0, 0)
    sides = [
      getattr(said, name)[min(place, len(getattr(said, name)) - 1)]
      if getattr(said, name)
      else 0
      for name in ("channels", "height", "width")
    ]
    return 1, *sides
  transform, settings = message.transform_param, _settings(layer)
  grey = transform.force_gray or any(
    x.get("is_color") is False for x in settings
  )
  sizes = [(transform.crop_h, transform.crop_w), (transform.crop_size,) * 2]
  sizes += [(x.get("crop_size", 0),) * 2 for x in settings]
  sizes += [(x.get("new_height", 0), x.get("new_width", 0)) for x in settings]
  # SSD's data layers warp images to this size.
  ssd = getattr(transform, "resize_param", None)
  if isinstance(ssd, Settings) and ssd.get("resize_mode", "WARP") == "WARP":
    sizes.append((ssd.get("height", 0), ssd.get("width", 0)))
  known = (x for x in sizes if all(isinstance(y, int) and y > 0 for y in x))
  return 1, 1 if grey else 3, *next(known, (0, 0))


def _settings(layer) -> list[Settings]:
  found = (getattr(layer.message, name, None) for name in _SETTINGS)
  return [x for x in found if isinstance(x, Settings)]
