"""Token blobs, `[n, tokens, c]`, as maps that all else can read.

Where the tokens are the patches of the image, row by row, they become the map
`[n, h, w, c]` of these; at most five others may stand before them, such as a
class token and registers. Those are blobs of their own, `[n, c]`: of `block3`
the first is `block3/cls`, the next `block3/token1`, and so on. Tokens of any
other number, such as those of a text, become a map of one row.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from jdeepvis.types import Activations, JdeepvisError

_MOST_EXTRA = 5
"""A class token and four registers, as DINOv2's models have."""

_EXTRA = re.compile(r"(.+)/(?:cls|token[1-9]\d*)")


class Part(NamedTuple):
  """Some tokens of a blob.

  Attributes:
    name: of the blob that they become.
    tokens: which of them.
    shape: what each image's become, `(h, w, c)` or `(c,)`.
  """

  name: str
  tokens: slice
  shape: tuple[int, ...]


def as_maps(blobs: Activations, size: tuple[int, int]) -> Activations:
  """The blobs, those of tokens as maps and single tokens.

  Args:
    blobs: `[n, h, w, c]`, `[n, tokens, c]` or `[n, c]`.
    size: height and width of the images, pixels.
  """
  return {
    part.name: blob[:, part.tokens].reshape(len(blob), *part.shape)
    if blob.ndim == 3
    else blob
    for name, blob in blobs.items()
    for part in _parts(name, blob.shape[1:], size, blobs)
  }


def shapes_as_maps(
  shapes: Mapping[str, tuple[int, ...]], size: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
  """The shapes of what `as_maps` gives, for one image, in the same order."""
  return {
    part.name: part.shape
    for name, shape in shapes.items()
    for part in _parts(name, shape, size, shapes)
  }


def sources(names: Iterable[str]) -> tuple[str, ...]:
  """The blobs to compute for these: a single token's is that of all of them."""
  found = {}
  for name in names:
    match = _EXTRA.fullmatch(name)
    found |= dict.fromkeys((name, match[1]) if match else (name,))
  return tuple(found)


def with_single(
  names: Iterable[str], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, ...]:
  """Blobs, each followed by its single tokens.

  Args:
    names: of the blobs, in order.
    shapes: of all there are, see `shapes_as_maps`.
  """
  found = []
  for name in names:
    found.append(name)
    extra = (_extra(name, i) for i in range(_MOST_EXTRA))
    found += [one for one in extra if one in shapes]
  return tuple(found)


def find_token(
  shapes: Mapping[str, tuple[int, ...]], layer: str, token: str
) -> tuple[str, tuple[int, int] | None]:
  """The blob and the position at which a token is read.

  Args:
    shapes: of all blobs, see `shapes_as_maps`.
    layer: a blob of tokens.
    token: `cls`, or the token's number, from 0; of an ordinary map that of
      the position, row by row.

  Raises:
    JdeepvisError: there is no such token.
  """
  extra = []
  while (name := _extra(layer, len(extra))) in shapes:
    extra.append(name)
  if token == "cls":
    if not extra:
      raise JdeepvisError(
        f"Layer {layer!r} has no class token before a grid of patches; give a "
        "number, as in @0, or @ROW,COLUMN."
      )
    return extra[0], None
  number = int(token)
  if number < len(extra):
    return extra[number], None
  height, width = shapes[layer][:2] if len(shapes[layer]) == 3 else (1, 1)
  if number >= len(extra) + height * width:
    raise JdeepvisError(
      f"Layer {layer!r} has tokens 0 to {len(extra) + height * width - 1}, so "
      f"not {number}."
    )
  return layer, divmod(number - len(extra), width)


def _parts(name, shape, size, blobs) -> Iterator[Part]:
  if len(shape) != 2:
    yield Part(name, slice(None), tuple(shape))
    return
  count, channels = shape
  height, width = _grid(count, size) or (1, count)
  first = count - height * width
  extra = [_extra(name, i) for i in range(first)]
  if any(one in blobs for one in extra):
    # A part of the model is called so; tokens are numbers then.
    height, width, first, extra = 1, count, 0, []
  yield Part(name, slice(first, None), (height, width, channels))
  for i, one in enumerate(extra):
    yield Part(one, slice(i, i + 1), (channels,))


def _grid(count: int, size: tuple[int, int]) -> tuple[int, int] | None:
  """The patches' rows and columns: square patches, from edge to edge."""
  grids = [
    (size[0] // patch, size[1] // patch)
    for patch in range(1, min(size) + 1)
    if not any(side % patch for side in size)
  ]
  fitting = [
    grid for grid in grids if 0 <= count - math.prod(grid) <= _MOST_EXTRA
  ]
  return max(fitting, key=math.prod, default=None)


def _extra(name: str, number: int) -> str:
  """`x/pre` is the side before the ReLU of `x`, also of a single token."""
  stem = name.removesuffix("/pre")
  token = f"token{number}" if number else "cls"
  return f"{stem}/{token}{name[len(stem) :]}"
