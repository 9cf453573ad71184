"""Weights that are laid out otherwise: what is computed stays the same."""

import jax
import numpy as np
import pytest
import small_networks

from jdeepvis.networks.cpu import with_cpu_layout
from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.tables import conv


def product(kind, name, source, features, **more):
  options = more.pop("options", ())
  options = (*options, ("features", features), ("bias", False))
  kernel = (3, 3)
  return LayerInfo(
    name, kind, (source,), (name,), kernel, options=options, **more
  )


GROUPED = (*conv("a", "data", 8, 3), *conv("b", "a", 6, 3, groups=2))
# One kernel for a convolution of four channels and for two groups of four.
SHARED = (
  *conv("wide", "data", 8, 3),
  product("convolution", "one", "data", 6),
  product(
    "convolution", "two", "wide", 6, options=(("groups", 2),), weights="one"
  ),
)
# An autoencoder whose way back is its way in.
TIED = (
  product("convolution", "in", "data", 6),
  product("deconvolution", "out", "in", 4, weights="in"),
)


@pytest.mark.parametrize(
  "layers, parts",
  [(GROUPED, {"a": 1, "b": 2}), (SHARED, {"wide": 1}), (TIED, {})],
)
def test_laid_out_computes_the_same(layers, parts):
  network = small_networks.random_network(layers, (11, 10, 4))
  params = with_cpu_layout(layers, network.params)
  assert parts == {
    key: len(leaves["kernel"])
    for key, leaves in params.items()
    if "transpose" in leaves
  }
  image = np.float32(np.random.default_rng(0).normal(size=(1, 11, 10, 4)))

  @jax.jit
  def gradient(params):
    def score(image):
      blobs = GraphApply(layers)(params, image)
      return sum(blobs[info.outputs[0]].sum() ** 2 for info in layers)

    return jax.value_and_grad(score)(image)

  for one, other in zip(
    gradient(network.params), gradient(params), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert np.any(one)
