"""Layers that join, split, cut and rearrange blobs."""

import functools

import jax.numpy as jnp
from jax import lax

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layers.layer_type import (
  LayerType,
  Step,
  along,
  padding,
)


def _concat(layer, weights, inputs, relu):
  axis = caffe_axes.own_axis(layer.option("axis", 1), inputs[0].ndim)
  return jnp.concatenate(inputs, axis)


def _read_concat(layer):
  settings = layer.message.concat_param
  old = settings.HasField("concat_dim")
  return along("concat", settings.concat_dim if old else settings.axis)


def _slice(layer, weights, inputs, relu):
  (x,) = inputs
  axis = caffe_axes.own_axis(layer.option("axis", 1), x.ndim)
  parts = layer.option("points") or len(layer.outputs)
  return tuple(jnp.split(x, parts, axis))


def _read_slice(layer):
  settings = layer.message.slice_param
  old = settings.HasField("slice_dim")
  step = along("slice", settings.slice_dim if old else settings.axis)
  points = tuple(settings.slice_point)
  if points and (
    len(points) != len(layer.tops) - 1 or sorted(set(points)) != list(points)
  ):
    raise ValueError("it needs one rising slice_point between two tops")
  return step._replace(
    options=step.options | ({"points": points} if points else {})
  )


def _flatten(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.flatten(x, **dict(layer.options))


def _read_flatten(layer):
  settings = layer.message.flatten_param
  return Step(options={"axis": settings.axis, "end": settings.end_axis})


def _reshape(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.reshape(x, **dict(layer.options))


def _read_reshape(layer):
  settings = layer.message.reshape_param
  dims = tuple(settings.shape.dim)
  if any(dim < -1 for dim in dims) or dims.count(-1) > 1:
    raise ValueError(f"its shape {list(dims)} is not one to reshape to")
  # A fixed number of images is the description's own batch, not ours.
  if settings.axis == 0 and dims:
    dims = (0, *dims[1:])
  options = {"dims": dims, "axis": settings.axis, "count": settings.num_axes}
  return Step(options=options)


def _crop(layer, weights, inputs, relu):
  return caffe_axes.crop(*inputs, **dict(layer.options))


def _read_crop(layer):
  settings = layer.message.crop_param
  options = {"axis": settings.axis, "offsets": tuple(settings.offset)}
  return Step(options=options)


def _argmax(layer, weights, inputs, relu):
  (x,) = inputs
  return caffe_axes.argmax(x, **dict(layer.options))


def _read_argmax(layer):
  settings = layer.message.argmax_param
  options = {"top": settings.top_k, "values": settings.out_max_val}
  axis = {"axis": settings.axis} if settings.HasField("axis") else {}
  return Step(options=options | axis)


def _trim(layer, weights, inputs, relu):
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  return lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))


_linear = functools.partial(LayerType, linear=True)

TYPES = {
  "concat": _linear(
    _concat,
    reach="position",
    inputs=(1, None),
    caffe=("Concat",),
    from_caffe=_read_concat,
  ),
  "concat_axis": _linear(_concat, inputs=(1, None)),
  "slice": _linear(
    _slice,
    reach="position",
    several_outputs=True,
    caffe=("Slice",),
    from_caffe=_read_slice,
  ),
  "slice_axis": _linear(_slice, several_outputs=True),
  "flatten": _linear(
    _flatten, same_values=True, caffe=("Flatten",), from_caffe=_read_flatten
  ),
  "reshape": _linear(
    _reshape, same_values=True, caffe=("Reshape",), from_caffe=_read_reshape
  ),
  "crop": _linear(_crop, inputs=(2, 2), caffe=("Crop",), from_caffe=_read_crop),
  "argmax": LayerType(_argmax, caffe=("ArgMax",), from_caffe=_read_argmax),
  "trim": _linear(_trim, reach="window"),
}
