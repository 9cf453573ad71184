"""Which input of an ONNX graph holds the images, and how."""

from typing import NamedTuple

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.onnx.views import View, view_of
from jdeepvis.types import JdeepvisError

_COLOURS = (1, 3, 4)
_LARGEST_SIDE, _MOST_VALUES = 2**16, 2**26


class ImageInput(NamedTuple):
  """The input with the images.

  Attributes:
    name: its name in the file.
    shape: height, width, channels.
    batch: how many images the file was made for, 1 where it does not say.
    view: where it is in our blob.
    others: the names of the other inputs.
  """

  name: str
  shape: tuple[int, int, int]
  batch: int
  view: View
  others: tuple[str, ...]


def image_input(graph, file: str, size: tuple[int, int] | None) -> ImageInput:
  """The input with four axes, the largest of several.

  Channels come second, or last where only that can be a number of colours.

  Args:
    graph: a GraphProto.
    file: its name, for messages.
    size: height and width, in place of the file's.

  Raises:
    JdeepvisError: there is none, or it does not say its size.
  """
  known = {x.name for x in graph.initializer}
  found = {x.name: _dims(x) for x in graph.input if x.name not in known}
  images = [name for name, dims in found.items() if len(dims) == 4]
  if not images:
    said = "; ".join(f"{name} {dims}" for name, dims in found.items())
    raise JdeepvisError(
      f"{file} has no input with the four axes of images (batch, channels, "
      f"height, width); its inputs are: {said or 'none'}."
    )
  name = max(images, key=lambda name: _likeness(found[name]))
  batch, *dims = found[name]
  last = dims[2] in _COLOURS and dims[0] not in _COLOURS and dims[1] != 1
  height, width, channels = dims if last else (*dims[1:], dims[0])
  if size is not None:
    height, width = size
  if not height or not width:
    raise JdeepvisError(
      f"{file}: its input {name!r} is for images of any size; say one, "
      "size=(HEIGHT, WIDTH) or --size=HEIGHT,WIDTH."
    )
  channels = channels or _channels_read(graph, name)
  shape = height, width, channels
  if (
    not channels
    or min(shape) < 1
    or max(shape[:2]) > _LARGEST_SIDE
    or (height * width * channels > _MOST_VALUES)
  ):
    raise JdeepvisError(
      f"{file}: its input {name!r} of {height} x {width} x {channels} is no "
      "image's height, width and channels."
    )
  axes = (None, 0, 1, 2) if last else (None, 2, 0, 1)
  view = view_of(INPUT, shape, axes, INPUT)
  others = tuple(x for x in found if x != name)
  return ImageInput(name, shape, max(batch, 1), view, others)


def _channels_read(graph, name: str) -> int:
  """The channels that the first convolution of an input asks for, or 0."""
  kernels = {x.name: tuple(x.dims) for x in graph.initializer}
  for node in graph.node:
    if node.op_type == "Conv" and node.input[0] == name:
      kernel = kernels.get(node.input[1], ())
      return kernel[1] if len(kernel) > 1 else 0
  return 0


def _likeness(dims: list[int]) -> int:
  # One whose size is not said may be large.
  return 2**40 if 0 in dims[1:] else dims[1] * dims[2] * dims[3]


def _dims(value) -> list[int]:
  """An input's extents, 0 for those that are not said."""
  tensor = value.type.tensor_type
  return [max(x.dim_value, 0) for x in tensor.shape.dim]
