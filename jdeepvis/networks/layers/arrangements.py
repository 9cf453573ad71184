"""Layers that join, split, cut and rearrange blobs."""

import functools
import math

import jax.numpy as jnp
from jax import lax

from jdeepvis.networks.caffe_axes import (
  from_caffe,
  own_axis,
  positive_axis,
  to_caffe,
)
from jdeepvis.networks.layers.layer_type import (
  CannotRunError,
  LayerType,
  along,
  by_options,
  padding,
  require_images_apart,
  settings,
)

UNSAID, FOUND = "unsaid", "found"
"""What the option `origin` of a Crop says of its offset, see `caffe.crops`."""


def _concat(layer, weights, inputs, relu):
  axis = own_axis(layer.option("axis", 1), inputs[0].ndim)
  if len({(*x.shape[:axis], *x.shape[axis + 1 :]) for x in inputs}) > 1:
    raise ValueError("they may differ along the axis that is joined alone")
  return jnp.concatenate(inputs, axis)


def _read_concat(layer):
  found = layer.message.concat_param
  old = found.HasField("concat_dim")
  return along("concat", found.concat_dim if old else found.axis)


def _slice(layer, weights, inputs, relu):
  (x,) = inputs
  axis = own_axis(layer.option("axis", 1), x.ndim)
  points, count = layer.option("points", ()), len(layer.outputs)
  if points and points[-1] >= x.shape[axis]:
    raise ValueError(
      f"its slice_point {points[-1]} is beyond the {x.shape[axis]} along its "
      "axis"
    )
  if not points and x.shape[axis] % count:
    raise ValueError(
      f"{x.shape[axis]} cannot be cut into {count} equal parts; it needs "
      "slice_point"
    )
  return tuple(jnp.split(x, points or count, axis))


def _read_slice(layer):
  found = layer.message.slice_param
  old = found.HasField("slice_dim")
  axis = along("slice", found.slice_dim if old else found.axis)
  points = tuple(found.slice_point)
  if points and (
    len(points) != len(layer.tops) - 1 or sorted(set(points)) != list(points)
  ):
    raise ValueError("it needs one rising slice_point between two tops")
  return axis | ({"points": points} if points else {})


def _flatten(x, axis=1, end=-1):
  """Joins Caffe's axes from `axis` to `end`, both in, into one."""
  x = to_caffe(x)
  axis, end = positive_axis(axis, x.ndim), positive_axis(end, x.ndim)
  if end < axis:
    raise ValueError("its end_axis is before its axis")
  return from_caffe(x.reshape(*x.shape[:axis], -1, *x.shape[end + 1 :]))


def _read_flatten(layer):
  require_images_apart(layer.message.flatten_param.axis)
  return settings("flatten_param", axis="axis", end="end_axis")(layer)


def _reshape(x, dims, axis=0, count=-1):
  """Puts `dims` in place of `count` of Caffe's axes, -1 for all, from `axis`.

  0 keeps the extent that was there, -1 stands for whatever is left.
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
  have, asked = math.prod(x.shape[1:]), math.prod(shape[1:])
  if asked and have != asked and have * x.shape[0] % asked == 0:
    raise ValueError("it would mix images")
  if shape[0] != x.shape[0] or have != asked:
    raise ValueError(f"an image has {have} values for its shape {list(dims)}")
  return from_caffe(x.reshape(shape))


def _read_reshape(layer):
  found = layer.message.reshape_param
  dims = tuple(found.shape.dim)
  if any(dim < -1 for dim in dims) or dims.count(-1) > 1:
    raise ValueError(f"its shape {list(dims)} is not one to reshape to")
  # A fixed number of images is the description's own batch, not ours.
  if found.axis == 0 and dims:
    dims = (0, *dims[1:])
  return {"dims": dims, "axis": found.axis, "count": found.num_axes}


def _crop(x, reference, axis=2, offsets=()):
  """Cuts Caffe's axes from `axis` on to the size of `reference`.

  `offsets` are the first indices kept: of each axis, of all, or none for 0.
  """
  x, reference = to_caffe(x), to_caffe(reference)
  axis = positive_axis(axis, x.ndim)
  cut = x.ndim - axis
  offsets = tuple(offsets) or (0,)
  offsets = offsets * cut if len(offsets) == 1 else offsets
  if len(offsets) != cut or x.ndim != reference.ndim:
    raise ValueError(f"it needs one offset, or one for each of {cut} axes")
  starts = (0,) * axis + offsets
  sizes = x.shape[:axis] + reference.shape[axis:]
  ends = [start + size for start, size in zip(starts, sizes, strict=True)]
  if any(end > have for end, have in zip(ends, x.shape, strict=True)):
    raise ValueError("its offset and the second blob reach beyond the first")
  return from_caffe(lax.slice(x, starts, ends))


def _read_crop(layer):
  options = settings("crop_param", axis="axis", offsets="offset")(layer)
  if options.get("offsets"):
    return options
  # Only forks have a Crop in the old form.
  old = layer.message.DESCRIPTOR.name == "V1LayerParameter"
  return options | {"origin": FOUND if old else UNSAID}


def _argmax(x, *, top=1, values=False, axis=None):
  """The places of the `top` largest, of equals the last, as floats.

  Without Caffe's `axis` each image is one row, and `values` come beside the
  places; along an axis they come instead.
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


def _read_argmax(layer):
  read = settings(
    "argmax_param", top="top_k", values="out_max_val", axis="axis"
  )
  options = read(layer)
  require_images_apart(options.get("axis", 1))
  return options


def _top(x, count):
  if not 1 <= count <= x.shape[-1]:
    raise ValueError(f"its top_k {count} is not within 1 to {x.shape[-1]}")
  values, places = lax.top_k(x[..., ::-1], count)
  return values, (x.shape[-1] - 1 - places).astype(x.dtype)


def _trim(layer, weights, inputs, relu):
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  return lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))


def _shuffle_channels(x, count=1):
  if count < 1 or x.shape[-1] % count:
    raise ValueError(f"its group {count} does not part {x.shape[-1]} channels")
  parts = x.reshape(*x.shape[:-1], count, -1)
  return jnp.swapaxes(parts, -1, -2).reshape(x.shape)


def _permute(x, order):
  x = to_caffe(x)
  if any(axis >= x.ndim for axis in order[: x.ndim]) or len(order) < x.ndim:
    raise ValueError(f"it has {x.ndim} axes, which are not those of {order}")
  return from_caffe(x.transpose(order[: x.ndim]))


def _read_permute(layer):
  order = list(layer.message.permute_param.order)
  if len(set(order)) != len(order) or any(axis > 31 for axis in order):
    raise ValueError(f"its order {order} is none of axes; name each once")
  # What it does not name follows in its own order.
  order += [axis for axis in range(max([3, *order]) + 1) if axis not in order]
  if order[0] != 0:
    raise CannotRunError(
      "it moves the axis of the images, which stay apart here"
    )
  return {"order": tuple(order)}


def _tile(x, axis=1, count=1):
  x = to_caffe(x)
  counts = [1] * x.ndim
  counts[positive_axis(axis, x.ndim)] = count
  return from_caffe(jnp.tile(x, counts))


def _read_tile(layer):
  found = layer.message.tile_param
  if found.axis == 0:
    raise CannotRunError("it makes more images of one")
  if found.tiles < 1:
    raise ValueError("its tiles are not above 0")
  return {"axis": found.axis, "count": found.tiles}


def _reduction(x, operation="sum", axis=1, factor=1.0):
  x = to_caffe(x)
  axes = tuple(range(positive_axis(axis, x.ndim), x.ndim))
  if operation == "sum_abs":
    x = jnp.abs(x)
  elif operation == "sum_squares":
    x = x * x
  reduced = x.mean(axes) if operation == "mean" else x.sum(axes)
  reduced = from_caffe(reduced * factor)
  # A number an image is a vector of one here.
  return reduced[:, None] if reduced.ndim == 1 else reduced


def _read_reduction(layer):
  found = layer.message.reduction_param
  require_images_apart(found.axis)
  names = {1: "sum", 2: "sum_abs", 3: "sum_squares", 4: "mean"}
  if found.operation not in names:
    raise ValueError("its operation is none of SUM, ASUM, SUMSQ, MEAN")
  operation = names[found.operation]
  return {"operation": operation, "axis": found.axis, "factor": found.coeff}


_linear = functools.partial(LayerType, linear=True)

TYPES = {
  "concat": _linear(
    _concat, reach="position", inputs=(1, None), caffe={"Concat": _read_concat}
  ),
  "slice": _linear(
    _slice,
    reach="position",
    several_outputs=True,
    caffe={"Slice": _read_slice},
  ),
  # The same along other axes than the channels.
  "concat_axis": _linear(_concat, inputs=(1, None)),
  "slice_axis": _linear(_slice, several_outputs=True),
  "flatten": _linear(
    by_options(_flatten),
    same_values=True,
    caffe={"Flatten": _read_flatten},
  ),
  "reshape": _linear(
    by_options(_reshape),
    same_values=True,
    caffe={"Reshape": _read_reshape},
  ),
  "crop": _linear(
    by_options(_crop),
    inputs=(2, 2),
    resizes=True,
    caffe={"Crop": _read_crop},
  ),
  "argmax": LayerType(by_options(_argmax), caffe={"ArgMax": _read_argmax}),
  "shuffle_channels": _linear(
    by_options(_shuffle_channels),
    reach="position",
    caffe={"ShuffleChannel": settings("shuffle_channel_param", count="group")},
  ),
  "permute": _linear(by_options(_permute), caffe={"Permute": _read_permute}),
  "tile": _linear(by_options(_tile), caffe={"Tile": _read_tile}),
  "reduction": LayerType(
    by_options(_reduction), caffe={"Reduction": _read_reduction}
  ),
  "trim": _linear(_trim, reach="window"),
}
