"""What a step of each recipe costs, beside the bare gradient of the network.

  python -m benchmarks.render

Both render one picture of SqueezeNet's class 130 on one device. Rounds are
interleaved and medians taken, so that a machine's moods cancel in the ratio.
"""

import dataclasses
import statistics
import time

import jax
import jax.numpy as jnp

import jdeepvis

_STEPS, _ROUNDS = 20, 7
_RECIPES = ("none", "paper_b", "paper_c", "paper_d", "default")


def main() -> None:
  """Times every contender in turn, then prints the table."""
  network = jdeepvis.load_network("squeezenet1.1")
  image = jdeepvis.start(jax.random.key(0), network.input)
  works = {"bare gradient": _gradient(network)}
  for name in _RECIPES:
    works[name] = _recipe(network, jdeepvis.find_recipe(name))
  for work in works.values():
    jax.block_until_ready(work(image))
  seconds = {name: [] for name in works}
  for _ in range(_ROUNDS):
    for name, work in works.items():
      began = time.perf_counter()
      jax.block_until_ready(work(image))
      seconds[name].append((time.perf_counter() - began) / _STEPS)
  bare = statistics.median(seconds["bare gradient"])
  print("| a step of | ms | times the bare gradient |\n|---|---|---|")
  for name, taken in seconds.items():
    median = statistics.median(taken)
    print(f"| {name} | {1e3 * median:.1f} | {median / bare:.2f} |")


def _gradient(network: jdeepvis.Network):
  """The rival: gradients alone, one after another."""

  @jax.jit
  def work(score, image):
    def step(image, _):
      return jax.grad(lambda x: score(None, x)[0])(image), None

    return jax.lax.scan(step, image, jnp.arange(_STEPS))[0]

  score = jdeepvis.bind(network, jdeepvis.neuron("output", 130))
  return lambda image: work(score, image)


def _recipe(network: jdeepvis.Network, recipe: jdeepvis.Recipe):
  recipe = dataclasses.replace(recipe, steps=_STEPS)

  @jax.jit
  def work(score, recipe, image):
    return jdeepvis.render(
      jdeepvis.with_views(recipe, score),
      jdeepvis.transform(recipe, network.input),
      image,
      key=jax.random.key(1),
      steps=_STEPS,
    ).last

  objective = jdeepvis.objective(recipe, "output", 130)
  score = jdeepvis.bind(network, objective)
  return lambda image: work(score, recipe, image)


if __name__ == "__main__":
  main()
