"""What one unit of a function depends on, and the function of that alone."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jdeepvis.networks.jaxpr.parts import changes, padding_value
from jdeepvis.networks.jaxpr.program import (
  CUSTOM,
  Atom,
  Program,
  bind,
  evaluate,
  trace,
)
from jdeepvis.networks.jaxpr.reach import Range
from jdeepvis.networks.jaxpr.rectifiers import application, find_rectifiers
from jdeepvis.networks.jaxpr.regions import Regions, find_regions
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.regions import Rectangle
from jdeepvis.types import Activations, Images

Fit = tuple[tuple[int, int, int], ...]
"""Of an array: an axis, how much is added before and behind; less is cut."""


class Step(NamedTuple):
  """An equation that makes a part of its output.

  Attributes:
    fits: of each operand, from what is held of it to what is read.
    sizes: an axis of the output and how much of it is made.
  """

  fits: tuple[Fit, ...]
  sizes: tuple[tuple[int, int], ...]


class Plan(NamedTuple):
  """A crop, told by distances: equal for units whose windows are padded alike.

  Attributes:
    steps: a place among the program's equations, and what is done there.
    ends: of each output, from what is held to the unit alone.
  """

  steps: tuple[tuple[int, Step], ...]
  ends: tuple[Fit, ...]


@dataclasses.dataclass(frozen=True)
class CropApply:
  """`Network.apply` of what one unit sees; equal plans share a compilation.

  Its weights are the whole network.

  Attributes:
    blobs: the unit's layer, and with it the side before its ReLU.
    plan: what is made of each value.
  """

  blobs: tuple[str, ...]
  plan: Plan

  def __call__(
    self,
    network: Network,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu=jax.nn.relu,
  ) -> Activations:
    """The unit's layer at its one position, both sides of its ReLU."""
    del until  # There is nothing after it.
    program = _program(network)
    outputs = [program.result[name] for name in self.blobs]

    def run(image):
      arguments = network, image[None]
      values = _evaluate(program, arguments, outputs, self.plan, relu)
      return dict(zip(self.blobs, values, strict=True))

    # A program's equations are those of one image; two may have others.
    found = jax.vmap(run)(images)
    return {name: value[:, 0] for name, value in found.items()}


@dataclasses.dataclass(frozen=True)
class PlacedApply:
  """`Network.apply` of a field that was measured: the rest of the image is 0.

  Its weights are the whole network.

  Attributes:
    blobs: the unit's layer, and with it the side before its ReLU.
    unit: its position in their maps.
    field: the part of the image that is given.
  """

  blobs: tuple[str, ...]
  unit: Rectangle
  field: Rectangle

  def __call__(
    self,
    network: Network,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu=jax.nn.relu,
  ) -> Activations:
    """As `CropApply`."""
    del until
    whole = jnp.zeros((len(images), *network.input.shape), images.dtype)
    whole = whole.at[:, *self.field.slices].set(images)
    found = network(whole, until=self.blobs, relu=relu)
    return {
      name: found[name][:, *self.unit.slices]
      if found[name].ndim == 4
      else found[name]
      for name in self.blobs
    }


def unit_regions(
  network: Network, layer: str, unit: Rectangle, *, clip: bool = True
) -> Regions:
  """What a position of a layer depends on, from the network's jaxpr.

  Args:
    network: any network.
    layer: a blob of it.
    unit: one position of its map.
    clip: whether what lies beyond a map is left out.
  """
  program = _program(network)
  outputs = [program.result[name] for name in _sides(network, layer)]
  return find_regions(program, program.inputs[-1], outputs, unit, clip=clip)


def image_region(network: Network, regions: Regions) -> Rectangle:
  """The image's part of what a unit depends on; all of it where of none."""
  height, width, _ = network.input.shape
  whole = (0, height), (0, width)
  rows, columns = regions.parts.get(regions.image, whole)
  return Rectangle(rows[0], columns[0], rows[1], columns[1])


def crop_traced(
  network: Network, layer: str, unit: Rectangle, field: Rectangle
) -> Network:
  """`crop` by the network's jaxpr, of what its layer graph does not have.

  Args:
    network: any network.
    layer: a blob of it.
    unit: one position of its map.
    field: what it sees, as its regions say or smaller.
  """
  regions, blobs = unit_regions(network, layer, unit), _sides(network, layer)
  apply = PlacedApply(blobs, unit, field)
  if field == image_region(network, regions):
    apply = CropApply(blobs, _plan(network, blobs, unit, regions))
  spec, classes = network.input, layer == network.output
  mean = spec.mean[field.slices] if np.ndim(spec.mean) == 3 else spec.mean
  return network.replace(
    apply=apply,
    params=network,
    layers=(),
    # What a network does to images before all else is a part of its jaxpr.
    input=InputSpec((*field.size, spec.shape[2]), mean),
    labels=network.labels if classes else (),
    output=layer if classes else None,
  )


def _plan(
  network: Network, blobs: Sequence[str], unit: Rectangle, regions: Regions
) -> Plan:
  program = _program(network)
  steps = []
  for place in regions.places:
    equation = program.equations[place]
    output = next(x for x in equation.outputs if x in regions.parts)
    if made := regions.made(output):
      fits = tuple(
        _fit(program, regions, value, reads, made)
        for value, reads in zip(
          equation.inputs, regions.paths[place], strict=True
        )
      )
      sizes = tuple((axis, end - start) for axis, (start, end) in made.items())
      steps.append((place, Step(fits, sizes)))
  ends = [_end(program, regions, program.result[name], unit) for name in blobs]
  return Plan(tuple(steps), tuple(ends))


def _program(network: Network) -> Program:
  # A crop's images have the type of its weights, the network's mean among them.
  dtype = network.replace(params=network).dtype
  image = jax.ShapeDtypeStruct((1, *network.input.shape), dtype)
  return trace(_run, network, image)


def _run(network: Network, images: Images) -> Activations:
  return network(images)


def _sides(network: Network, layer: str) -> tuple[str, ...]:
  before = f"{layer}/pre"
  return (layer, before) if before in network.shapes else (layer,)


def _fit(program, regions: Regions, value: Atom, reads, made) -> Fit:
  """From what is held of an operand to what is read of it."""
  fit = []
  for axis, path in reads.items():
    if path.axis in made:
      want = path.window.read(made[path.axis])
      have = _held(program, regions, value, axis)
      fit.append((axis, have[0] - want[0], want[1] - have[1]))
  return tuple(x for x in fit if x[1:] != (0, 0))


def _end(program, regions, value: Atom, unit: Rectangle) -> Fit:
  if len(program.shape(value)) != 4:
    return ()
  fit = []
  for axis in (1, 2):
    have = _held(program, regions, value, axis)
    fit.append((axis, have[0] - unit[axis - 1], unit[axis + 1] - have[1]))
  return tuple(x for x in fit if x[1:] != (0, 0))


def _held(program, regions: Regions, value: Atom, axis: int) -> Range:
  """What there is of a value along an axis."""
  whole = (0, program.shape(value)[axis])
  if not isinstance(value, int) or value not in regions.parts:
    return whole
  return regions.made(value).get(axis, whole)


def _evaluate(program, arguments, outputs, plan: Plan, relu):
  steps, rectifiers = dict(plan.steps), find_rectifiers(program)
  plain = application(program, relu)

  def apply(place, equation, inputs):
    if place not in steps:
      return plain(place, equation, inputs)
    step, sizes = steps[place], dict(steps[place].sizes)
    edge = functools.partial(padding_value, equation, inputs)
    inputs = [
      _fitted(value, fit, edge)
      for value, fit in zip(inputs, step.fits, strict=True)
    ]
    rectifier = rectifiers.get(place)
    if rectifier and (rectifier.custom or relu is not jax.nn.relu):
      return [rectifier(inputs[rectifier.operand], relu)]
    whole = program.shape(equation.outputs[0])
    if equation.name in CUSTOM:
      # Its body is for arrays of the whole shape alone.
      rest = tuple(
        (axis, 0, whole[axis] - size) for axis, size in sizes.items()
      )
      whole_inputs = [
        _fitted(x, rest, edge) if jnp.ndim(x) else x for x in inputs
      ]
      back = tuple((axis, 0, -more) for axis, _, more in rest)
      found = plain(place, equation, whole_inputs)
      return [_fitted(x, back, edge) for x in found]
    return bind(equation, inputs, **changes(equation, whole, sizes))

  values = evaluate(program, arguments, outputs, apply)
  return [
    _fitted(value, end, float)
    for value, end in zip(values, plan.ends, strict=True)
  ]


def _fitted(value: Any, fit: Fit, edge: Callable[[], Any]) -> Any:
  if any(before > 0 or behind > 0 for _, before, behind in fit):
    config = [(0, 0, 0)] * value.ndim
    for axis, before, behind in fit:
      config[axis] = (before, behind, 0)
    return lax.pad(value, jnp.asarray(edge(), value.dtype), config)
  for axis, before, behind in fit:
    size = value.shape[axis]
    value = lax.slice_in_dim(value, -before, size + behind, axis=axis)
  return value
