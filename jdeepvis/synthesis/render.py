"""One image from one score: init, step, scan."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jdeepvis.types import Image, PRNGKey, Scalar


class Snapshot(NamedTuple):
  """An image with the score it reached and the step it was seen at."""

  image: Image
  score: Scalar
  step: Int[Array, ""]


class State(NamedTuple):
  """What one step hands to the next.

  Attributes:
    key: the picture's own; a step uses `fold_in(key, step)`.
    image: what the next step will look at.
    opt_state: the transformation's state.
    last: what the last step looked at.
    best: what scored highest so far, the earliest of equals.
  """

  key: PRNGKey
  image: Image
  opt_state: optax.OptState
  last: Snapshot
  best: Snapshot


class Rendering(NamedTuple):
  """What `render` returns.

  Attributes:
    last: the image of the last step.
    best: the image of the highest score.
    history: for each step `score`, `gradient_norm`, `image_norm` and what
      else the score records, arrays `[steps]`.
  """

  last: Snapshot
  best: Snapshot
  history: dict[str, Array]


def render(
  score: Callable,
  transform: optax.GradientTransformation,
  image: Image,
  *,
  key: PRNGKey,
  steps: int,
) -> Rendering:
  """Climbs `score` from `image` (Yosinski et al. 2015, §3).

  Each step looks at the image, notes its score, and takes
  `image <- apply_updates(image, transform(-gradient))`. `vmap` over any
  argument renders many at once.

  Args:
    score: `score(key, image)`, a scalar or a scalar with a dict of more
      scalars to record; see `score.bind`.
    transform: an optax chain, given `value=` and `grad=` of -score and
      `step=`; see `assembly.transform`.
    image: the start, any pytree that score and transform agree on.
    key: for scores that are random.
    steps: how often to look; static.

  Returns:
    The last image, the best one, and what each step recorded.
  """
  state = init(transform, image, key)
  state, history = advance(score, transform, state, jnp.arange(steps))
  return Rendering(state.last, state.best, history)


def init(
  transform: optax.GradientTransformation, image: Image, key: PRNGKey
) -> State:
  """The state before the first step."""
  nothing = Snapshot(image, jnp.float32(-jnp.inf), jnp.int32(-1))
  return State(key, image, transform.init(image), nothing, nothing)


def advance(
  score: Callable,
  transform: optax.GradientTransformation,
  state: State,
  steps: Int[Array, " t"],
) -> tuple[State, dict[str, Array]]:
  """Takes the steps numbered `steps`; in pieces or at once is the same.

  Returns:
    The state after them and the history of them.
  """
  transform = optax.with_extra_args_support(transform)

  def loss(image, key):
    value = score(key, image)
    value, more = value if isinstance(value, tuple) else (value, {})
    return -value, more

  def step(state, number):
    key = jax.random.fold_in(state.key, number)
    (value, more), grad = jax.value_and_grad(loss, has_aux=True)(
      state.image, key
    )
    updates, opt_state = transform.update(
      grad, state.opt_state, state.image, value=value, grad=grad, step=number
    )
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
    image = optax.apply_updates(state.image, updates)
    return State(state.key, image, opt_state, last, best), history

  return jax.lax.scan(step, state, steps)
