"""Caffe's axes on our arrays.

Caffe counts axes as batch, channels, then space; ours have the channels last.
`to_caffe` and `from_caffe` move them for any number of axes: `[n, h, w, c]`
is Caffe's (n, c, h, w), `[n, d, c]` its (n, c, d), `[n, c]` the same in both.
"""

from collections.abc import Sequence

import jax.numpy as jnp

from jdeepvis.types import AnyArray, JdeepvisError


def to_caffe(x: AnyArray) -> AnyArray:
  """Channels from the last axis to the second."""
  return jnp.moveaxis(x, -1, 1) if x.ndim > 2 else x


def from_caffe(x: AnyArray) -> AnyArray:
  """Channels from the second axis to the last."""
  return jnp.moveaxis(x, 1, -1) if x.ndim > 2 else x


def caffe_shape(shape: Sequence[int]) -> tuple[int, ...]:
  """A blob's shape without the batch axis, ours to Caffe's."""
  return (shape[-1], *shape[:-1])


def own_shape(shape: Sequence[int]) -> tuple[int, ...]:
  """A blob's shape without the batch axis, Caffe's to ours."""
  return (*shape[1:], shape[0])


def own_axis(axis: int, ndim: int) -> int:
  """Where Caffe's axis is in an array of ours.

  Raises:
    JdeepvisError: there is no such axis, or it is that of the batch.
  """
  axis = positive_axis(axis, ndim)
  return ndim - 1 if axis == 1 else axis - 1


def with_axes_in_front(x: AnyArray, ndim: int) -> AnyArray:
  """An array with axes of size 1 in front, `ndim` in all."""
  return x.reshape((1,) * (ndim - x.ndim) + x.shape)


def positive_axis(axis: int, ndim: int) -> int:
  """Caffe's axis, counted from the front.

  Raises:
    JdeepvisError: there is no such axis, or it is that of the batch.
  """
  counted = axis + ndim if axis < 0 else axis
  if not 1 <= counted < ndim:
    raise JdeepvisError(
      f"axis {axis} is that of the batch or beyond the blob's {ndim} axes"
    )
  return counted


def spanned_axes(axis: int, count: int, ndim: int) -> slice:
  """Which of Caffe's axes behind the batch a weight spans.

  Args:
    axis: the first one, Caffe's.
    count: how many; -1 for all that follow.
    ndim: axes of the blob, that of the batch among them.

  Raises:
    JdeepvisError: there is no such axis, or it is that of the batch.
  """
  first = positive_axis(axis, ndim) - 1
  return slice(first, ndim - 1 if count == -1 else first + count)
