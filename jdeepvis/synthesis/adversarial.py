"""Adversarial examples: changes too small to see that change the class.

Szegedy et al. 2013 ("Intriguing properties of neural networks",
arXiv:1312.6199, §4.1) look for the smallest change that leads to a class, by
L-BFGS within the box; here the box is kept by a change of variables and the
norm is squared, so that it has a derivative at no change. Goodfellow et al.
2014 (arXiv:1412.6572, §4) take one step along the gradient's sign; Kurakin et
al. 2016 (arXiv:1607.02533, §2.2) several, within a distance.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from jdeepvis.networks.classify import probabilities
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.objectives import log_probability
from jdeepvis.synthesis.score import bind
from jdeepvis.types import AnyArray, Flag, Image, Index, Scalar

_KEY = 0  # no score here is random
# Bounds of the norm's weight c, per squared grey level of mean change: at the
# lower a change is nearly free, at the upper nothing moves.
_WEAKEST, _STRONGEST = 1e-4, 1e2
_ROUND, _MARGIN = 10, 1e-3


def gradient_sign(
  network: Network,
  image: Image,
  unit: Index,
  *,
  size: Scalar,
  steps: int = 1,
  step: Scalar | None = None,
  targeted: bool = False,
) -> Float[Array, "h w c"]:
  """Steps of equal size in every pixel against the class, or towards it.

  `x <- x + step sign(d/dx -log p(unit))`, with a minus where targeted, kept
  within `size` of the image and within the box. One step of `size` is the fast
  gradient sign method.

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> image = np.full((8, 8, 3), 100, np.float32)
  >>> moved = jdeepvis.gradient_sign(network, image, 0, size=2.0)
  >>> (moved - image)[0, 0].tolist()
  [-2.0, 2.0, 2.0]

  Args:
    network: any network with classes.
    image: centred.
    unit: the class to leave; where targeted, the one to reach.
    size: largest change of a value, grey levels.
    steps: how many. Static.
    step: of each, grey levels; None is `size`.
    targeted: whether `unit` is wanted. Static.

  Returns:
    The changed image, centred, `[h, w, c]`.

  Raises:
    JdeepvisError: the network has no such class, or its classes do not exclude
      one another.
  """
  score = bind(network, log_probability(unit))
  return _gradient_sign(
    score, image, network.input.bounds, size, step or size, steps, targeted
  )


def smallest_change(
  network: Network,
  image: Image,
  unit: Index,
  *,
  steps: int = 20,
  trials: int = 8,
) -> tuple[Float[Array, "h w c"], Flag]:
  """The nearest image found that the network classifies as `unit`.

  Minimises `c mean(r^2) - log p(unit | x + r)` within the box. Bisection in
  log c finds the largest c whose image, rounded to whole grey levels, the
  network still classifies as `unit` (see `classify.probabilities`).

  >>> import numpy as np, jdeepvis
  >>> def colours(params, images):
  ...   return {"output": images.mean((1, 2)) @ params}
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.zeros(3, np.float32))
  >>> network = jdeepvis.from_function(colours, np.eye(3, dtype="f"), spec)
  >>> image = np.full((8, 8, 3), [104, 100, 96], np.float32)
  >>> moved, reached = jdeepvis.smallest_change(network, image, 1)
  >>> bool(reached)
  True

  Args:
    network: any network with classes.
    image: x, centred.
    unit: the class to reach.
    steps: of L-BFGS for each c. Static.
    trials: how many c. Static.

  Returns:
    The rounded image, and whether the class was reached; if not, it is `image`
    as it was.

  Raises:
    JdeepvisError: the network has no such class.
  """
  bind(network, log_probability(unit))
  return _smallest_change(network, image, unit, steps, trials)


def minimise_in_box(
  function: Callable,
  start: Float[AnyArray, "..."],
  lower: Float[AnyArray, "..."],
  upper: Float[AnyArray, "..."],
  *,
  steps: int,
) -> Float[Array, "..."]:
  """L-BFGS on w, where `x = lower + (upper - lower) sigmoid(w)`.

  The sigmoid saturates, so that a value pushed against the wrong side of the
  box would stay there: every ten steps L-BFGS restarts from x clipped to a
  thousandth of the span within the box.

  Args:
    function: from x to a scalar, differentiable.
    start: the first x.
    lower: the box, broadcast to x.
    upper: its other side.
    steps: of L-BFGS, rounded up to tens; static.
  """
  span = upper - lower

  def decode(w):
    return lower + span * jax.nn.sigmoid(w)

  def loss(w):
    return function(decode(w))

  solver = optax.lbfgs()
  value_and_grad = optax.value_and_grad_from_state(loss)

  def advance(carry, _):
    w, state = carry
    value, grad = value_and_grad(w, state=state)
    # Optax is written for JAX's usual promotion.
    with jax.numpy_dtype_promotion("standard"):
      updates, state = solver.update(
        grad, state, w, value=value, grad=grad, value_fn=loss
      )
      return (optax.apply_updates(w, updates), state), None

  def begin_afresh(x, _):
    share = jnp.clip((x - lower) / span, _MARGIN, 1 - _MARGIN)
    w = jax.scipy.special.logit(share)
    (w, _), _ = lax.scan(advance, (w, solver.init(w)), length=_ROUND)
    return decode(w), None

  return lax.scan(begin_afresh, start, length=-(-steps // _ROUND))[0]


@functools.partial(jax.jit, static_argnums=(5, 6))
def _gradient_sign(score, image, bounds, size, step, steps, targeted):
  def loss(x):
    return -score(jax.random.key(_KEY), x)[0]

  def move(x, _):
    sign = jnp.sign(jax.grad(loss)(x))
    x = x - step * sign if targeted else x + step * sign
    x = jnp.clip(x, image - size, image + size)
    return jnp.clip(x, *bounds), None

  return lax.scan(move, jnp.asarray(image), length=steps)[0]


@functools.partial(jax.jit, static_argnames=("steps", "trials"))
def _smallest_change(network, image, unit, steps, trials):
  score = bind(network, log_probability(unit))
  lower, upper = network.input.bounds

  def attempt(strength):
    def loss(x):
      value, _ = score(jax.random.key(_KEY), x)
      return strength * jnp.mean((x - image) ** 2) - value

    found = minimise_in_box(loss, jnp.asarray(image), lower, upper, steps=steps)
    whole = jnp.round(found - lower) + lower
    first = jnp.argmax(probabilities(network, whole[None]))
    return whole, first == unit

  def halve(carry, _):
    low, high, best, reached = carry
    middle = (low + high) / 2
    found, good = attempt(jnp.exp(middle))
    low, high = jnp.where(good, middle, low), jnp.where(good, high, middle)
    best = jnp.where(good, found, best)
    return (low, high, best, reached | good), None

  ends = jnp.log(_WEAKEST), jnp.log(_STRONGEST)
  (_, _, best, reached), _ = lax.scan(
    halve, (*ends, jnp.asarray(image), jnp.bool_(False)), length=trials
  )
  return best, reached
