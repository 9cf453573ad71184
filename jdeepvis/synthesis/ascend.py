"""Gradient ascent on one image: init, step, scan. It knows no network."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jdeepvis.types import ImageParams, PRNGKey, Scalar


class Snapshot(NamedTuple):
  """An image with the score it reached and the step it was seen at."""

  image: ImageParams
  score: Scalar
  step: Int[Array, ""]


class AscentState(NamedTuple):
  """The state carried from step to step.

  Attributes:
    key: the picture's own; a step uses `fold_in(key, step)`.
    image: the image that the next step evaluates.
    opt_state: the transformation's state.
    last: the image that the last step evaluated.
    best: the one with the highest score so far, the earliest of equals.
  """

  key: PRNGKey
  image: ImageParams
  opt_state: optax.OptState
  last: Snapshot
  best: Snapshot


def ascend(
  key: PRNGKey,
  score: Callable,
  optimizer: optax.GradientTransformation,
  image: ImageParams,
  *,
  steps: int,
) -> tuple[AscentState, dict[str, Array]]:
  """Gradient ascent on `score` from `image` (Yosinski et al. 2015, §3).

  Each step evaluates the score and its gradient and takes
  `image <- apply_updates(image, optimizer(-gradient))`. Pure: it works within
  `jit`, under `vmap` over any argument, and can be differentiated.

  >>> import jax, optax, jdeepvis
  >>> towards = lambda key, image: -((image - 1) ** 2).sum()
  >>> state, history = jdeepvis.ascend(
  ...   jax.random.key(0), towards, optax.sgd(0.1), jax.numpy.zeros(3), steps=50
  ... )
  >>> state.best.image.round(2).tolist()
  [1.0, 1.0, 1.0]

  Args:
    key: for scores that are random.
    score: `score(key, image)`, a scalar or a scalar with a dict of more
      scalars to record; see `bind`.
    optimizer: any optax transformation. It is given `value=` and `grad=` of
      -score and `step=`, which a recipe's links use; see `optimizer`.
    image: the initial image, or parameters that decode to one.
    steps: how many; static.

  Returns:
    The state, with the `last` image evaluated and the `best`, and the history:
    for each step `score`, `gradient_norm`, `image_norm` and what else the
    score records, arrays `[steps]`.
  """
  state = init(key, optimizer, image)
  return advance(score, optimizer, state, jnp.arange(steps))


def init(
  key: PRNGKey, optimizer: optax.GradientTransformation, image: ImageParams
) -> AscentState:
  """The state before the first step.

  Args:
    key: for scores that are random.
    optimizer: as for `ascend`.
    image: as for `ascend`.
  """
  nothing = Snapshot(image, jnp.float32(-jnp.inf), jnp.int32(-1))
  return AscentState(key, image, optimizer.init(image), nothing, nothing)


def advance(
  score: Callable,
  optimizer: optax.GradientTransformation,
  state: AscentState,
  steps: Int[Array, " t"],
) -> tuple[AscentState, dict[str, Array]]:
  """Takes the steps numbered `steps`; splitting them over calls is the same.

  Args:
    score: as for `ascend`.
    optimizer: as for `ascend`.
    state: of `init` or of the last call.
    steps: their numbers, `[t]`.

  Returns:
    The state after them and the history of them.
  """
  optimizer = optax.with_extra_args_support(optimizer)
  steps = jnp.asarray(steps, jnp.int32)

  def loss(image, key):
    value = score(key, image)
    value, more = value if isinstance(value, tuple) else (value, {})
    return -jnp.asarray(value, jnp.float32), more

  def step(state, number):
    key = jax.random.fold_in(state.key, number)
    (value, more), grad = jax.value_and_grad(loss, has_aux=True)(
      state.image, key
    )
    # Optax is written for JAX's usual promotion.
    with jax.numpy_dtype_promotion("standard"):
      updates, opt_state = optimizer.update(
        grad, state.opt_state, state.image, value=value, grad=grad, step=number
      )
      image = optax.apply_updates(state.image, updates)
    last = Snapshot(state.image, -value, number)
    better = -value > state.best.score
    best = jax.tree.map(
      lambda new, old: jnp.where(better, new, old), last, state.best
    )
    history = {
      "score": -value,
      "gradient_norm": optax.tree.norm(grad),
      "image_norm": optax.tree.norm(state.image),
      **more,
    }
    return AscentState(state.key, image, opt_state, last, best), history

  return jax.lax.scan(step, state, steps)
