"""`LayerType`: all that must be known of a type of layer."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.ops import Padding, Pair, windows
from jdeepvis.types import JdeepvisError

Shape = tuple[int, ...]

MAX_EXTENT = 4096
"""The largest window, stride or padding; no network has more."""

_KNOWN = {
  "reach": ("position", "window", "map"),
  "product": (None, "output", "input"),
  "probabilities": (None, "softmax", "sigmoid"),
}


class CannotRunError(ValueError):
  """A layer that is as it should be, but does what is not possible here."""


def no_settings(layer) -> dict[str, Any]:
  """Reads a layer of Caffe's that has no settings, or none that count."""
  return {}


def settings(message: str, **names: str) -> Callable[[Any], dict[str, Any]]:
  """Reads options, by our names, from the fields of Caffe's that are set."""

  def read(layer):
    said = getattr(layer.message, message, None)
    fields = said.ListFields() if said is not None else ()
    found = {field.name: _plain(value) for field, value in fields}
    return {ours: found[x] for ours, x in names.items() if x in found}

  return read


def require_images_apart(axis: int) -> None:
  """Refuses an axis that joins or parts images.

  Raises:
    CannotRunError: the axis is that of the images.
  """
  if axis == 0:
    raise CannotRunError(
      "its axis 0 is that of the images, which stay apart here"
    )


def along(kind: str, axis: int) -> dict[str, Any]:
  """A layer along Caffe's `axis`, by a type of its own where not channels."""
  require_images_apart(axis)
  return {} if axis == 1 else {"kind": f"{kind}_axis", "axis": axis}


def by_options(function: Callable) -> Callable:
  """`LayerType.apply` of a function of the inputs and the layer's options."""
  return lambda layer, weights, inputs, relu: function(
    *inputs, **dict(layer.options)
  )


def same_axes(layer, shapes, leaves, arrays, checked):
  """Weights whose axes are the same in Caffe, one array a leaf in order."""
  return {
    name: checked(array, leaves[name])
    for name, array in zip(leaves, arrays, strict=True)
  }


@dataclasses.dataclass(frozen=True)
class LayerType:
  """What a type of layer computes, and what else is to be known of it.

  Attributes:
    apply: `apply(layer, weights, inputs, relu)` gives the one output, or a
      tuple of them. `inputs` are the blobs read, with the batch axis;
      `weights` the layer's own, by leaf name; `relu` the rectifier in force.
    weights: `weights(layer, shapes)` gives each leaf's shape from the shapes
      of the inputs, without the batch axis.
    reach: which positions of a map one output position reads: `position`, its
      own; `window`, those under the layer's kernel, of the map padded by
      `padding`; `map`, all.
    inputs: the least and the most blobs that it reads; None is any number.
    several_outputs: whether it may write more than one blob.
    one_by_one: whether Caffe's may read several blobs, each by itself, and
      write one for each, with the same weights.
    activation: whether it is the function after a layer: both its sides get
      names, `conv1/pre` and `conv1`.
    same_values: whether it hands its input's values on.
    resizes: whether it hands a map on as a smaller or a larger one, cut or
      interpolated.
    probabilities: how it makes probabilities of class scores: by `softmax`,
      by `sigmoid`, or not.
    weighs: whether it weighs its inputs, with weights or with one another:
      what it reads is attention or a gate rather than probabilities.
    linear: whether it is linear in its input but for a constant, for any
      options.
    pooling: whether it sums up the windows of a map, channel by channel.
    product: where its weights `kernel`, `[..., inputs, outputs]`, are
      multiplied: at each position of its `output`, of its `input`, or None.
    mask: the type that makes its second blob, where Caffe has one.
    passed: the type that gives the same values and passes signals back
      unchanged, if there is one.
    caffe: for each of Caffe's names of it `read(layer)`, which gives the
      options of a `CaffeLayer`, and with them any field of `LayerInfo`: its
      `kernel`, or its `kind` where it becomes another type. It raises
      `CannotRunError` where that does what is not possible here.
    settings: the name of Caffe's message for it and its fields, written as in
      `caffe.messages`, where they are not there:
      `("swish_param", "beta=1 float 1")`.
    caffe_arrays: the names of Caffe's arrays, once for each number that there
      may be of them; empty where they are the leaves.
    weights_from_caffe: `(layer, shapes, leaves, arrays, checked)` gives the
      leaves of Caffe's arrays; `shapes` are those of the inputs, `leaves` those
      of the weights, and `checked(array, shape)` is the array in that shape, or
      refuses it.

  Raises:
    JdeepvisError: there is no such reach, product or probabilities.
  """

  apply: Callable
  weights: Callable[[LayerInfo, Sequence[Shape]], Mapping[str, Shape]] = (
    lambda layer, shapes: {}
  )
  reach: str = "map"
  inputs: tuple[int, int | None] = (1, 1)
  several_outputs: bool = False
  one_by_one: bool = False
  activation: bool = False
  same_values: bool = False
  resizes: bool = False
  probabilities: str | None = None
  weighs: bool = False
  linear: bool = False
  pooling: bool = False
  product: str | None = None
  mask: str | None = None
  passed: str | None = None
  caffe: Mapping[str, Callable[[Any], dict[str, Any]]] = dataclasses.field(
    default_factory=dict, compare=False
  )
  settings: tuple[str, str] | None = None
  caffe_arrays: tuple[tuple[str, ...], ...] = ()
  weights_from_caffe: Callable[..., dict[str, np.ndarray]] = same_axes

  def __post_init__(self):
    for name, known in _KNOWN.items():
      if (value := getattr(self, name)) not in known:
        raise JdeepvisError(
          f"A layer type's {name} is one of {known}, not {value!r}."
        )


def padding(layer: LayerInfo, size: Pair, *, ceil: bool = False) -> Padding:
  """What a windowed layer adds around a map of `size` (height, width).

  The option `padding`, `((top, bottom), (left, right))`, takes precedence over
  `pad`; negative numbers crop. It is how the layers of a crop know which of
  their edges are edges of the whole map.
  """
  if explicit := layer.option("padding"):
    return explicit
  return tuple(
    windows(*axis, ceil=ceil)[1:]
    for axis in zip(
      size, layer.kernel, layer.stride, layer.pad, layer.dilation, strict=True
    )
  )


def _plain(value):
  several = isinstance(value, Sequence) and not isinstance(value, str)
  return tuple(value) if several else value
