"""The programs lower for every kind of device; none of them is needed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

from jdeepvis.synthesis import assembly
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.score import bind

RECIPE = recipe("default").replace(
  norm_percentile=10.0,
  contribution_percentile=10.0,
  total_variation=0.1,
  steps=3,
)


def program():
  """From network, image and seed to a picture: scan, augmentation, clips."""

  def make(network, image, seed):
    state, history = ascend(
      jax.random.key(seed),
      assembly.augmented(
        RECIPE, bind(network, neuron("output", 1)), network.input
      ),
      assembly.optimizer(RECIPE, network.input),
      image,
      steps=RECIPE.steps,
    )
    return state.last.image, history

  return jax.jit(make)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("name", ["caffenet", "branching"])
def test_a_render_lowers(name, platform):
  network = getattr(small_networks, name)()
  image = initial_image(jax.random.key(0), network.input)
  arguments = jax.tree.leaves(network), image, jnp.uint32(0)
  structure = jax.tree.structure(network)

  @jax.jit
  def make(leaves, image, seed):
    return program()(jax.tree.unflatten(structure, leaves), image, seed)

  exported = jax.export.export(make, platforms=[platform])(*arguments)
  assert exported.platforms == (platform,)
  if platform == "cpu":
    again, _ = exported.call(*arguments)
    np.testing.assert_array_equal(again, make(*arguments)[0])
