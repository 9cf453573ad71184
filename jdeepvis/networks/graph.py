"""Runs a layer graph: the one interpreter behind every network of ours."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import cpu
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import Shape
from jdeepvis.networks.network import LayerInfo, Network
from jdeepvis.networks.ops import windows
from jdeepvis.types import Activations, Images, JdeepvisError, Params

INPUT = "data"
"""The blob that holds the images."""

_PRECISIONS = ("default", "high", "highest")
_MAX_SIZE = 2**28
"""Most entries of a blob or a weight; VGG's largest weight has a third."""


@dataclasses.dataclass(frozen=True)
class GraphApply:
  """`Network.apply` of a layer graph; equal graphs share one compilation.

  Attributes:
    layers: in order of computation.
    plain: run every layer as its type says, without what `cpu` has for it.
  """

  layers: tuple[LayerInfo, ...]
  plain: bool = False

  def __call__(
    self,
    params: Params,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu=jax.nn.relu,
    given: Activations | None = None,
  ) -> Activations:
    """Every blob, or those up to the last of `until`.

    Blobs that are `given` are not computed, so that others can be
    differentiated by them.
    """
    given = given or {}
    blobs = {INPUT: jnp.asarray(images)}
    wanted = {until} if isinstance(until, str) else set(until or ())
    averaged = averaged_products(self.layers)
    for layer in self.layers:
      if until is not None and wanted <= blobs.keys():
        break
      steps = [layer]
      product = averaged.get(layer.name)
      if product and product.outputs[0] not in given:
        steps = [layer._replace(inputs=product.inputs), product]
      values = tuple(blobs[name] for name in steps[0].inputs)
      for step in steps:
        weights = params.get(step.weights_key, {})
        apply = LAYER_TYPES[step.kind].apply
        if not self.plain:
          apply = cpu.implementation(step.kind, apply)
        values = apply(step, weights, values, relu)
        values = values if isinstance(values, tuple) else (values,)
      blobs.update(zip(layer.outputs, values, strict=True))
      blobs.update({name: given[name] for name in given.keys() & layer.outputs})
    return blobs


def averaged_products(
  layers: tuple[LayerInfo, ...],
) -> dict[str, LayerInfo]:
  """Global averages, by name, with the 1 x 1 convolution that each reads.

  The mean of such a convolution is the convolution of the mean, which takes one
  product instead of one for each position: a quarter of the arithmetic of
  SqueezeNet's class scores.
  """
  writers = {layer.outputs[0]: layer for layer in layers}
  read = {
    layer.name: writers.get(layer.inputs[0])
    for layer in layers
    if layer.kind == "global_average"
  }
  return {
    name: layer
    for name, layer in read.items()
    if layer and layer.kind == "convolution" and _is_pointwise(layer)
  }


class GraphShapes(NamedTuple):
  """Shapes without the batch axis: of every blob, of every weight."""

  blobs: dict[str, Shape]
  weights: dict[str, dict[str, Shape]]


def infer_shapes(layers: tuple[LayerInfo, ...], input: Shape) -> GraphShapes:
  """Walks the graph abstractly; nothing is computed.

  Args:
    layers: a layer graph, in order of computation.
    input: height, width, channels.

  Raises:
    JdeepvisError: a layer cannot read the blobs it is given, or a blob or a
      weight would be far too large; names the layer.
  """
  # Another type under the same name is another graph.
  types = tuple(LAYER_TYPES.get(layer.kind) for layer in layers)
  blobs, weights = _infer_shapes(layers, tuple(input), types)
  return GraphShapes(dict(blobs), {key: dict(w) for key, w in weights.items()})


@functools.lru_cache(maxsize=64)
def _infer_shapes(layers, input, types) -> GraphShapes:
  """Cached: a walk takes half a second, and a picture needs several."""
  del types
  blobs, weights = {INPUT: input}, {}
  for layer in layers:
    shapes = [blobs[name] for name in layer.inputs]
    try:
      leaves, outputs = infer_layer(layer, shapes)
      blobs.update(zip(layer.outputs, outputs, strict=True))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
      reason = (str(error).splitlines() or [repr(error)])[0].rstrip(".")
      raise JdeepvisError(
        f"Layer {layer.name!r} ({layer.kind}) cannot read blobs of shape "
        f"{', '.join(str(list(shape)) for shape in shapes)}, channels last: "
        f"{reason[:200]}."
      ) from error
    if weights.setdefault(layer.weights_key, leaves) != leaves:
      raise JdeepvisError(
        f"Layer {layer.name!r} cannot share the weights of "
        f"{layer.weights_key!r}: their shapes differ."
      )
  return GraphShapes(blobs, {key: w for key, w in weights.items() if w})


def infer_layer(
  layer: LayerInfo, shapes: list[Shape]
) -> tuple[dict[str, Shape], list[Shape]]:
  """Shapes of a layer's weights and outputs, without the batch axis.

  Raises:
    ValueError: it cannot read blobs of these shapes, or would make or need far
      too large an array; other errors are those of its type.
  """
  kind = LAYER_TYPES[layer.kind]
  if any(0 in shape for shape in shapes):
    raise ValueError("there is nothing in them")
  if kind.reach == "window":
    _check_windows(layer, shapes[0])
  leaves = dict(kind.weights(layer, shapes))
  _check_sizes(layer, leaves.values())
  outputs = jax.eval_shape(
    lambda leaves, inputs: kind.apply(layer, leaves, inputs, jax.nn.relu),
    {name: _abstract(shape) for name, shape in leaves.items()},
    tuple(_abstract((1, *shape)) for shape in shapes),
  )
  outputs = outputs if isinstance(outputs, tuple) else (outputs,)
  shapes = [tuple(output.shape[1:]) for output in outputs]
  _check_sizes(layer, shapes)
  return leaves, shapes


def random_weights(
  layers: tuple[LayerInfo, ...], input: Shape, seed: int = 0
) -> Params:
  """Weights of an untrained network: He-normal kernels, neutral all else.

  Args:
    layers: a layer graph, in order of computation.
    input: height, width, channels.
    seed: of the kernels.
  """
  random = np.random.default_rng(seed)
  neutral = {"slope": 0.25, "scale": 1, "variance": 1}
  params: dict[str, dict[str, np.ndarray]] = {}
  for layer, leaves in infer_shapes(layers, input).weights.items():
    params[layer] = {}
    for leaf, shape in leaves.items():
      values = np.full(shape, neutral.get(leaf, 0), np.float32)
      if leaf == "kernel":
        deviation = np.float32(np.sqrt(2 / math.prod(shape[:-1])))
        values = random.standard_normal(shape, np.float32) * deviation
      params[layer][leaf] = values
  return params


def with_precision(network: Network, precision: str) -> Network:
  """The network with another precision of its products, and gradients'.

  On GPUs and TPUs `high` and `default` are several times faster and round the
  factors to TF32 or bfloat16; a CPU knows `highest` alone.

  Args:
    network: a network with a layer graph; `highest` where nothing is said.
    precision: `default`, `high` or `highest`, as `jax.lax.Precision`.

  Raises:
    JdeepvisError: there is no such precision, or no layer graph.
  """
  if precision not in _PRECISIONS:
    raise JdeepvisError(
      f"There is no precision {precision!r}; use {', '.join(_PRECISIONS)}."
    )
  if not network.layers:
    raise JdeepvisError(
      "This network has no layer graph; its own function says how precise it "
      "is."
    )
  layers = tuple(
    layer.with_option("precision", precision)
    if LAYER_TYPES[layer.kind].product
    else layer
    for layer in network.layers
  )
  return with_layers(network, layers)


def with_layers(network: Network, layers: tuple[LayerInfo, ...]) -> Network:
  """The network with these layers in place of its own."""
  apply = dataclasses.replace(network.apply, layers=layers)
  return network.replace(apply=apply, layers=layers)


def _is_pointwise(layer: LayerInfo) -> bool:
  moved = layer.kernel, layer.stride, layer.pad
  return moved == ((1, 1), (1, 1), (0, 0))


def _check_windows(layer: LayerInfo, shape: Shape) -> None:
  if len(shape) != 3:
    raise ValueError("it reads maps, which have height, width and channels")
  counts = [
    windows(*axis, ceil=True).count
    for axis in zip(
      shape[:2],
      layer.kernel,
      layer.stride,
      layer.pad,
      layer.dilation,
      strict=True,
    )
  ]
  if min(counts) < 1:
    raise ValueError(
      f"its window {list(layer.kernel)} is larger than the padded map"
    )
  _check_sizes(layer, [(*counts, shape[-1])])


def _check_sizes(layer: LayerInfo, shapes: Iterable[Shape]) -> None:
  for shape in shapes:
    if math.prod(shape) > _MAX_SIZE or any(extent < 1 for extent in shape):
      raise ValueError(f"it would make or need an array of {list(shape)}")


def _abstract(shape: Shape) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.float32)
