"""Networks of other numbers than float32, and JAX's other modes of numbers.

The whole suite runs with strict promotion of types and ranks, see `conftest`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.evolution.archive import empty_archive
from jdeepvis.evolution.cppn import Cppn
from jdeepvis.evolution.map_elites import class_probabilities, evolve
from jdeepvis.networks.classify import probabilities
from jdeepvis.probing import backprop, occlusion, top_patches
from jdeepvis.synthesis import inversion
from jdeepvis.synthesis.fooling import fool_many

HALVES = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
"""Half the distance from 1 to the next number: what rounding can change."""

SPEC = jdeepvis.InputSpec((28, 28, 1), np.float32([33]))


class Model(nn.Module):
  """What people train on accelerators: float32 weights, half the bits else."""

  dtype: str | None = None

  @nn.compact
  def __call__(self, images):
    x = nn.relu(nn.Conv(8, (3, 3), dtype=self.dtype)(images))
    return nn.Dense(10, dtype=self.dtype)(x.mean((1, 2)))


def cast(params, dtype):
  return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)


def graph(dtype):
  network = small_networks.classifier()
  return network.replace(params=cast(network.params, dtype))


def linen(dtype, weights_too):
  model = Model(None if weights_too else dtype)
  weights = Model().init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  weights = cast(weights, dtype) if weights_too else weights
  return jdeepvis.from_linen(model, weights, SPEC)


def function(dtype):
  def forward(params, images):
    x = jax.lax.conv_general_dilated(
      images, params["conv"], (2, 2), "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    x = jax.nn.relu(x)
    return {"conv": x, "output": x.mean((1, 2)) @ params["dense"]}

  random = np.random.default_rng(0)
  params = {
    "conv": random.normal(0, 0.3, (3, 3, 1, 8)),
    "dense": random.normal(0, 0.3, (8, 10)),
  }
  return jdeepvis.from_function(forward, cast(params, dtype), SPEC)


MODELS = {
  "graph": graph,
  "linen": lambda dtype: linen(dtype, False),
  "linen, weights too": lambda dtype: linen(dtype, True),
  "function": function,
}


def picture(network, target="output:1"):
  recipe = jdeepvis.recipe("default").replace(steps=4)
  return jdeepvis.render(network, target, recipe, progress=False)


def photographs(network):
  random = np.random.default_rng(1)
  pixels = random.integers(0, 256, (3, *network.input.shape))
  return np.float32(pixels) + network.input.bounds[0][None]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_half_precision_has_pictures(name, dtype):
  network, whole = MODELS[name](dtype), MODELS[name]("float32")
  made = picture(network)
  assert made.image.dtype == np.float32 and made.status != "nan"
  told = {rows.dtype.name for rows in made.history.values()}
  assert told <= {"float32", "bool"}
  # The same question to the model in float32. Each of its few layers rounds
  # what it reads and what it makes.
  shown = np.float32(made.pixels) + network.input.bounds[0]
  (expected,) = whole(shown[None])[whole.output][:, 1]
  size = np.abs(whole(shown[None])[whole.output]).max()
  assert abs(made.activation - expected) < 8 * HALVES[dtype] * size


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_probed_and_fooled(dtype):
  network, whole = graph(dtype), graph("float32")
  images, near = photographs(network), 16 * HALVES[dtype]

  def close(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(
      found, expected, atol=near * np.abs(expected).max()
    )

  # A signal through a ReLU jumps where rounding turns a sign: beyond it alone.
  before = network.shapes["conv1/pre"]
  seed = backprop.point_seed(np.zeros((3, *before), np.float32), np.arange(3))
  close(
    backprop.backward(network, images, "conv1", seed),
    backprop.backward(whole, images, "conv1", seed),
  )
  close(probabilities(network, images), probabilities(whole, images))
  close(
    occlusion.occlude(network, images[0], "conv2", 3),
    occlusion.occlude(whole, images[0], "conv2", 3),
  )
  surveys = [
    top_patches.look(
      one, ("conv2",), top_patches.begin(12, 2), images, [0, 1, 2]
    )
    for one in (network, whole)
  ]
  close(*(survey.top.score for survey in surveys))
  code = inversion.code_of(network, "conv2", images[0])
  state, history = inversion.invert(
    network, "conv2", code, key=jax.random.key(0), steps=8
  )
  assert state.last.image.dtype == history["error"].dtype == np.float32
  assert history["error"][-1] < history["error"][0]
  recipe = jdeepvis.recipe("small")
  fooling = fool_many(network, recipe, [1, 2], images[:2], limit=3)
  shown = np.round(fooling.image - network.input.bounds[0][None])
  told = probabilities(whole, shown + network.input.bounds[0][None])
  close(fooling.confidence, np.diagonal(np.asarray(told)[:, 1:]))


def test_half_precision_is_evolved():
  network = graph("bfloat16")
  encoding = Cppn(network.input.shape)
  archive, history = evolve(
    class_probabilities(network),
    encoding,
    jax.random.key(0),
    empty_archive(encoding, 9),
    generations=1,
    offspring=4,
    per_device=2,
  )
  assert archive.confidence.dtype == np.float32
  images = np.stack([encoding.decode(one) for one in _rows(archive.genome)])
  centred = images + network.input.bounds[0][None]
  told = np.diagonal(probabilities(graph("float32"), centred))
  np.testing.assert_allclose(archive.confidence, told, rtol=0.05)
  assert history["dead"][0] == 0


def _rows(tree):
  count = len(jax.tree.leaves(tree)[0])
  return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(count)]
