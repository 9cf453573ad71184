"""Convolution and pooling: where their windows lie, and their weights."""

import math
from typing import Any, NamedTuple

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results, float_array
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import (
  Inputs,
  constant_at,
  needed,
  view_at,
  whole_numbers,
)
from jdeepvis.networks.onnx.operators.pointwise import combined
from jdeepvis.networks.onnx.views import View, view_of

Pair = tuple[int, int]


class _Windows(NamedTuple):
  """Height and width of everything; of a sequence the height is 1."""

  kernel: Pair
  stride: Pair
  dilation: Pair
  before: Pair
  after: Pair

  @property
  def extent(self) -> Pair:
    return tuple(
      step * (taps - 1) + 1
      for step, taps in zip(self.dilation, self.kernel, strict=True)
    )

  @property
  def fields(self) -> dict[str, Any]:
    """As those of a layer that does not round up."""
    found = {
      "kernel": self.kernel,
      "stride": self.stride,
      "dilation": self.dilation,
    }
    if self.before == self.after:
      return found | {"pad": self.before}
    return found

  @property
  def options(self) -> dict[str, Any]:
    if self.before == self.after:
      return {}
    return {"padding": tuple(zip(self.before, self.after, strict=True))}


def convolution(build: Builder, node: Node, inputs: Inputs) -> Results:
  """One or two axes of space, any groups; an Add behind is its bias."""
  view, kernel = build.as_map(view_at(inputs, 0)), _kernel(inputs)
  groups = int(node.get("group", 1))
  where = _windows(node, build.stored(view.blob)[:2], kernel.shape[2:])
  features = kernel.shape[0]
  options = {"features": features, **where.options}
  if groups != 1:
    options["groups"] = groups
  weights = {"kernel": _as_hwio(kernel)}
  return _with_bias(
    build, node, inputs, view, "convolution", options, weights, where.fields
  )


def transposed_convolution(
  build: Builder, node: Node, inputs: Inputs
) -> Results:
  """The transpose of a convolution."""
  view, kernel = build.as_map(view_at(inputs, 0)), _kernel(inputs)
  groups = int(node.get("group", 1))
  size = build.stored(view.blob)[:2]
  rank = kernel.ndim - 2
  where = _windows(node, size, kernel.shape[2:], pads=False)
  more = _two(node.get("output_padding"), rank, 0)
  before, after = _edges(node, rank)
  if said := node.get("output_shape"):
    said = _two(said, rank, 1)
    total = [
      step * (have - 1) + extra + extent - want
      for step, have, extra, extent, want in zip(
        where.stride, size, more, where.extent, said, strict=True
      )
    ]
    upper = node.get("auto_pad") == "SAME_UPPER"
    before = tuple(x // 2 if upper else x - x // 2 for x in total)
    after = tuple(x - y for x, y in zip(total, before, strict=True))
  elif node.get("auto_pad", "NOTSET").startswith("SAME"):
    total = [
      extent + extra - step
      for step, extra, extent in zip(
        where.stride, more, where.extent, strict=True
      )
    ]
    upper = node.get("auto_pad") == "SAME_UPPER"
    before = tuple(x // 2 if upper else x - x // 2 for x in total)
    after = tuple(x - y for x, y in zip(total, before, strict=True))
  after = tuple(x - y for x, y in zip(after, more, strict=True))
  where = where._replace(before=before, after=after)
  options = {"features": kernel.shape[1] * groups, **where.options}
  if groups != 1:
    options["groups"] = groups
  if min(before) < 0 and before == after:
    options["padding"] = tuple(zip(before, after, strict=True))
    where = where._replace(before=(0, 0), after=(0, 0))
  weights = {"kernel": _as_hwio(kernel)}
  return _with_bias(
    build, node, inputs, view, "deconvolution", options, weights, where.fields
  )


def max_pooling(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The largest of each window; not where it was."""
  made = _pooled(build, node, inputs, "max_pooling")
  return [made, *(None for _ in node.outputs[1:])]


def average_pooling(build: Builder, node: Node, inputs: Inputs) -> Results:
  """The mean of each window, of positions in the map or also around it."""
  return [_pooled(build, node, inputs, "average_pooling")]


def global_pooling(kind: str):
  """All positions of a map."""

  def run(build: Builder, node: Node, inputs: Inputs) -> Results:
    view = build.as_map(view_at(inputs, 0))
    (made,) = build.emit(node.name, kind, [view.blob])
    rank = len(view.axes)
    axes = [None, 2, *(None for _ in range(rank - 2))]
    return [view_of(made, build.stored(made), axes, node.name)]

  return run


def quantized_convolution(
  build: Builder, node: Node, inputs: Inputs
) -> Results:
  """ConvInteger: of whole numbers minus their zeros."""
  view, kernel = view_at(inputs, 0), constant_at(inputs, 1)
  kernel = float_array(kernel)
  zeros = [*inputs[2:], None, None][:2]
  if zeros[0] is not None:
    view = combined(build, node, "subtract", [view, zeros[0]], "i", "centred")
  if zeros[1] is not None:
    zero = float_array(constant_at(zeros, 1))
    kernel = kernel - zero.reshape(-1, *(1,) * (kernel.ndim - 1))
  return convolution(build, node, [view, kernel])


def _pooled(build: Builder, node: Node, inputs: Inputs, kind: str) -> View:
  view = build.as_map(view_at(inputs, 0))
  shape = whole_numbers(needed(node.get("kernel_shape"), "a kernel_shape"))
  size = build.stored(view.blob)[:2]
  where = _windows(node, size, shape)
  if where.dilation != (1, 1):
    raise CannotRunError("its windows have gaps")
  options = {} if node.get("ceil_mode", 0) else {"ceil": False}
  fields = where.fields
  if where.before != where.after:
    # What rounding up adds is not counted as what is said is.
    padding = [
      (before, _rounded_up(have, extent, step, before, after))
      if node.get("ceil_mode", 0)
      else (before, after)
      for have, extent, step, before, after in zip(
        size,
        where.extent,
        where.stride,
        where.before,
        where.after,
        strict=True,
      )
    ]
    options["padding"] = tuple(padding)
    fields = fields | {"pad": where.after}
  padded = any((*where.before, *where.after))
  inside = kind == "average_pooling" and padded
  if inside and not node.get("count_include_pad", 0):
    options["inside"] = True
  (made,) = build.emit(node.name, kind, [view.blob], options, **fields)
  return _like_map(build, view, made, node.name)


def _rounded_up(have, extent, step, before, after) -> int:
  """What is added behind so that a last, partial window counts."""
  room = have + before + after - extent
  count = math.ceil(room / step) + 1
  if (count - 1) * step >= have + before:
    count -= 1
  return max((count - 1) * step + extent - have - before, 0)


def _with_bias(build, node, inputs, view, kind, options, weights, fields):
  features = options["features"]
  bias, found = constant_at(inputs, 2), None
  name = node.name
  if bias is None:
    found = build.bias_behind(node, features, 1, len(view.axes))
    if found:
      add, bias = found
      name = add.name
  if bias is None:
    options["bias"] = False
  else:
    weights["bias"] = float_array(bias).reshape(-1)
  (made,) = build.emit(name, kind, [view.blob], options, weights, **fields)
  result = _like_map(build, view, made, name)
  if not found:
    return [result]
  build.values[add.outputs[0]] = result
  return [None]


def _like_map(build: Builder, view: View, made: str, name: str) -> View:
  axes = (None, 2, 0, 1) if len(view.axes) == 4 else (None, 2, 1)
  return view_of(made, build.stored(made), axes, name)


def _kernel(inputs: Inputs) -> np.ndarray:
  kernel = float_array(needed(constant_at(inputs, 1), "a kernel"))
  if kernel.ndim not in (3, 4):
    raise CannotRunError(
      f"its kernel has {kernel.ndim - 2} axes of space; one or two are possible"
    )
  return kernel


def _as_hwio(kernel: np.ndarray) -> np.ndarray:
  """From outputs, inputs and space; of a sequence the height is 1."""
  kernel = kernel[:, :, None] if kernel.ndim == 3 else kernel
  return kernel.transpose(2, 3, 1, 0)


def _windows(node: Node, size: Pair, shape, *, pads: bool = True) -> _Windows:
  rank = len(shape)
  if rank not in (1, 2):
    raise CannotRunError(
      f"its windows have {rank} axes; one or two are possible"
    )
  kernel = _two(shape, rank, 1)
  said = node.get("kernel_shape")
  if said is not None and _two(said, rank, 1) != kernel:
    raise ValueError(f"its kernel_shape {said} is not its kernel's {kernel}")
  where = _Windows(
    kernel,
    _two(node.get("strides"), rank, 1),
    _two(node.get("dilations"), rank, 1),
    (0, 0),
    (0, 0),
  )
  if min(*where.kernel, *where.stride, *where.dilation) < 1:
    raise ValueError("its kernel, strides and dilations are not above 0")
  if not pads:
    return where
  automatic = node.get("auto_pad", "NOTSET")
  if automatic in ("SAME_UPPER", "SAME_LOWER"):
    total = [
      max((math.ceil(have / step) - 1) * step + extent - have, 0)
      for have, step, extent in zip(
        size, where.stride, where.extent, strict=True
      )
    ]
    upper = automatic == "SAME_UPPER"
    before = tuple(x // 2 if upper else x - x // 2 for x in total)
    after = tuple(x - y for x, y in zip(total, before, strict=True))
  elif automatic in ("NOTSET", "VALID", ""):
    before, after = _edges(node, rank)
  else:
    raise ValueError(f"its auto_pad {automatic!r} is none that is known")
  return where._replace(before=before, after=after)


def _edges(node: Node, rank: int) -> tuple[Pair, Pair]:
  pads = whole_numbers(node.get("pads", (0,) * (2 * rank)))
  if len(pads) != 2 * rank:
    raise ValueError(f"its pads {list(pads)} are not two for each axis")
  return _two(pads[:rank], rank, 0), _two(pads[rank:], rank, 0)


def _two(values, rank: int, default: int) -> Pair:
  """Height and width; a sequence has the width alone."""
  values = whole_numbers((default,) * rank if values is None else values)
  if len(values) != rank:
    raise ValueError(f"{list(values)} are not {rank} extents")
  return values if rank == 2 else (default, *values)
