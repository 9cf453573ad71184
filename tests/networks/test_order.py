"""The order of computation, of functions whose order is plain to see."""

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks.order import computed_in_order


def order(function):
  return list(computed_in_order(function, jnp.ones((2, 3)), jnp.ones((3, 3))))


def chain(x, w):
  found = {"same": x}
  for name in ("delta", "alpha", "charlie", "bravo"):
    x = found[name] = jnp.tanh(x @ w)
  return found


def test_the_order_is_that_of_the_computation_not_of_the_names():
  expected = ["same", "delta", "alpha", "charlie", "bravo"]
  assert order(chain) == expected
  turned = lambda x, w: dict(reversed(chain(x, w).items()))  # noqa: E731
  assert order(turned) == expected


def test_functions_that_are_called_count_as_if_they_stood_there():
  def parts(x, w):
    first = jax.jit(chain)(x, w)
    second = jax.checkpoint(jax.jit(chain))(first["bravo"], w)
    b, a = jax.lax.scan(lambda x, _: (x @ w, jnp.tanh(x)), x, length=2)
    blobs = {f"{name}/z": value for name, value in first.items()}
    return {**blobs, **second, "b": b, "a": a}

  names = ["same", "delta", "alpha", "charlie", "bravo"]
  first = [f"{name}/z" for name in names]
  assert order(parts) == [*first, *names, "b", "a"]


def test_a_branch_and_a_loop_are_one_step_each():
  def branching(x, w):
    b, a = jax.lax.cond(x[0, 0] > 0, lambda: (x, x @ w), lambda: (x @ w, x))
    last = jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: 2 * x, a)
    return {"b": b, "a": a, "0": last}

  assert order(branching) == ["a", "b", "0"]


def test_of_names_of_one_array_the_parts_come_before_the_whole():
  def named(x, w):
    y = x @ w
    return {"output": y, "scores": y, "block": y, "block/conv": y}

  assert order(named) == ["block/conv", "block", "scores", "output"]


def test_constants_come_first():
  def constants(x, w):
    return {"a": x @ w, "b": np.ones((2, 2), np.float32)}

  assert order(constants) == ["b", "a"]
