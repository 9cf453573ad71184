"""Layers that enlarge maps, or shrink them by interpolation."""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks.layers.layer_type import CannotRunError, LayerType
from jdeepvis.networks.ops import Pair

_MAX_SIDE = 2**14


def _interp(layer, weights, inputs, relu):
  """Bilinear, the corners of both maps at the same places."""
  (x,) = inputs
  before, after = layer.option("cut", (0, 0))
  zoom, shrink = layer.option("zoom", 1), layer.option("shrink", 1)
  for axis, to in zip((1, 2), layer.option("to", (0, 0)), strict=True):
    x = lax.slice_in_dim(x, before, x.shape[axis] - after, axis=axis)
    have = x.shape[axis]
    middle = (have - 1) // shrink + 1
    x = _stretched(x, axis, to or middle + (middle - 1) * (zoom - 1))
  return x


def _stretched(x, axis: int, size: int):
  have = x.shape[axis]
  if not 1 <= size <= _MAX_SIDE:
    raise ValueError(f"its side of {size} is not within 1 to {_MAX_SIDE}")
  if size == have:
    return x
  step = np.float32((have - 1) / (size - 1)) if size > 1 else np.float32(0)
  place = step * np.arange(size, dtype=np.float32)
  first = np.minimum(place.astype(np.int32), have - 1)
  second = np.minimum(first + 1, have - 1)
  shape = [1] * x.ndim
  shape[axis] = size
  share = jnp.asarray((place - first).reshape(shape), x.dtype)
  return (1 - share) * jnp.take(x, first, axis) + share * jnp.take(
    x, second, axis
  )


def _read_interp(layer):
  found = layer.message.interp_param
  if len(layer.bottoms) != 1:
    raise CannotRunError("its size is that of another blob")
  if found.pad_beg > 0 or found.pad_end > 0:
    raise ValueError("its pad_beg and pad_end crop, so they are not above 0")
  said = found.HasField
  size: Pair = (found.height, found.width)
  # In Caffe factors that are said go before a size that is said, except both.
  zoom = found.zoom_factor if said("zoom_factor") else 0
  shrink = found.shrink_factor if said("shrink_factor") else 0
  if said("height") and said("width") and bool(zoom) == bool(shrink):
    zoom = shrink = 0
  elif not zoom and not shrink:
    raise ValueError("it needs height and width, zoom_factor or shrink_factor")
  else:
    size = (0, 0)
  if min(zoom, shrink) < 0 or (size != (0, 0) and min(size) < 1):
    raise ValueError("its size and factors are not above 0")
  return {
    "to": size,
    "zoom": max(zoom, 1),
    "shrink": max(shrink, 1),
    "cut": (-found.pad_beg, -found.pad_end),
  }


def _upsample_nearest(layer, weights, inputs, relu):
  (x,) = inputs
  return _repeated(x, layer.option("scale"))


def _repeated(x, scale):
  if max(scale) * max(x.shape[1:3]) > _MAX_SIDE or min(scale) < 1:
    raise ValueError(f"its scale {list(scale)} is not one for this map")
  return jnp.repeat(jnp.repeat(x, scale[0], axis=1), scale[1], axis=2)


def _unpool(layer, weights, inputs, relu):
  """Each value at the place that its mask names; zeros around it."""
  x, mask = inputs
  if x.shape != mask.shape:
    raise ValueError("its mask has another shape than what it unpools")
  height, width = _unpooled_size(layer, x.shape[1:3])
  place = np.arange(height * width).reshape(1, height, width, 1)
  x, mask = (
    _cut_or_filled(_repeated(part, layer.option("scale")), (height, width))
    for part in (x, mask)
  )
  return jnp.where(mask == place.astype(mask.dtype), x, 0)


def _cut_or_filled(x, size):
  edges = [
    (0, side - have, 0) for side, have in zip(size, x.shape[1:3], strict=True)
  ]
  fill = jnp.full((), -1, x.dtype)  # No mask names it.
  return lax.pad(x, fill, [(0, 0, 0), *edges, (0, 0, 0)])


def _unpooled_size(layer, size):
  scale, trim = layer.option("scale"), layer.option("trim", (0, 0))
  sides = layer.option("to") or tuple(
    have * by - less for have, by, less in zip(size, scale, trim, strict=True)
  )
  if not all(1 <= side <= _MAX_SIDE for side in sides):
    raise ValueError(f"its size {list(sides)} is not one of a map")
  return sides


def _read_upsample(layer):
  found = layer.message.upsample_param
  said = found.HasField
  if said("scale_h") != said("scale_w") or said("upsample_h") != said(
    "upsample_w"
  ):
    raise ValueError("it says one of two sides; say both")
  scale = (found.scale,) * 2
  if said("scale_h"):
    scale = found.scale_h, found.scale_w
  size = found.upsample_h, found.upsample_w
  if len(layer.bottoms) == 1:
    if min(scale) < 1 or said("upsample_h"):
      raise CannotRunError("without a mask it needs a scale, and no size")
    return {"kind": "upsample_nearest", "scale": scale}
  scale = scale if min(scale) else (2, 2)
  if min(size) == 0:
    trim = int(found.pad_out_h), int(found.pad_out_w)
    return {"scale": scale, "trim": trim}
  return {"scale": scale, "to": size}


def _read_unpooling(layer):
  found = layer.message.unpooling_param
  if found.unpool != 0 or len(layer.bottoms) != 2:
    raise CannotRunError("only unpooling with the mask of a maximum is exact")
  if found.pad or found.pad_h or found.pad_w:
    raise CannotRunError("it is padded")
  said = found.HasField
  window = (found.kernel_size,) * 2
  if said("kernel_h") or said("kernel_w"):
    window = found.kernel_h, found.kernel_w
  stride = (found.stride,) * 2
  if said("stride_h") or said("stride_w"):
    stride = found.stride_h, found.stride_w
  if window != stride:
    raise CannotRunError("its windows overlap or leave gaps")
  size = found.unpool_size
  return {"scale": window} | ({"to": (size, size)} if size else {})


_linear = functools.partial(LayerType, linear=True)

TYPES = {
  "interp": _linear(_interp, resizes=True, caffe={"Interp": _read_interp}),
  "upsample_nearest": _linear(_upsample_nearest, resizes=True),
  "unpool": LayerType(
    _unpool,
    inputs=(2, 2),
    caffe={"Unpooling": _read_unpooling, "Upsample": _read_upsample},
  ),
}
