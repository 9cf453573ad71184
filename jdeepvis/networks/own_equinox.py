"""A `Network` from an Equinox module; Equinox is imported when needed."""

import inspect
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import jax

from jdeepvis.networks import own, own_checks
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.network import Network
from jdeepvis.networks.own import OUTPUT
from jdeepvis.types import PRNGKey


def from_equinox(
  module: Callable[..., Any],
  input: InputSpec,
  *,
  output: str | None = OUTPUT,
  labels: Iterable[str] = (),
  rngs: PRNGKey | None = None,
  state: Any = None,
  **settings: Hashable,
) -> Network:
  """A network from an Equinox module.

  Equinox's layers take one image, channels first: images are handed over so,
  and maps come back as `[n, h, w, c]`. Of a part that the module calls under a
  `vmap` of its own, as vision transformers do, the tokens are `[n, tokens, c]`;
  parts within `scan` or `jit` have no values and are named in a warning.

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
      `equinox.nn.inference_mode` first, a warning names the parts that are
      not.
    input: what the images must be.
    output: as in `from_function`.
    labels: the class names in order.
    rngs: for a call that takes `key`, the same at each; None is a key of ours.
    state: of a module with batch statistics, which is called with it and
      returns it as well, an `equinox.nn.State`.
    **settings: further arguments of the call.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: the call takes other arguments, there is no blob `output`, or
      it has not as many classes as there are labels.
  """
  from jdeepvis.networks import equinox_record

  arrays, static = equinox_record.split((module, state))
  call = inspect.signature(module.__call__).parameters
  key = jax.random.key(0) if rngs is None else rngs
  takes_key = "key" in call and "key" not in settings
  own_checks.check_call(
    module.__call__,
    ("image",) if state is None else ("image", "state"),
    settings | ({"key": key} if takes_key else {}),
    own_checks.BY_NAME,
  )
  function = equinox_record.EquinoxFunction(
    static,
    own.freeze(settings),
    own.Fixed.of(key) if takes_key else None,
  )
  parts = equinox_record.parts(module)
  own_checks.tell_training(
    [
      name
      for name, part in parts.items()
      if getattr(part, "inference", None) is False
      and getattr(part, "p", None) != 0
    ],
    "put it through equinox.nn.inference_mode",
  )
  network = own.network_of(
    function, module.__call__, arrays, input, output, labels
  )
  own_checks.tell_missing(
    network,
    [name for name in parts if equinox_record.has_arrays(parts[name])],
  )
  return network
