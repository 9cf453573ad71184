"""Inversion: photographs reconstructed from a layer's activations.

Mahendran and Vedaldi 2014 ("Understanding Deep Image Representations by
Inverting Them", arXiv:1412.0035, §2 and §3) look for an image x whose code
Phi(x) is a given one, from noise, by gradient descent with momentum on

    |Phi(x) - Phi0|^2 / |Phi0|^2 + (l6/2 sum x^6 + lV/2 V(x)) / sigma^2

with V the total variation at beta = 2, the sum of squared differences of
neighbours, and sigma the norm of a typical image. Strengths, rates and restarts
are those of the authors' published experiment on CaffeNet; the noise is of
another generator, and each step is clipped to the box of what a file can hold:
without it some descents diverge at these rates.
"""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jdeepvis.networks.classify import activations
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.synthesis import priors
from jdeepvis.synthesis.ascend import AscentState, ascend
from jdeepvis.synthesis.transforms import Transform, project
from jdeepvis.types import AnyArray, Image, JdeepvisError, PRNGKey, Scalar

Code = Float[AnyArray, "*cells f"]

_ALPHA = 8e-10  # l6
_MOMENTUM = 0.9
_RATE = 0.004
# Root mean square of centred photographs, grey levels; a hundred of ImageNet's.
_TYPICAL = 66.0


def invert(
  network: Network,
  layer: str,
  code: Code,
  *,
  key: PRNGKey,
  mask: Code | Scalar = 1.0,
  total_variation: Scalar | None = None,
  steps: int = 400,
) -> tuple[AscentState, dict[str, Array]]:
  """An image with the given code, by gradient descent from noise.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> import jax
  >>> code = np.float32([20, 40, 60])
  >>> state, history = jdeepvis.invert(
  ...   network, "output", code, key=jax.random.key(0)
  ... )
  >>> bool(history["error"][-1] < history["error"][0])
  True

  Args:
    network: any network.
    layer: the blob that the code is of; `output` stands for the class scores.
    code: the layer's values for one image, `[h, w, c]` or `[c]`.
    key: of the noise.
    mask: 1 where the code counts and 0 elsewhere; see `code_mask`.
    total_variation: lV; None takes `usual_variation`.
    steps: a quarter of them at the full rate, half at a tenth, a quarter at a
      hundredth; the authors take 400. Static.

  Returns:
    As `ascend`: the state, whose `last` is the reconstruction, and the history,
    whose `error` is `|Phi(x) - Phi0| / |Phi0|` where the mask is 1.

  Raises:
    JdeepvisError: there is no such layer, or the code is not of its shape or
      is zero wherever it counts.
  """
  blob = find_layer(network, layer)
  if np.shape(code) != network.shapes[blob]:
    raise JdeepvisError(
      f"A code of layer {blob!r} has shape {network.shapes[blob]}, not "
      f"{np.shape(code)}."
    )
  if not np.any(np.asarray(code) * mask):
    raise JdeepvisError(
      f"The code of layer {blob!r} is zero wherever it counts, so nothing can "
      "be found from it; choose other units."
    )
  if total_variation is None:
    total_variation = usual_variation(network, blob)
  return _invert(network, blob, steps, code, mask, total_variation, key)


def code_of(network: Network, layer: str, image: Image) -> Float[Array, "..."]:
  """A layer's values for one centred image: its code there.

  Args:
    network: any network.
    layer: a blob.
    image: centred, `[h, w, c]`, grey levels.

  Raises:
    JdeepvisError: there is no such layer.
  """
  values = activations(network, find_layer(network, layer), image[None])[0]
  return jnp.asarray(values, jnp.float32)


def code_mask(
  shape: Sequence[int],
  *,
  units: Sequence[int] | None = None,
  side: int | None = None,
) -> Float[np.ndarray, "..."]:
  """The mask of a part of a code (§4.3 of the paper: subsets, neighbourhoods).

  Args:
    shape: of the code.
    units: channels that count; None is all.
    side: of the central square of positions that counts; None is all.

  Raises:
    JdeepvisError: there is no such unit.
  """
  mask = np.zeros(shape, np.float32)
  chosen = list(range(shape[-1]) if units is None else units)
  for unit in chosen:
    if not 0 <= unit < shape[-1]:
      raise JdeepvisError(f"A code of {shape[-1]} units has no unit {unit}.")
  windows = [
    slice(None)
    if side is None
    else slice(max(0, (cells - side + 1) // 2), (cells + side + 1) // 2)
    for cells in shape[:-1]
  ]
  mask[(*windows, chosen)] = 1
  return mask


def usual_variation(network: Network, layer: str) -> float:
  """The usual lV: 1 in the first 30 % of the depth, 10 in the next, then 100.

  As the authors chose it for the twenty layers of CaffeNet.

  Args:
    network: any network; without a layer graph lV is 10.
    layer: a blob of it.
  """
  if not network.layers:
    return 10.0
  depth = (network.order.index(layer) + 1) / len(network.order)
  return 1.0 if depth <= 0.3 else 10.0 if depth <= 0.6 else 100.0


def energy(
  values: Code,
  code: Code,
  image: Image,
  *,
  mask: Code | Scalar,
  total_variation: Scalar,
) -> tuple[Scalar, Scalar]:
  """The module's objective, and the root of its first term.

  Args:
    values: Phi(x).
    code: Phi0.
    image: x, centred, grey levels.
    mask: as for `invert`.
    total_variation: lV.
  """
  squared = jnp.sum(mask * (values - code) ** 2) / jnp.sum(mask * code**2)
  down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
  variation = jnp.sum(down**2) + jnp.sum(right**2)
  priors = _ALPHA * jnp.sum(image**6) + total_variation * variation
  whole = squared + priors / 2 / typical_norm(image.shape) ** 2
  return whole, jnp.sqrt(squared)


def restarted_momentum(scale: Scalar, steps: int) -> Transform:
  """The authors' momentum descent; the rate drops twice and m is reset.

  `m <- 0.9 m - rate scale g; x <- x + m`, with m = 0 at each drop: momentum
  gathered at a tenfold rate would overshoot.

  Args:
    scale: factor on every rate, here sigma^2.
    steps: in all; static.
  """
  falls = np.array([steps // 4, steps - steps // 4], np.int32)

  def update_fn(updates, state, params=None, *, step, **extra_args):
    begins = jnp.any(step == falls)
    rate = _RATE * 0.1 ** jnp.sum(step >= falls, dtype=jnp.float32)
    state = jax.tree.map(
      lambda m, g: jnp.where(begins, 0, _MOMENTUM * m) - rate * scale * g,
      state,
      updates,
    )
    return state, state

  return Transform(lambda image: jax.tree.map(jnp.zeros_like, image), update_fn)


def typical_norm(shape: Sequence[int]) -> float:
  """sigma: the norm of a usual centred photograph of this shape."""
  return _TYPICAL * math.sqrt(math.prod(shape))


@functools.partial(jax.jit, static_argnames=("blob", "steps"))
def _invert(
  network, blob, steps, code, mask, variation, key
) -> tuple[AscentState, dict[str, Array]]:
  lower, upper = network.input.bounds
  box = functools.partial(priors.box, lower=lower, upper=upper)
  sigma = typical_norm(network.input.shape)
  noise = jax.random.normal(key, network.input.shape, jnp.float32)
  initial = noise * (sigma / jnp.linalg.norm(noise))

  code = jnp.asarray(code, jnp.float32)

  def score(key, image):
    del key
    values = jnp.asarray(network(image[None], until=blob)[blob][0], jnp.float32)
    whole, error = energy(
      values, code, image, mask=mask, total_variation=variation
    )
    return -whole, {"error": error}

  chain = optax.chain(restarted_momentum(sigma**2, steps), project(box))
  return ascend(key, score, chain, initial, steps=steps)
