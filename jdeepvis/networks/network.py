"""`Network`, `InputSpec`, `LayerInfo`: the types that all else takes."""

import functools
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.types import Activations, AnyArray, Params


class InputSpec(NamedTuple):
  """What a network wants to be shown.

  Attributes:
    shape: height and width in pixels, then channels.
    mean: subtracted from pixels (0..255, RGB): `[c]` or `[h, w, c]`.
    resize: side of the square that a file is warped to before the centre
      crop, pixels; None resizes straight to `shape`.
  """

  shape: tuple[int, int, int]
  mean: AnyArray
  resize: int | None = None

  @property
  def bounds(self) -> tuple[AnyArray, AnyArray]:
    """The darkest and the brightest centred image, shaped as `mean`."""
    return -self.mean, np.float32(255) - self.mean

  def of_size(self, size: tuple[int, int]) -> "InputSpec":
    """The same for images of another height and width, not cropped.

    A mean that is an image counts by its mean colour.
    """
    colour = np.mean(self.mean, axis=tuple(range(np.ndim(self.mean) - 1)))
    return InputSpec((*size, self.shape[-1]), np.float32(colour))


class LayerInfo(NamedTuple):
  """One layer of a graph, as data.

  Attributes:
    name: the layer's name, under which its weights are kept.
    kind: which operation, a key of `kinds.KINDS`.
    inputs: names of the blobs it reads.
    outputs: names of the blobs it writes.
    kernel: window height and width, blob cells.
    stride: window step, vertical and horizontal.
    pad: cells added on each side: zeros, or -inf for max pooling.
    dilation: distance between the cells of a window.
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

  @property
  def weights_key(self) -> str:
    """Where in the parameters this layer's weights are."""
    return self.weights or self.name


class Network(NamedTuple):
  """A trained network as a pure function with its weights beside it.

  Attributes:
    apply: `apply(params, images, *, until=None, relu=jax.nn.relu)` gives the
      activations, a dict from blob name to array. `images` are centred,
      `[n, h, w, c]`. `until` names the blob (or a tuple of blobs) after which
      nothing more is computed; `relu` replaces the rectifier, which is how
      other backward rules get in. A rectified layer stands there twice:
      `conv1` after its ReLU and `conv1/pre` before it. Hashable.
    params: the weights, by layer.
    input: what the images must be.
    layers: the layer graph, in order of computation; empty where unknown.
    labels: the class names in order, or empty.
    output: the blob that holds the class scores before softmax; None where
      there are none, as in convolutions alone. Such a network has no labels.
  """

  apply: Callable[..., Activations]
  params: Params
  input: InputSpec
  layers: tuple[LayerInfo, ...]
  labels: tuple[str, ...]
  output: str | None

  @property
  def order(self) -> tuple[str, ...]:
    """The blobs from shallow to deep; by name where no graph is known."""
    blobs = [x for info in self.layers for x in (*info.inputs, *info.outputs)]
    return tuple(dict.fromkeys(blobs)) or tuple(self.shapes)

  @property
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    """Each blob's shape for one image, `(h, w, c)` or `(c,)`, by name."""
    leaves, structure = jax.tree.flatten(self.params)
    abstract = tuple(jax.ShapeDtypeStruct(np.shape(x), x.dtype) for x in leaves)
    return _shapes(self.apply, structure, abstract, self.input.shape)


@functools.lru_cache(maxsize=32)
def _shapes(apply, structure, leaves, shape):
  """Cached: a trace of a network takes long for what is asked so often."""
  params = jax.tree.unflatten(structure, leaves)
  image = jax.ShapeDtypeStruct((1, *shape), np.float32)
  blobs = jax.eval_shape(apply, params, image)
  return MappingProxyType(
    {name: tuple(blob.shape[1:]) for name, blob in blobs.items()}
  )
