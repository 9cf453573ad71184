"""What a reader makes of a layer's settings."""

from typing import NamedTuple

from jdeepvis.networks.ops import Pair


class CannotRunError(ValueError):
  """A layer that is as it should be, but does what is not possible here."""


class Step(NamedTuple):
  """A layer's operation, still without its blobs; fields as in LayerInfo.

  `mask` is the kind that makes a second top, where a layer has one.
  """

  kind: str
  kernel: Pair = (1, 1)
  stride: Pair = (1, 1)
  pad: Pair = (0, 0)
  dilation: Pair = (1, 1)
  options: dict = {}  # noqa: RUF012  (never changed)
  mask: str = ""


def require_images_apart(axis: int) -> None:
  """Refuses an axis that joins or parts images.

  Raises:
    CannotRunError: the axis is that of the images.
  """
  if axis == 0:
    raise CannotRunError(
      "its axis 0 is that of the images, which stay apart here"
    )
