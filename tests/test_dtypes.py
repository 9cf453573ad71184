"""Networks of other numbers than float32, and JAX's other modes of numbers.

The whole suite runs with strict promotion of types and ranks, see `conftest`.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.evolution.archive import empty_archive
from jdeepvis.evolution.cppn import Cppn
from jdeepvis.evolution.direct import Direct
from jdeepvis.evolution.map_elites import class_probabilities, evolve
from jdeepvis.networks.classify import probabilities
from jdeepvis.probing import backprop, occlusion, top_patches
from jdeepvis.synthesis import inversion
from jdeepvis.synthesis.fooling import fool_many

pytestmark = pytest.mark.optimised

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
  weights = Model().init(
    jax.random.key(0), jnp.zeros((1, *SPEC.shape), jnp.float32)
  )
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


def picture(network, steps=4):
  recipe = jdeepvis.recipe("small").replace(steps=steps)
  return jdeepvis.render(network, "output:1", recipe, progress=False)


def photographs(network):
  random = np.random.default_rng(1)
  pixels = random.integers(0, 256, (3, *network.input.shape))
  return np.float32(pixels) + network.input.bounds[0][None]


def signal(network, images):
  shape = (3, *network.shapes["conv1"])
  seed = backprop.point_seed(np.zeros(shape, np.float32), np.arange(3))
  return backprop.backward(network, images, "conv1", seed)


_survey = jax.jit(top_patches.look, static_argnums=1)


def survey(network, images):
  begin = top_patches.begin(12, 2)
  return _survey(network, ("conv2",), begin, images, np.arange(3)).top


@pytest.mark.parametrize(
  "name, dtype",
  [("graph", "float16"), *itertools.product(MODELS, ["bfloat16"])],
)
def test_a_model_of_half_precision_has_pictures(name, dtype):
  network, whole = MODELS[name](dtype), MODELS[name]("float32")
  made = picture(network)
  assert made.image.dtype == np.float32 and made.status != "nan"
  reported = {rows.dtype.name for rows in made.history.values()}
  assert reported <= {"float32", "bool"}
  # The same question to the model in float32. Each of its few layers rounds
  # what it reads and what it makes.
  shown = np.float32(made.pixels) + network.input.bounds[0]
  scores = np.ravel(whole(shown[None])[whole.output])
  near = 8 * HALVES[dtype] * np.abs(scores).max()
  assert abs(made.activation - scores[1]) < near


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_probed(dtype):
  network, whole = graph(dtype), graph("float32")
  images = photographs(network)
  for ask in (
    signal,
    probabilities,
    lambda one, images: survey(one, images).score,
    lambda one, images: occlusion.value(one, images[0], "conv2", 3),
  ):
    found, expected = ask(network, images), ask(whole, images)
    assert found.dtype == np.float32
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=16 * HALVES[dtype] * size)


def test_half_precision_is_inverted_and_fooled():
  network = graph("bfloat16")
  images = photographs(network)
  code = inversion.code_of(network, "conv2", images[0])
  state, history = inversion.invert(
    network, "conv2", code, key=jax.random.key(0), steps=8
  )
  assert state.last.image.dtype == history["error"].dtype == np.float32
  assert history["error"][-1] < history["error"][0]
  recipe = jdeepvis.recipe("small")
  made = fool_many(network, recipe, [1, 2], images[:2], limit=3)
  black = network.input.bounds[0][None]
  reported = probabilities(
    graph("float32"), np.round(made.image - black) + black
  )
  expected = [reported[0, 1], reported[1, 2]]
  np.testing.assert_allclose(made.confidence, expected, rtol=0.05)


def test_half_precision_is_evolved():
  network = graph("bfloat16")
  encoding = Direct(network.input.shape)
  archive, history = evolve(
    jax.random.key(0),
    class_probabilities(network),
    encoding,
    empty_archive(encoding, 9),
    generations=1,
    offspring=4,
    per_device=2,
  )
  centred = np.float32(archive.genome) + network.input.bounds[0][None]
  reported = np.diagonal(probabilities(graph("float32"), centred))
  assert archive.confidence.dtype == np.float32
  np.testing.assert_allclose(archive.confidence, reported, rtol=0.05)
  assert history["dead"][0] == 0


def test_weights_of_several_types_are_read_as_the_widest():
  network = graph("bfloat16")
  assert network.dtype == jnp.bfloat16
  kernel = network.params["conv1"]["kernel"]
  mixed = {**network.params, "conv1": {"kernel": np.float32(kernel)}}
  assert network.replace(params=mixed).dtype == np.float32
  assert network.replace(params={}).dtype == np.float32


def in_this_mode():
  """What a network says and makes, as named arrays."""
  network = graph("float32")
  images, made = photographs(network), picture(network, steps=2)
  top = survey(network, images)
  encoding = Cppn(network.input.shape)
  parents = map(encoding.random, jax.random.split(jax.random.key(1)))
  child = encoding.vary(jax.random.key(2), *parents, jnp.int32(1))
  return {
    "image": made.image,
    "score": made.history["score"],
    "activation": np.float32(made.activation),
    "signal": signal(network, images),
    "top": top.score,
    "which": top.image,
    "weights": child.weight,
    "functions": child.function,
  }


def test_64_bits_change_nothing_for_weights_of_32(tmp_path):
  program = f"""
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
import test_dtypes
made = test_dtypes.in_this_mode()
assert jax.numpy.zeros(()).dtype == np.float64
double = test_dtypes.graph("float64")
images = test_dtypes.photographs(double)
assert double(images)["conv2"].dtype == np.float64
score, _ = jax.jit(jax.tree_util.Partial(
  test_dtypes.jdeepvis.bind(double, test_dtypes.jdeepvis.neuron("conv2", 3))
))(None, images[0])
assert score.dtype == np.float32
np.savez({str(tmp_path / "made.npz")!r}, **made)
"""
  here = Path(__file__).parent
  strict = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent))),
  }
  subprocess.run(
    [sys.executable, "-c", program], env={**os.environ, **strict}, check=True
  )
  with np.load(tmp_path / "made.npz") as found:
    for name, expected in in_this_mode().items():
      assert found[name].dtype == expected.dtype, name
      size = np.abs(expected).max()
      np.testing.assert_allclose(found[name], expected, atol=1e-4 * size)
