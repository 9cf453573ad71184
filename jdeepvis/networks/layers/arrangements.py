"""Layers that join, split, cut and rearrange blobs."""

import functools

import jax.numpy as jnp
from jax import lax

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layers.layer_type import (
  LayerType,
  Step,
  along,
  by_options,
  padding,
  settings,
)


def _concat(layer, weights, inputs, relu):
  axis = caffe_axes.own_axis(layer.option("axis", 1), inputs[0].ndim)
  return jnp.concatenate(inputs, axis)


def _read_concat(layer):
  found = layer.message.concat_param
  old = found.HasField("concat_dim")
  return along("concat", found.concat_dim if old else found.axis)


def _slice(layer, weights, inputs, relu):
  (x,) = inputs
  axis = caffe_axes.own_axis(layer.option("axis", 1), x.ndim)
  parts = layer.option("points") or len(layer.outputs)
  return tuple(jnp.split(x, parts, axis))


def _read_slice(layer):
  found = layer.message.slice_param
  old = found.HasField("slice_dim")
  step = along("slice", found.slice_dim if old else found.axis)
  points = tuple(settings.slice_point)
  if points and (
    len(points) != len(layer.tops) - 1 or sorted(set(points)) != list(points)
  ):
    raise ValueError("it needs one rising slice_point between two tops")
  return step._replace(
    options=step.options | ({"points": points} if points else {})
  )


def _read_reshape(layer):
  found = layer.message.reshape_param
  dims = tuple(settings.shape.dim)
  if any(dim < -1 for dim in dims) or dims.count(-1) > 1:
    raise ValueError(f"its shape {list(dims)} is not one to reshape to")
  # A fixed number of images is the description's own batch, not ours.
  if found.axis == 0 and dims:
    dims = (0, *dims[1:])
  options = {"dims": dims, "axis": found.axis, "count": found.num_axes}
  return Step(options=options)


def _read_argmax(layer):
  named = layer.message.argmax_param.HasField("axis")
  axis = {"axis": "axis"} if named else {}
  read = settings("argmax_param", top="top_k", values="out_max_val", **axis)
  return read(layer)


def _trim(layer, weights, inputs, relu):
  (x,) = inputs
  edges = ((0, 0, 0), *((*edge, 0) for edge in padding(layer, x.shape[1:3])))
  return lax.pad(x, jnp.zeros((), x.dtype), (*edges, (0, 0, 0)))


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
    by_options(caffe_axes.flatten),
    same_values=True,
    caffe={"Flatten": settings("flatten_param", axis="axis", end="end_axis")},
  ),
  "reshape": _linear(
    by_options(caffe_axes.reshape),
    same_values=True,
    caffe={"Reshape": _read_reshape},
  ),
  "crop": _linear(
    by_options(caffe_axes.crop),
    inputs=(2, 2),
    caffe={"Crop": settings("crop_param", axis="axis", offsets="offset")},
  ),
  "argmax": LayerType(
    by_options(caffe_axes.argmax), caffe={"ArgMax": _read_argmax}
  ),
  "trim": _linear(_trim, reach="window"),
}
