"""Caffe's axes on our arrays: reshaping, slicing, reducing, exactly as there.

Caffe counts axes as batch, channels, then space; ours have the channels last.
`to_caffe` and `from_caffe` move them for any number of axes: `[n, h, w, c]`
is Caffe's (n, c, h, w), `[n, d, c]` its (n, c, d), `[n, c]` the same in both.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

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
      f"Axis {axis} is that of the batch or beyond the blob's {ndim} axes."
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


def flatten(x: AnyArray, axis: int = 1, end: int = -1) -> AnyArray:
  """Joins Caffe's axes from `axis` to `end`, both in, into one."""
  x = to_caffe(x)
  axis, end = positive_axis(axis, x.ndim), positive_axis(end, x.ndim)
  return from_caffe(x.reshape(*x.shape[:axis], -1, *x.shape[end + 1 :]))


def reshape(
  x: AnyArray, dims: Sequence[int], axis: int = 0, count: int = -1
) -> AnyArray:
  """Caffe's Reshape.

  Args:
    x: the blob.
    dims: what replaces the axes; 0 keeps the one that was there, -1 stands
      for whatever is left.
    axis: the first one replaced, in Caffe's order.
    count: how many are replaced; -1 for all that follow.
  """
  x = to_caffe(x)
  axis = axis + x.ndim + 1 if axis < 0 else axis
  end = x.ndim if count == -1 else axis + count
  shape = list(x.shape[:axis])
  for place, dim in enumerate(dims, start=axis):
    shape.append(x.shape[place] if dim == 0 else dim)
  shape += x.shape[end:]
  if -1 in shape:
    known = math.prod(dim for dim in shape if dim != -1)
    shape[shape.index(-1)] = math.prod(x.shape) // max(known, 1)
  if shape[0] != x.shape[0]:
    raise JdeepvisError("A Reshape that mixes images is not supported.")
  return from_caffe(x.reshape(shape))


def crop(
  x: AnyArray, reference: AnyArray, axis: int = 2, offsets: Sequence[int] = ()
) -> AnyArray:
  """Cuts Caffe's axes from `axis` on to the size of `reference`.

  Args:
    x: the blob to cut.
    reference: a blob with as many axes.
    axis: the first one cut.
    offsets: the first index kept, one for all axes or one for each; none is 0.
  """
  x, reference = to_caffe(x), to_caffe(reference)
  axis = positive_axis(axis, x.ndim)
  cut = x.ndim - axis
  offsets = tuple(offsets) or (0,)
  offsets = offsets * cut if len(offsets) == 1 else offsets
  starts = (0,) * axis + offsets
  sizes = x.shape[:axis] + reference.shape[axis:]
  ends = [start + size for start, size in zip(starts, sizes, strict=True)]
  return from_caffe(lax.slice(x, starts, ends))


def argmax(
  x: AnyArray, *, top: int = 1, values: bool = False, axis: int | None = None
) -> AnyArray:
  """The indices of the largest values, as floats.

  Args:
    x: the blob.
    top: how many, the largest first; among equals the last place is first.
    values: give values beside the indices or, along an axis, in their place.
    axis: Caffe's axis; None takes each image as one row.
  """
  x = to_caffe(x)
  if axis is None:
    largest, places = _top(x.reshape(x.shape[0], -1), top)
    rows = [places, largest] if values else [places]
    out = jnp.stack(rows, axis=1)
    return from_caffe(out.reshape(*out.shape, *(1,) * max(x.ndim - 3, 0)))
  axis = positive_axis(axis, x.ndim)
  largest, places = _top(jnp.moveaxis(x, axis, -1), top)
  return from_caffe(jnp.moveaxis(largest if values else places, -1, axis))


def mean_variance_normalisation(
  x: Float[AnyArray, "n *dims c"],
  *,
  variance: bool = True,
  across_channels: bool = False,
  eps: float = 1e-9,
) -> Float[AnyArray, "n *dims c"]:
  """Caffe's MVN: minus the mean, over the standard deviation plus `eps`."""
  axes = tuple(range(1, x.ndim - (not across_channels)))
  x = x - jnp.mean(x, axes, keepdims=True)
  if not variance:
    return x
  square = jnp.mean(x * x, axes, keepdims=True)
  # The square root has no derivative at 0, where the answer is 0 anyway.
  root = jnp.sqrt(jnp.where(square > 0, square, 1))
  deviation = jnp.where(square > 0, root, 0)
  return x / (deviation + eps)


def _top(x: AnyArray, count: int) -> tuple[AnyArray, AnyArray]:
  values, places = jax.lax.top_k(x[..., ::-1], count)
  return values, (x.shape[-1] - 1 - places).astype(x.dtype)
