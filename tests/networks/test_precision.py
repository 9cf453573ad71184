"""A precision reaches every product of the program, and of its gradient's."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks.graph import with_precision

pytestmark = pytest.mark.optimised


def programs(network):
  """How XLA is asked for the value and for the gradient of a class."""

  def score(network, image):
    return network(image)[network.output].sum()

  image = jnp.zeros((1, *network.input.shape))
  for function in (score, jax.grad(score, 1), jax.jit(jax.grad(score, 1))):
    yield jax.jit(function).lower(network, image).as_text()


@pytest.mark.parametrize("precision", ["default", "high", "highest"])
def test_every_product_has_it(precision):
  network = with_precision(small_networks.caffenet(), precision)
  for text in programs(network):
    asked = re.findall(r"precision(?:_config)? = \[([^\]]*)\]", text)
    assert asked or precision == "default"
    names = {
      name.strip().split()[-1].rstrip(">")
      for one in asked
      for name in one.split(",")
    }
    assert names <= {precision.upper()}


def test_highest_is_the_default():
  plain = small_networks.caffenet()
  asked = with_precision(plain, "highest")
  for one, other in zip(programs(plain), programs(asked), strict=True):
    assert one == other


def test_what_there_is_not_is_refused(squeezenet):
  with pytest.raises(jdeepvis.JdeepvisError, match="no precision 'best'"):
    with_precision(squeezenet, "best")
  bare = jdeepvis.from_function(
    lambda params, x: {"y": x.sum((1, 2))},
    {},
    jdeepvis.InputSpec((4, 4, 3), np.zeros(3, np.float32)),
    output="y",
  )
  with pytest.raises(jdeepvis.JdeepvisError, match="no layer graph"):
    with_precision(bare, "high")
