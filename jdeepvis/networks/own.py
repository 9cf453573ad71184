"""A `Network` from a pure function, and what the frameworks' adapters share.

The model is not edited. What its parts return becomes blobs, named by their
place in it (`encoder/conv1`; `output` is what the model itself returns, unless
it returns a dict, whose keys are then blobs too; of a tuple `output/0`,
`output/1`). A part called again is `encoder/conv1/call1`. Only values with the
batch axis are kept.

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

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks import own_checks
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.jaxpr.program import trace
from jdeepvis.networks.jaxpr.rectifiers import evaluate_with
from jdeepvis.networks.jaxpr.sides import with_sides
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import Network
from jdeepvis.networks.readings import SOFTMAX
from jdeepvis.types import Activations, Images, JdeepvisError

Settings = tuple[tuple[str, Hashable], ...]
"""Further arguments of a model's call, by name."""

OUTPUT = "output"


def from_function(
  function: Callable[..., Any],
  params: Any,
  input: InputSpec,
  *,
  output: str | None = OUTPUT,
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
      `[n, h, w, c]`, `[n, tokens, c]` or `[n, c]`; `images` are `[n, h, w, c]`,
      as `input` says that the function wants them. Hashable, as every `def` is;
      a new function is a new program.
    params: the weights, any pytree of arrays.
    input: what the images must be.
    output: the blob that holds the class scores before softmax; None where
      there are none.
    labels: the class names in order.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: the function takes something else, returns no blob called
      `output`, or has not as many classes as there are labels.
  """
  own_checks.check_call(
    function, ("params", "images"), {}, "write function(params, images)"
  )
  return network_of(function, function, params, input, output, labels)


def network_of(
  function: Callable[..., Any],
  call: Callable[..., Any],
  params: Any,
  input: InputSpec,
  output: str | None,
  labels: Iterable[str],
  reading: str = SOFTMAX,
) -> Network:
  """The network of a function of weights and images.

  Args:
    function: gives a tree of activations; hashable.
    call: whose signature says whether there is a keyword `relu`.
    params: the weights.
    input: what the images must be.
    output: the blob with the class scores, or None.
    labels: the class names in order.
    reading: how the scores become probabilities, `softmax` or `sigmoid`.

  Raises:
    JdeepvisError: `input` is no `InputSpec`, there is no blob `output`, or it
      has not as many classes as there are labels.
  """
  if not isinstance(input, InputSpec):
    raise JdeepvisError(
      "What the images must be is said by an InputSpec, such as "
      f"InputSpec.imagenet(224), not by {input!r:.100}."
    )
  takes_relu = "relu" in inspect.signature(call).parameters
  apply = OwnApply(function, takes_relu, reading)
  network = Network(apply, params, input, (), tuple(labels), output)
  shapes = network.shapes
  if not shapes:
    raise JdeepvisError(
      "The model returns nothing that has the batch axis; activations are "
      "[n, h, w, c], [n, tokens, c] or [n, c]."
    )
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
  elif len(network.labels) not in (0, shapes[output][-1]):
    raise JdeepvisError(
      f"The model has {shapes[output][-1]} classes in {output!r}, but there "
      f"are {len(network.labels)} labels."
    )
  return network


def freeze(settings: Mapping[str, Hashable]) -> Settings:
  """Further arguments of a call as something hashable.

  Raises:
    JdeepvisError: one is not hashable.
  """
  for name, value in settings.items():
    try:
      hash(value)
    except TypeError as error:
      raise JdeepvisError(
        f"The argument {name} of the model's call is a "
        f"{type(value).__name__}, which is not hashable; give what is, such as "
        "a tuple in place of a list."
      ) from error
  return tuple(sorted(settings.items()))


@dataclasses.dataclass(frozen=True)
class Fixed:
  """Arrays that are part of a function, such as random keys: hashable."""

  structure: Any
  leaves: tuple[tuple[Any, ...], ...]

  @classmethod
  def of(cls, tree: Any) -> "Fixed":
    """A tree of arrays, random keys among them."""
    leaves, structure = jax.tree.flatten(tree)
    return cls(structure, tuple(map(_frozen, leaves)))

  @property
  def tree(self) -> Any:
    """The tree of arrays."""
    return jax.tree.unflatten(self.structure, map(_thawed, self.leaves))


@dataclasses.dataclass(frozen=True)
class OwnApply:
  """`Network.apply` of somebody's function.

  Attributes:
    function: `function(params, images)` gives a tree of activations.
    takes_relu: whether it has a keyword `relu`.
    reading: how class scores become probabilities.
  """

  function: Callable[..., Any]
  takes_relu: bool
  reading: str = SOFTMAX

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
      name: value if jnp.ndim(value) > 1 else value[:, None]
      for name, value in _leaves(self.function(params, images, **rectifier))
      if jnp.ndim(value) and len(value) == len(images)
    }


def _leaves(tree: Any) -> Iterator[tuple[str, jax.Array]]:
  for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
    parts = [
      (jax.tree_util.keystr((key,), simple=True, separator="/"), key)
      for key in path
    ]
    parts = [(name, key) for name, key in parts if name]
    if not parts or isinstance(parts[0][1], jax.tree_util.SequenceKey):
      parts.insert(0, (OUTPUT, None))
    yield "/".join(name for name, _ in parts), leaf


def _frozen(leaf) -> tuple[Any, ...]:
  key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
  values = np.asarray(jax.random.key_data(leaf) if key else leaf)
  kind = str(jax.random.key_impl(leaf)) if key else None
  return values.tobytes(), values.dtype.str, values.shape, kind


def _thawed(frozen) -> jax.Array:
  data, dtype, shape, kind = frozen
  values = np.frombuffer(data, dtype).reshape(shape)
  return (
    jax.random.wrap_key_data(values, impl=kind) if kind else jnp.array(values)
  )
