"""Without what `cpu` has, networks compute the same, only slower."""

import jax
import numpy as np
import pytest
import small_networks

from jdeepvis.networks.cpu import prepared
from jdeepvis.networks.graph import GraphApply


@pytest.mark.parametrize(
  "make",
  [
    small_networks.caffenet,
    small_networks.branching,
    small_networks.with_rim,
    small_networks.classifier,
  ],
)
@pytest.mark.parametrize("layout", [False, True])
def test_values_and_gradients_are_those_of_plain_layers(make, layout):
  network = make()
  blob, params = network.layers[-1].outputs[0], network.params
  random = np.random.default_rng(0)
  images = np.float32(random.normal(0, 30, (3, *network.input.shape)))
  seed = np.float32(random.normal(size=(3, *network.shapes[blob])))

  def answers(apply, params):
    def values(params, images):
      return apply(params, images)[blob]

    y, pull = jax.vjp(values, params, images)
    return y, *pull(seed)

  fast = GraphApply(network.layers)
  if layout:
    # Constants to derivatives, as they are where pictures are rendered.
    _, laid_out = prepared(network.layers, params, "images", 3)
    assert any("transpose" in leaves for leaves in laid_out.values())
    found = jax.jit(lambda laid_out: answers(fast, laid_out))(laid_out)
  else:
    found = jax.jit(lambda params: answers(fast, params))(params)
  plain = GraphApply(network.layers, plain=True)
  y, slopes, dx = jax.jit(lambda params: answers(plain, params))(params)
  _near(found[0], y)
  _near(found[2], dx)
  for key, leaves in slopes.items():
    for name, slope in leaves.items():
      mine = found[1][key][name]
      if isinstance(mine, tuple):
        mine = np.concatenate(mine, axis=3)
      _near(mine, slope)


def test_another_type_by_the_name_of_ours_is_run(monkeypatch):
  from jdeepvis.networks.layer_types import LAYER_TYPES
  from jdeepvis.networks.layers.layer_type import LayerType

  network = small_networks.with_rim()
  zero = LayerType(
    lambda layer, weights, inputs, relu: 0 * weights["bias"] + 7,
    LAYER_TYPES["convolution"].weights,
  )
  monkeypatch.setitem(LAYER_TYPES, "convolution", zero)
  found = network(np.zeros((1, *network.input.shape)))["conv/pre"]
  np.testing.assert_array_equal(found, np.full(64, 7))


def _near(found, expected):
  largest = np.abs(expected).max()
  assert largest > 0
  np.testing.assert_allclose(found, expected, atol=2e-5 * largest)
