"""Optax transformations: priors as links of a chain, and step policies.

The paper's update is x <- r(x + step). A link that returns `r(x + u) - x` as
its update makes the next link see `x + u' = r(x + u)`, so `optax.chain` of
such links is function composition and `optax.apply_updates` gives the final
image. `ascend` minimises -score, so any optax optimiser may come first, and
passes every link `value=`, `grad=` (of -score) and `step=`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jdeepvis.types import Image, Scalar

Transform = optax.GradientTransformationExtraArgs


def project(
  prior: Callable[..., Image], extra: tuple[str, ...] = ()
) -> Transform:
  """A prior as a link: its update leads to `prior(params + updates)`.

  >>> import functools, optax, jdeepvis
  >>> from jdeepvis.synthesis import priors
  >>> decay = functools.partial(priors.decay, rate=1e-4)
  >>> chain = optax.chain(optax.sgd(100.0), jdeepvis.project(decay))

  Args:
    prior: from one image to one image.
    extra: names of the extra arguments that the prior takes too, out of
      `value`, `grad` and `step`.

  Returns:
    An optax transformation that takes the extra arguments.
  """

  def update_fn(updates, state, params=None, **extra_args):
    chosen = {name: extra_args[name] for name in extra}
    return prior(params + updates, **chosen) - params, state

  return Transform(optax.init_empty_state, update_fn)


def precondition(
  function: Callable[..., Image], extra: tuple[str, ...] = ()
) -> Transform:
  """A function from gradient to gradient as a link before the step policy.

  >>> import jax.numpy as jnp, optax, jdeepvis
  >>> chain = optax.chain(jdeepvis.precondition(jnp.sign), optax.sgd(1.0))

  Args:
    function: from one gradient to one, see `gradients`.
    extra: names of the extra arguments that it takes too, out of `value`,
      `grad` and `step`.

  Returns:
    An optax transformation that takes the extra arguments.
  """

  def update_fn(updates, state, params=None, **extra_args):
    chosen = {name: extra_args[name] for name in extra}
    return function(updates, **chosen), state

  return Transform(optax.init_empty_state, update_fn)


def every(period: int, transform: optax.GradientTransformation) -> Transform:
  """Applies `transform` at steps 0, period, 2 period, ...

  The step comes from `ascend`, not from a counter in the state: there it is one
  number for a whole batch, so that the branch survives `vmap`.

  Args:
    period: steps; static.
    transform: any transformation.
  """
  if period == 1:
    return optax.with_extra_args_support(transform)
  return optax.conditionally_transform(
    transform,
    lambda count, *, step, **_: step % period == 0,
    forward_extra_args=True,
  )


def scale_by_progress(progress: Scalar, max_rate: Scalar) -> Transform:
  """A step that should raise the score by `progress`.

  The learning rate is `min(max_rate, progress / ||g||**2)`: to first order the
  score then rises by `progress` (the original's policy "progress").

  Args:
    progress: wanted rise a step, in units of the score.
    max_rate: upper bound of the learning rate.
  """

  def update_fn(updates, state, params=None, **extra_args):
    rate = jnp.minimum(max_rate, progress / optax.tree.norm(updates) ** 2)
    return jax.tree.map(lambda update: -rate * update, updates), state

  return Transform(optax.init_empty_state, update_fn)


def scale_to_rms(size: Scalar) -> Transform:
  """A step of root mean square `size`, whatever the network's scale.

  The mean is over the entries that have a gradient at all, the pixels that the
  score can see. A zero gradient gives a zero step.

  Args:
    size: root mean square of the step, grey levels.
  """

  def update_fn(updates, state, params=None, **extra_args):
    seen = sum(
      jnp.sum(leaf != 0, dtype=jnp.float32) for leaf in jax.tree.leaves(updates)
    )
    rms = optax.tree.norm(updates) / jnp.sqrt(jnp.maximum(seen, 1))
    rate = size / jnp.where(rms > 0, rms, 1)
    return jax.tree.map(lambda update: -rate * update, updates), state

  return Transform(optax.init_empty_state, update_fn)
