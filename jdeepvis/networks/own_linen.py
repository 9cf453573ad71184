"""A `Network` from a Flax Linen module."""

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
from flax import errors

from jdeepvis.networks import own, own_checks
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.network import Network
from jdeepvis.networks.own import OUTPUT
from jdeepvis.types import JdeepvisError, PRNGKey

_CURES = MappingProxyType(
  {
    errors.ScopeCollectionNotFound: "give all that module.init returned, such "
    'as {"params": ..., "batch_stats": ...}',
    errors.ModifyScopeVariableError: "call it as in evaluation, such as with "
    "train=False",
    errors.ScopeParamShapeError: "give the InputSpec of the images that it was "
    "trained on",
  }
)


def from_linen(
  module: nn.Module,
  variables: Mapping[str, Any],
  input: InputSpec,
  *,
  output: str | None = OUTPUT,
  labels: Iterable[str] = (),
  rngs: PRNGKey | Mapping[str, PRNGKey] | None = None,
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
    module: called with images `[n, h, w, c]`. Parts within `nn.scan` or
      `nn.vmap` have no values and are named in a warning.
    variables: what `module.init` returned, after training.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    rngs: for models that draw at each call: a key, or one by name; the same at
      each call. None is a key of ours.
    **settings: further arguments of the call, such as `train=False`.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: the call takes other arguments or variables, there is no blob
      `output`, or it has not as many classes as there are labels.
  """
  rngs = jax.random.key(0) if rngs is None else rngs
  function = _LinenFunction(module, own.freeze(settings), own.Fixed.of(rngs))
  own_checks.check_call(
    module.__call__, ("images",), settings, own_checks.BY_NAME
  )
  try:
    network = own.network_of(
      function, module.__call__, variables, input, output, labels
    )
  except tuple(_CURES) as error:
    said, _, _ = str(error).partition(" (https:")
    raise JdeepvisError(
      f"The module cannot be called with these variables: {said.rstrip('.')}; "
      f"{_CURES[type(error)]}."
    ) from error
  own_checks.tell_missing(network, _called(function, network))
  return network


def named_results(tree: Mapping, *path: str) -> Iterator[tuple[str, Any]]:
  """Flax's records, a tuple of results for each method, by module path.

  Args:
    tree: modules within modules, as `capture_intermediates` records them.
    *path: of the outermost.
  """
  for key, value in tree.items():
    if isinstance(value, Mapping):
      yield from named_results(value, *path, str(key))
      continue
    name = "/".join((*path, key) if key != "__call__" else path)
    for call, result in enumerate(value):
      yield (f"{name}/call{call}" if call else name), result


@dataclasses.dataclass(frozen=True)
class _LinenFunction:
  module: nn.Module
  settings: own.Settings
  rngs: own.Fixed

  def __call__(self, variables, images, **rectifier):
    _, recorded = self.module.apply(
      variables,
      images,
      **dict(self.settings),
      **rectifier,
      rngs=self.rngs.tree,
      capture_intermediates=True,
      mutable=["intermediates"],
    )
    return dict(named_results(recorded["intermediates"]))


def _called(function: _LinenFunction, network: Network) -> list[str]:
  """The modules that are called, also where nothing of them is recorded."""
  names = []

  def note(method, args, kwargs, context):
    if context.method_name == "__call__":
      names.append("/".join(context.module.path))
    return method(*args, **kwargs)

  image = jax.ShapeDtypeStruct((1, *network.input.shape), network.dtype)
  with nn.intercept_methods(note):
    jax.eval_shape(function, network.params, image)
  return names
