"""The programs lower for every kind of device; none of them is needed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

from jdeepvis.synthesis import assembly, recipes, render, starts
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.score import bind

RECIPE = dataclasses.replace(
  recipes.find_recipe("default"),
  small_norm=10.0,
  small_contribution=10.0,
  total_variation=0.1,
  steps=3,
)


def picture(network):
  """From weights, a start and a seed to a picture: scan, views, clips."""

  def make(params, image, seed):
    score = bind(network.replace(params=params), neuron("output", 1))
    made = render.render(
      assembly.with_views(RECIPE, score, network.input),
      assembly.transform(RECIPE, network.input),
      image,
      key=jax.random.key(seed),
      steps=RECIPE.steps,
    )
    return made.last.image, made.history

  return jax.jit(make)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("name", ["caffenet", "branching"])
def test_a_render_lowers(name, platform):
  network = getattr(small_networks, name)()
  image = starts.start(jax.random.key(0), network.input)
  arguments = network.params, image, jnp.uint32(0)
  make = picture(network)
  exported = jax.export.export(make, platforms=[platform])(*arguments)
  assert exported.platforms == (platform,)
  if platform == "cpu":
    again, _ = exported.call(*arguments)
    np.testing.assert_array_equal(again, make(*arguments)[0])
