"""A `Network` from a model of one's own: Linen, NNX, Equinox or a function.

The model is not edited. What its parts return becomes blobs, named by their
place in it (`encoder/conv1`; `output` is what the model itself returns, unless
it returns a dict, whose keys are then blobs too). A part called again is
`encoder/conv1/call1`. Only values with the batch axis are kept.

ReLUs are found in the function's jaxpr, see `networks.jaxpr.rectifiers`. So
deconvnet and guided backpropagation replace them, and a blob `x` that a ReLU
returns has the side before it, `x/pre`, unless the model gives one of that name
itself. A convolution that is a part of its own *is* the side before its ReLU.
A keyword `relu` of the model is given `jax.nn.relu` and replaced like the rest.
"""

import dataclasses
import inspect
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jdeepvis.networks.jaxpr.program import trace
from jdeepvis.networks.jaxpr.rectifiers import evaluate_with
from jdeepvis.networks.jaxpr.sides import with_sides
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.types import Activations, Images, JdeepvisError

_Settings = tuple[tuple[str, Hashable], ...]
_OUTPUT = "output"


def from_function(
  function: Callable[..., Any],
  params: Any,
  input: InputSpec,
  *,
  output: str | None = _OUTPUT,
  labels: Iterable[str] = (),
) -> Network:
  """A network from a pure function.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"scores": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(
  ...   colours, np.eye(3, dtype=np.float32), spec, output="scores"
  ... )
  >>> dict(network.shapes)
  {'scores': (3,)}

  Args:
    function: `function(params, images)` gives a dict from blob name to array
      `[n, h, w, c]` or `[n, c]`; `images` are centred, `[n, h, w, c]`.
      Hashable, as every `def` is; a new function is a new program.
    params: the weights, any pytree of arrays.
    input: what the images must be.
    output: the blob that holds the class scores before softmax; None where
      there are none.
    labels: the class names in order.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: the function returns no blob called `output`, or there are
      labels without one.
  """
  return _network(function, function, params, input, output, labels)


def from_linen(
  module: nn.Module,
  variables: Mapping[str, Any],
  input: InputSpec,
  *,
  output: str | None = _OUTPUT,
  labels: Iterable[str] = (),
  **settings: Hashable,
) -> Network:
  """A network from a Flax Linen module.

  >>> import flax.linen as nn, jax, numpy as np, jdeepvis
  >>> class Small(nn.Module):
  ...   @nn.compact
  ...   def __call__(self, images):
  ...     return nn.Conv(4, (3, 3), name="conv1")(images).mean((1, 2))
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> weights = Small().init(jax.random.key(0), np.zeros((1, 8, 8, 3)))
  >>> dict(jdeepvis.from_linen(Small(), weights, spec).shapes)
  {'conv1': (8, 8, 4), 'output': (4,)}

  Args:
    module: called with images `[n, h, w, c]`.
    variables: what `module.init` returned, after training.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    **settings: further arguments of the call, such as `train=False`.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: there is no blob `output`, or there are labels without one.
  """
  function = _LinenFunction(module, _freeze(settings))
  return _network(function, module.__call__, variables, input, output, labels)


def from_nnx(
  module: nnx.Module,
  input: InputSpec,
  *,
  output: str | None = _OUTPUT,
  labels: Iterable[str] = (),
  **settings: Hashable,
) -> Network:
  """A network from a Flax NNX module.

  >>> import numpy as np, jdeepvis
  >>> from flax import nnx
  >>> class Small(nnx.Module):
  ...   def __init__(self, rngs):
  ...     self.conv1 = nnx.Conv(3, 4, (3, 3), rngs=rngs)
  ...
  ...   def __call__(self, images):
  ...     return self.conv1(images).mean((1, 2))
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> dict(jdeepvis.from_nnx(Small(nnx.Rngs(0)), spec).shapes)
  {'conv1': (8, 8, 4), 'output': (4,)}

  Args:
    module: called with images `[n, h, w, c]`; put it in `eval()` mode first.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    **settings: further arguments of the call.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: there is no blob `output`, or there are labels without one.
  """
  definition, state = nnx.split(module)
  function = _NNXFunction(definition, _freeze(settings))
  return _network(function, module.__call__, state, input, output, labels)


def from_equinox(
  module: Callable[..., Any],
  input: InputSpec,
  *,
  output: str | None = _OUTPUT,
  labels: Iterable[str] = (),
  **settings: Hashable,
) -> Network:
  """A network from an Equinox module.

  Equinox's layers take one image, channels first: images are handed over so,
  and maps come back as `[n, h, w, c]`. Parts that the module calls within
  `vmap` or `scan` of its own are not recorded.

  >>> import equinox as eqx, jax, numpy as np, jdeepvis
  >>> class Small(eqx.Module):
  ...   conv1: eqx.nn.Conv2d
  ...
  ...   def __call__(self, image):
  ...     return self.conv1(image).mean((1, 2))
  >>> model = Small(eqx.nn.Conv2d(3, 4, 3, key=jax.random.key(0)))
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> dict(jdeepvis.from_equinox(model, spec).shapes)
  {'conv1': (6, 6, 4), 'output': (4,)}

  Args:
    module: called with an image `[c, h, w]`; put it through
      `equinox.nn.inference_mode` first.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    **settings: further arguments of the call.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: there is no blob `output`, or there are labels without one.
  """
  from jdeepvis.networks import own_equinox

  params, static = own_equinox.split(module)
  function = own_equinox.EquinoxFunction(static, _freeze(settings))
  return _network(function, module.__call__, params, input, output, labels)


def _network(function, call, params, input, output, labels):
  takes_relu = "relu" in inspect.signature(call).parameters
  apply = OwnApply(function, takes_relu)
  network = Network(apply, params, input, (), tuple(labels), output)
  shapes = network.shapes
  if output is None:
    if network.labels:
      raise JdeepvisError(
        "Labels name classes; say which blob holds their scores (output=), or "
        "leave the labels out."
      )
  elif output not in shapes:
    raise JdeepvisError(
      f"The model returns no blob {output!r} that could hold its class "
      f"scores; {nearest(output, shapes)}."
    )
  return network


def _freeze(settings: Mapping[str, Hashable]) -> _Settings:
  return tuple(sorted(settings.items()))


@dataclasses.dataclass(frozen=True)
class OwnApply:
  """`Network.apply` of somebody's function.

  Attributes:
    function: `function(params, images)` gives a tree of activations.
    takes_relu: whether it has a keyword `relu`.
  """

  function: Callable[..., Any]
  takes_relu: bool

  def __call__(
    self,
    params: Any,
    images: Images,
    *,
    until: str | tuple[str, ...] | None = None,
    relu=jax.nn.relu,
  ) -> Activations:
    """Every blob, or `until` alone, each with its side before the ReLU."""
    program = trace(self.blobs, params, images)
    program, blobs = with_sides(program, program.result)
    if until is not None:
      wanted = (until,) if isinstance(until, str) else until
      sides = {side for name in wanted for side in (name, f"{name}/pre")}
      blobs = {name: blobs[name] for name in blobs if name in sides}
    values = evaluate_with(
      program, (params, images), tuple(blobs.values()), relu
    )
    return dict(zip(blobs, values, strict=True))

  def blobs(self, params: Any, images: Images) -> Activations:
    """What the function itself gives, by name."""
    rectifier = {"relu": jax.nn.relu} if self.takes_relu else {}
    return {
      name or _OUTPUT: value
      for name, value in _leaves(self.function(params, images, **rectifier))
      if jnp.ndim(value) > 1 and len(value) == len(images)
    }


@dataclasses.dataclass(frozen=True)
class _LinenFunction:
  module: nn.Module
  settings: _Settings

  def __call__(self, variables, images, **rectifier):
    _, recorded = self.module.apply(
      variables,
      images,
      **dict(self.settings),
      **rectifier,
      capture_intermediates=True,
      mutable=["intermediates"],
    )
    return dict(_named(recorded["intermediates"]))


@dataclasses.dataclass(frozen=True)
class _NNXFunction:
  definition: nnx.GraphDef
  settings: _Settings

  def __call__(self, state, images, **rectifier):
    module = nnx.merge(self.definition, state)
    record = nnx.capture(
      module, nnx.Intermediate, method_outputs=nnx.Intermediate
    )
    _, recorded = record(images, **dict(self.settings), **rectifier)
    return dict(_named(nnx.to_pure_dict(recorded)))


def _named(tree: Mapping, *path: str) -> Iterator[tuple[str, Any]]:
  """Flax's records, a tuple of results for each method, by module path."""
  for key, value in tree.items():
    if isinstance(value, Mapping):
      yield from _named(value, *path, str(key))
      continue
    name = "/".join((*path, key) if key != "__call__" else path)
    for call, result in enumerate(value):
      yield (f"{name}/call{call}" if call else name), result


def _leaves(tree: Any) -> Iterator[tuple[str, jax.Array]]:
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    parts = jax.tree_util.keystr(path, simple=True, separator="/")
    yield parts.strip("/"), leaf
