"""A `Network` from a Flax NNX module."""

import dataclasses
import inspect
from collections.abc import Hashable, Iterable

import jax
from flax import nnx

from jdeepvis.networks import own, own_checks
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.network import Network
from jdeepvis.networks.own import OUTPUT
from jdeepvis.networks.own_linen import named_results
from jdeepvis.types import PRNGKey


def from_nnx(
  module: nnx.Module,
  input: InputSpec,
  *,
  output: str | None = OUTPUT,
  labels: Iterable[str] = (),
  rngs: PRNGKey | None = None,
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
    module: called with images `[n, h, w, c]`; put it in `eval()` mode first,
      a warning names the parts that are not. So it does those that have no
      values, as within `nnx.scan`.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    rngs: a key for a model whose call takes `rngs`; None is one of ours. What
      the model holds of its own is as it is now, the same at each call.
    **settings: further arguments of the call.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: the call takes other arguments, there is no blob `output`, or
      it has not as many classes as there are labels.
  """
  definition, drawn, state = nnx.split(module, nnx.RngState, ...)
  call = inspect.signature(module.__call__).parameters
  key = jax.random.key(0) if rngs is None else rngs
  takes_key = "rngs" in call and "rngs" not in settings
  own_checks.check_call(
    module.__call__,
    ("images",),
    settings | ({"rngs": key} if takes_key else {}),
    own_checks.BY_NAME,
  )
  function = _NNXFunction(
    definition,
    own.Fixed.of(drawn),
    own.freeze(settings),
    own.Fixed.of(key) if takes_key else None,
  )
  network = own.network_of(
    function, module.__call__, state, input, output, labels
  )
  parts = {
    "/".join(map(str, path)): part
    for path, part in nnx.iter_modules(module)
    if path and callable(part)
  }
  own_checks.tell_training(
    [name for name, part in parts.items() if _trains(part)], "call its eval()"
  )
  weighted = [
    name
    for name, part in parts.items()
    if jax.tree.leaves(nnx.state(part, nnx.Param))
  ]
  own_checks.tell_missing(network, weighted)
  return network


@dataclasses.dataclass(frozen=True)
class _NNXFunction:
  definition: nnx.GraphDef
  drawn: own.Fixed
  settings: own.Settings
  key: own.Fixed | None

  def __call__(self, state, images, **rectifier):
    module = nnx.merge(self.definition, self.drawn.tree, state)
    record = nnx.capture(
      module, nnx.Intermediate, method_outputs=nnx.Intermediate
    )
    more = dict(self.settings)
    if self.key is not None:
      more["rngs"] = nnx.Rngs(self.key.tree)
    _, recorded = record(images, **more, **rectifier)
    return dict(named_results(nnx.to_pure_dict(recorded)))


def _trains(part: nnx.Module) -> bool:
  modes = ("deterministic", "use_running_average")
  trains = any(getattr(part, mode, None) is False for mode in modes)
  return trains and getattr(part, "rate", None) != 0
