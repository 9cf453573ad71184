"""Objectives against their definitions; scores as arguments of one program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.assembly import optimizer, unit_objective
from jdeepvis.synthesis.objective import as_objective
from jdeepvis.synthesis.objectives import (
  channel,
  direction,
  layer_mean_square,
  log_probability,
  neuron,
)
from jdeepvis.synthesis.score import bind, blobs_read
from jdeepvis.types import JdeepvisError


@pytest.fixture(scope="module")
def small():
  """A tiny SqueezeNet: 65x65 input, nine classes."""
  layers = SqueezeNet(classes=9, width=0.25).layers()
  mean = np.array([123, 117, 104], np.float32)
  network = small_networks.random_network(layers, (65, 65, 3), mean=mean)
  return network.replace(output="scores")


@pytest.fixture
def image():
  return 40 * jax.random.normal(jax.random.key(5), (65, 65, 3))


KEY = jax.random.key(0)


def blobs_of(network, image):
  blobs = network(image[None])
  return {name: np.asarray(blob[0]) for name, blob in blobs.items()}


def cosine(a, b):
  a, b = a.astype(np.float64), b.astype(np.float64)
  return max(a @ b / np.linalg.norm(a) / np.linalg.norm(b), 0.1)


def test_values_are_what_the_blobs_hold(small, image):
  blobs = blobs_of(small, image)
  fire = blobs["fire4/concat"]
  h, w, c = fire.shape
  vector = np.arange(c, dtype=np.float32)
  logits = blobs["scores"].reshape(-1).astype(np.float64)
  cases = [
    (neuron("fire4/concat", 3), fire[h // 2, w // 2, 3]),
    (neuron("fire4/concat", 3, (0, 1)), fire[0, 1, 3]),
    (neuron("output", 2, direction=-1.0), -blobs["scores"][0, 0, 2]),
    (channel("fire4/concat", 1), fire[:, :, 1].mean()),
    (direction("fire4/concat", vector, (1, 1)), fire[1, 1] @ vector),
    (log_probability(4), logits[4] - np.log(np.exp(logits).sum())),
    (
      2.0 * neuron("output", 1) + 0.5 * channel("conv1", 0),
      2 * logits[1] + 0.5 * blobs["conv1"][:, :, 0].mean(),
    ),
    (neuron("output", 1) - neuron("output", 2), logits[1] - logits[2]),
    (-neuron("output", 1) / 4, -logits[1] / 4),
    (sum(neuron("output", unit) for unit in (1, 2, 3)), logits[1:4].sum()),
    (layer_mean_square("fire4/concat"), (fire.astype(np.float64) ** 2).mean()),
    (
      direction("fire4/concat", vector, (1, 1), cosine_power=2.0),
      fire[1, 1] @ vector * cosine(fire[1, 1], vector) ** 2,
    ),
    (lambda blobs: blobs["conv1"].std(), blobs["conv1"].std()),
    (
      neuron("output", 1) - (lambda blobs: blobs["output"][0, 0, 2]),
      logits[1] - logits[2],
    ),
  ]
  for objective, expected in cases:
    value, _ = bind(small, objective)(KEY, image)
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_a_unit_at_zero_reads_zero_and_still_has_a_gradient(small, image):
  """Value after the ReLU, gradient before it, as the original."""
  blobs = blobs_of(small, image)
  row, column, unit = np.argwhere(blobs["fire3/expand3x3/pre"] < -1)[0]
  objective = neuron("fire3/expand3x3", int(unit), (int(row), int(column)))
  score = bind(small, objective)

  def before(image):
    blob = small.apply(small.params, image[None])["fire3/expand3x3/pre"]
    return blob[0, row, column, unit]

  assert score(KEY, image)[0] == 0
  gradient = jax.grad(lambda x: score(KEY, x)[0])(image)
  np.testing.assert_allclose(gradient, jax.grad(before)(image), atol=1e-7)
  assert jnp.any(gradient != 0)


def test_is_largest_looks_at_the_whole_layer(small, image):
  blobs = blobs_of(small, image)
  fire = blobs["fire4/concat"]
  row, column, unit = map(int, np.unravel_index(fire.argmax(), fire.shape))
  largest = neuron("fire4/concat", unit, (row, column))
  assert bind(small, largest)(KEY, image)[1]["is_largest"]
  elsewhere = neuron("fire4/concat", unit, (row, (column + 1) % fire.shape[1]))
  assert not bind(small, elsewhere)(KEY, image)[1]["is_largest"]
  smallest = int(blobs["scores"].argmin())
  inhibited = neuron("output", smallest, direction=-1.0)
  assert bind(small, inhibited)(KEY, image)[1]["is_largest"]
  assert not bind(small, log_probability(smallest))(KEY, image)[1]["is_largest"]
  # A rival that is subtracted need not be the largest too.
  for weight in (0.5, np.float32(2)):
    less = bind(small, largest - weight * elsewhere)
    assert less(KEY, image)[1]["is_largest"]
    # Of two units of a layer only one can be; of another layer one must be.
    more = bind(small, weight * elsewhere + largest)
    assert more(KEY, image)[1]["is_largest"]
    other = bind(small, largest + weight * neuron("output", smallest))
    assert not other(KEY, image)[1]["is_largest"]


def test_a_recipe_adds_the_log_probability_of_classes(small, image):
  """Value plus ten log-probabilities; in a hidden layer the value alone."""
  logits = blobs_of(small, image)["scores"].reshape(-1).astype(np.float64)
  logs = logits - np.log(np.exp(logits).sum())
  recipe = jdeepvis.recipe("none").replace(log_prob_weight=10.0)
  asked = bind(small, unit_objective(recipe, "output", 4))
  np.testing.assert_allclose(
    asked(KEY, image)[0], logits[4] + 10 * logs[4], rtol=1e-4
  )
  hidden = bind(small, unit_objective(recipe, "fire4/concat", 3))
  plain = bind(small, neuron("fire4/concat", 3))
  np.testing.assert_array_equal(hidden(KEY, image)[0], plain(KEY, image)[0])


def test_another_unit_or_weight_compiles_nothing(small, image):
  traces = []

  @jax.jit
  def value(score, image):
    traces.append(score)
    return score(KEY, image)[0]

  value(bind(small, neuron("output", 1)), image)
  value(bind(small, neuron("output", 7, direction=-1.0)), image)
  assert len(traces) == 1


def test_weights_are_arguments_of_the_program(squeezenet):
  image = jnp.zeros(squeezenet.input.shape)
  value = jax.jit(jax.grad(lambda image, score: score(KEY, image)[0]))
  score = bind(squeezenet, neuron("output", 1))
  text = value.lower(image, score).as_text()
  weights = sum(leaf.nbytes for leaf in jax.tree.leaves(squeezenet.params))
  assert weights > 4e6
  assert len(text) < 1e6


@pytest.mark.parametrize(
  "objective",
  [
    neuron("output", 3),
    neuron("fire3/expand3x3", 1),
    channel("fire3/concat", 4),
    log_probability(6),
    neuron("output", 3, direction=-1.0),
    neuron("output", 1) + neuron("output", 2),
    neuron("output", 1) - neuron("output", 2),
    layer_mean_square("fire3/concat"),
    direction("fire3/concat", np.ones(32, np.float32), cosine_power=2.0),
    lambda blobs: blobs["conv1"].std(),
  ],
)
def test_a_few_steps_raise_every_objective(small, image, objective):
  chain = optimizer(jdeepvis.recipe("none"), small.input)
  _, history = ascend(KEY, bind(small, objective), chain, image, steps=8)
  assert history["score"][-1] > history["score"][0]


@pytest.mark.parametrize(
  ("objective", "reported"),
  [
    (neuron("fire99", 0), "'fire99'"),
    (neuron("output", 9), "0 to 8"),
    (neuron("output", -1), "0 to 8"),
    (neuron("fire4/concat", 0, (99, 0)), "fire4/concat"),
    (neuron("output", 0) + neuron("conv1", 500), "conv1"),
  ],
)
def test_what_is_not_there_is_named(small, objective, reported):
  with pytest.raises(JdeepvisError, match=reported):
    bind(small, objective)


@pytest.mark.parametrize(
  ("function", "read"),
  [
    (lambda blobs: blobs["conv1"].std() + blobs.get("no", 0), {"conv1"}),
    (
      lambda blobs: blobs["output"].max() + blobs["conv1/pre"][0, 0, 0],
      {"scores", "conv1/pre"},
    ),
    (
      neuron("output", 1) - (lambda blobs: blobs["fire2/concat"].sum()),
      {"scores", "fire2/concat"},
    ),
  ],
)
def test_of_a_function_it_is_known_what_it_reads(small, function, read):
  """So that no more of the network is computed."""
  assert set(blobs_read(small, as_objective(function))) == read


def test_a_function_may_read_everything(small):
  def everything(blobs):
    return sum(values.mean() for values in blobs.values())

  assert set(blobs_read(small, as_objective(everything))) >= set(small.shapes)
