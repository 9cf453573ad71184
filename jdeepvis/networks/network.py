"""`Network` and `LayerInfo`: the types that all else takes."""

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import tokens
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.order import computed_in_order
from jdeepvis.types import Activations, Images

_SEVERAL = 7


class LayerInfo(NamedTuple):
  """One layer of a graph, as data.

  Attributes:
    name: the layer's name, under which its weights are kept.
    kind: which operation, a key of `layer_types.LAYER_TYPES`.
    inputs: names of the blobs it reads.
    outputs: names of the blobs it writes.
    kernel: window height and width.
    stride: window step, vertical and horizontal.
    pad: rows and columns added on each side: zeros, or -inf for max pooling.
    dilation: distance between the taps of a window.
    options: the operation's other settings, sorted by name, hashable.
    weights: the key of its weights, where it shares another layer's.
  """

  name: str
  kind: str
  inputs: tuple[str, ...]
  outputs: tuple[str, ...]
  kernel: tuple[int, int] = (1, 1)
  stride: tuple[int, int] = (1, 1)
  pad: tuple[int, int] = (0, 0)
  dilation: tuple[int, int] = (1, 1)
  options: tuple[tuple[str, Hashable], ...] = ()
  weights: str | None = None

  def option(self, name: str, default: Any = None) -> Any:
    """The setting called `name`."""
    return dict(self.options).get(name, default)

  def with_option(self, name: str, value: Hashable) -> "LayerInfo":
    """The layer with a setting changed or added."""
    options = dict(self.options) | {name: value}
    return self._replace(options=tuple(sorted(options.items())))

  @property
  def weights_key(self) -> str:
    """Where in the parameters this layer's weights are."""
    return self.weights or self.name


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network:
  """A trained network: a pure function with its weights beside it.

  It is a pytree whose leaves are the weights and the input's mean; all else is
  static. So `jit`, `vmap` (over the weights of several checkpoints), `grad`
  and `device_put` take it as an argument, and two checkpoints of one network
  share a compiled program, whatever their names are.

  >>> import jax, jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> image = jax.numpy.zeros((1, 227, 227, 3))
  >>> conv1 = jax.jit(lambda network, image: network(image)["conv1"])
  >>> conv1(network, image).shape
  (1, 113, 113, 64)

  Attributes:
    apply: `apply(params, images, *, until=None, relu=jax.nn.relu)`, the model
      itself, of images as it was trained on: `network(images, ...)` calls it
      with those that `input.for_model` makes. Hashable.
    params: the weights: of a layer graph `Params`, else any pytree of arrays.
    input: what the images must be.
    layers: the layer graph, in order of computation; empty where unknown.
    labels: the class names in order, or empty.
    output: the blob that holds the class scores, before softmax or sigmoid;
      None where there are none, as in convolutions alone. Such a network has no
      labels.
    name: what it is called in captions. Within a compiled program it is that of
      the first network that the program was made for.
  """

  apply: Callable[..., Activations]
  params: Any
  input: InputSpec
  layers: tuple[LayerInfo, ...]
  labels: tuple[str, ...]
  output: str | None
  name: str = "network"

  def __call__(
    self,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu: Callable = jax.nn.relu,
    **more: Any,
  ) -> Activations:
    """The activations of `images`, a dict from blob name to array.

    A rectified layer is there twice: `conv1` after its ReLU and `conv1/pre`
    before it. Tokens are maps, see `networks.tokens`.

    Args:
      images: centred, `[n, h, w, c]`; turned into numbers of `dtype`.
      until: the blob, or several, after which nothing more is computed.
      relu: the rectifier, which other backward rules replace.
      **more: for layer graphs, see `GraphApply`.
    """
    images = jnp.asarray(self.input.for_model(images), self.dtype)
    if until is not None:
      until = tokens.sources((until,) if isinstance(until, str) else until)
    blobs = self.apply(self.params, images, until=until, relu=relu, **more)
    return tokens.as_maps(blobs, self.input.shape[:2])

  def replace(self, **changes: Any) -> "Network":
    """The same with some of its attributes changed."""
    return dataclasses.replace(self, **changes)

  def __repr__(self) -> str:
    height, width, channels = self.input.shape
    weights = sum(math.prod(np.shape(x)) for x in jax.tree.leaves(self.params))
    parts = [f"{height} x {width} x {channels}", f"{weights:,} weights"]
    if self.layers:
      parts.insert(1, f"{len(self.layers)} layers")
    if self.output:
      parts.append(f"scores {self.output!r}")
    if self.labels:
      parts.append(f"{len(self.labels)} class names")
    return f"Network({self.name!r}: {', '.join(parts)})"

  @property
  def dtype(self) -> np.dtype:
    """The type of its weights, the widest where they have several."""
    leaves = jax.tree.leaves(self.params)
    floats = [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]
    with jax.numpy_dtype_promotion("standard"):
      return jnp.result_type(*(floats or [np.float32]))

  @property
  def order(self) -> tuple[str, ...]:
    """The blobs from shallow to deep, in order of computation."""
    blobs = [x for info in self.layers for x in (*info.inputs, *info.outputs)]
    if not blobs:
      return tuple(self.shapes)
    return tokens.with_single(dict.fromkeys(blobs), self.shapes)

  @property
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    """Each blob's shape for one image, `(h, w, c)` or `(c,)`, in order."""
    leaves, structure = jax.tree.flatten(self.params)
    abstract = tuple(jax.ShapeDtypeStruct(np.shape(x), x.dtype) for x in leaves)
    return _shapes(
      self.apply, structure, abstract, self.input.shape, self.dtype
    )


@dataclasses.dataclass(frozen=True)
class _Static:
  """The static part of a network; networks of any name share a program."""

  # Left out of JAX's messages about two pytrees that differ.
  apply: Callable[..., Activations] = dataclasses.field(repr=False)
  layers: tuple[LayerInfo, ...] = dataclasses.field(repr=False)
  labels: tuple[str, ...] = dataclasses.field(repr=False)
  output: str | None
  name: str = dataclasses.field(compare=False)


def _flatten(network: Network):
  names = [field.name for field in dataclasses.fields(_Static)]
  static = _Static(*(getattr(network, name) for name in names))
  leaves = tuple(
    (jax.tree_util.GetAttrKey(name), getattr(network, name))
    for name in ("params", "input")
  )
  return leaves, static


def _unflatten(static: _Static, leaves):
  params, input = leaves
  return Network(params=params, input=input, **vars(static))


jax.tree_util.register_pytree_with_keys(Network, _flatten, _unflatten)


@functools.lru_cache(maxsize=32)
def _shapes(apply, structure, leaves, shape, dtype):
  """Cached: a trace of a network takes long for what is asked so often."""
  params = jax.tree.unflatten(structure, leaves)
  # Several, since constants of a model often have a first axis of 1.
  images = jax.ShapeDtypeStruct((_SEVERAL, *shape), dtype)
  blobs = computed_in_order(apply, params, images)
  shapes = {name: tuple(blob.shape[1:]) for name, blob in blobs.items()}
  return MappingProxyType(tokens.shapes_as_maps(shapes, shape[:2]))
