"""Runs a layer graph: the one interpreter behind every network of ours."""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jdeepvis.networks.kinds import KINDS, Shape
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import Activations, Images, Params

INPUT = "data"
"""The blob that holds the images."""


@dataclasses.dataclass(frozen=True)
class GraphApply:
  """`Network.apply` of a layer graph; equal graphs share one compilation."""

  layers: tuple[LayerInfo, ...]

  def __call__(
    self,
    params: Params,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu=jax.nn.relu,
  ) -> Activations:
    """Every blob, or those up to the last of `until`."""
    blobs = {INPUT: images}
    wanted = {until} if isinstance(until, str) else set(until or ())
    for layer in self.layers:
      if until is not None and wanted <= blobs.keys():
        break
      inputs = tuple(blobs[name] for name in layer.inputs)
      weights = params.get(layer.weights_key, {})
      outputs = KINDS[layer.kind].apply(layer, weights, inputs, relu)
      outputs = outputs if isinstance(outputs, tuple) else (outputs,)
      blobs.update(zip(layer.outputs, outputs, strict=True))
    return blobs


class GraphShapes(NamedTuple):
  """Shapes without the batch axis: of every blob, of every weight."""

  blobs: dict[str, Shape]
  weights: dict[str, dict[str, Shape]]


def infer_shapes(layers: tuple[LayerInfo, ...], input: Shape) -> GraphShapes:
  """Walks the graph abstractly; nothing is computed.

  Args:
    layers: a layer graph, in order of computation.
    input: height, width, channels.
  """
  blobs, weights = {INPUT: tuple(input)}, {}
  for layer in layers:
    kind = KINDS[layer.kind]
    shapes = [blobs[name] for name in layer.inputs]
    leaves = dict(kind.weights(layer, shapes))
    if leaves:
      weights[layer.weights_key] = leaves
    inputs = tuple(_abstract((1, *shape)) for shape in shapes)
    outputs = jax.eval_shape(
      lambda leaves, inputs, kind=kind, layer=layer: kind.apply(
        layer, leaves, inputs, jax.nn.relu
      ),
      {name: _abstract(shape) for name, shape in leaves.items()},
      inputs,
    )
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for name, output in zip(layer.outputs, outputs, strict=True):
      blobs[name] = tuple(output.shape[1:])
  return GraphShapes(blobs, weights)


class GraphModule(nn.Module):
  """A Linen module that is its table of layers; the tables subclass it."""

  def layers(self) -> tuple[LayerInfo, ...]:
    """The table, in order of computation."""
    raise TypeError(f"{type(self).__name__} has no table of layers")

  @nn.compact
  def __call__(self, images: Images, *, until=None, relu=jax.nn.relu):
    """The activations of `images`, as `Network.apply` gives them."""
    layers = self.layers()
    weights = infer_shapes(layers, images.shape[1:]).weights
    params = {
      name: _Weights(tuple(leaves.items()), name=name)()
      for name, leaves in weights.items()
    }
    return GraphApply(layers)(params, images, until=until, relu=relu)


class _Weights(nn.Module):
  """One layer's weights, as a Linen parameter group."""

  shapes: tuple[tuple[str, Shape], ...]

  @nn.compact
  def __call__(self):
    return {
      name: self.param(name, _initialiser(name), shape)
      for name, shape in self.shapes
    }


def _initialiser(name: str):
  return nn.initializers.he_normal() if name == "kernel" else nn.zeros


def _abstract(shape: Shape) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.float32)
