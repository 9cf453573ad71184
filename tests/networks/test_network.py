"""A network under JAX's transformations, against loops and closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks.classify import activations
from jdeepvis.networks.graph import with_precision


@pytest.fixture(scope="module")
def network():
  return small_networks.classifier()


@pytest.fixture(scope="module")
def image(network):
  pixels = np.random.default_rng(0).normal(0, 50, network.input.shape)
  return np.float32(pixels)


@pytest.fixture(scope="module")
def checkpoints(network):
  """The network after some steps of training, as from files of these names."""
  return [
    small_networks.random_network(
      network.layers, network.input.shape, mean=np.full(3, seed, np.float32),
      seed=seed,
    ).replace(name=f"step {seed}")
    for seed in range(3)
  ]  # fmt: skip


def unit(network, image):
  return network(image[None], until="conv2")["conv2"][0, 3, 3, 5]


def test_two_loads_of_a_network_share_a_program(squeezenet):
  traces = []

  @jax.jit
  def conv1(network, images):
    traces.append(network.name)
    return network(images, until="conv1")["conv1"]

  image = jnp.zeros((1, *squeezenet.input.shape))
  again = jdeepvis.load_network("squeezenet1.1")
  other = again.replace(params=jax.tree.map(np.zeros_like, again.params))
  assert conv1(squeezenet, image).any()
  assert conv1(again, image).any()
  assert not conv1(other.replace(name="step 9"), image).any()
  assert traces == ["squeezenet1.1"]
  assert conv1._cache_size() == 1
  text = conv1.lower(squeezenet, image).as_text()
  assert len(text) < 100_000


def test_what_is_static_tells_programs_apart(network, checkpoints):
  first, second = map(jax.tree.structure, checkpoints[:2])
  assert first == second and hash(first) == hash(second)
  for changes in (
    {"labels": ("a",)},
    {"output": None},
    {"layers": network.layers[:3]},
    {"apply": with_precision(network, "high").apply},
    {"input": network.input.replace(resize=64)},
  ):
    changed = jax.tree.structure(network.replace(**changes))
    assert changed != jax.tree.structure(network)


def test_one_unit_across_checkpoints_is_one_program(checkpoints, image):
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *checkpoints)
  program = jax.jit(jax.vmap(unit, in_axes=(0, None)))
  expected = [unit(one, image) for one in checkpoints]
  np.testing.assert_allclose(program(stacked, image), expected, rtol=1e-5)
  assert np.ptp(expected) > 1
  slopes = jax.jit(jax.vmap(jax.grad(unit, argnums=1), in_axes=(0, None)))
  np.testing.assert_allclose(
    slopes(stacked, image),
    [jax.grad(unit, argnums=1)(one, image) for one in checkpoints],
    atol=1e-5,
  )


def test_a_network_under_vmap_knows_its_shapes(checkpoints, image):
  stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *checkpoints)

  def shown(network, image):
    assert network.shapes == checkpoints[0].shapes
    return activations(network, "prob", image[None])[0]

  found = jax.vmap(shown, in_axes=(0, None))(stacked, image)
  for one, got in zip(checkpoints, found, strict=True):
    expected = one(image[None])["prob"][0]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_gradient_by_the_weights_is_a_network(network, image):
  """A score is the mean of a 1 x 1 convolution: its slopes are known."""

  def score(network):
    return network(image[None])["scores"].reshape(-1)[4]

  slopes = jax.jit(jax.grad(score))(network)
  assert isinstance(slopes, jdeepvis.Network)
  last = slopes.params["conv10"]
  np.testing.assert_allclose(last["bias"], np.eye(9)[4], atol=1e-6)
  seen = np.asarray(network(image[None])["conv2"][0]).mean((0, 1))
  expected = np.outer(seen, np.eye(9)[4])
  np.testing.assert_allclose(last["kernel"][0, 0], expected, rtol=1e-4)
  np.testing.assert_array_equal(slopes.input.mean, 0)


@pytest.mark.parametrize(
  "change",
  [
    jax.device_put,
    lambda network: jax.tree.map(jnp.array, network),
    jax.jit(lambda network: network),
    lambda network: jax.tree.unflatten(*jax.tree.flatten(network)[::-1]),
  ],
  ids=["device_put", "tree.map", "jit", "flatten"],
)
def test_a_network_stays_itself(network, change):
  found = change(network.replace(name="mine"))
  assert isinstance(found, jdeepvis.Network)
  for field in dataclasses.fields(jdeepvis.Network):
    if field.name not in ("params", "input", "name"):
      assert getattr(found, field.name) == getattr(network, field.name)
  assert found.name == "mine"
  assert (found.input.shape, found.input.resize) == ((33, 33, 3), None)
  jax.tree.map(np.testing.assert_array_equal, found, network)


def test_leaves_are_named_by_their_place(network):
  paths = {
    jax.tree_util.keystr(path, simple=True, separator=".")
    for path, _ in jax.tree.leaves_with_path(network)
  }
  weights = {
    f"params.{layer}.{leaf}"
    for layer in ("conv1", "conv2", "conv10")
    for leaf in ("kernel", "bias")
  }
  assert paths == {*weights, "input.mean"}


def test_a_network_says_in_short_what_it_is(squeezenet, network):
  text = repr(squeezenet)
  assert len(text) < 200
  # The weights as they are counted in the literature.
  for fact in ("squeezenet1.1", "227 x 227 x 3", "1,235,496", "1000 class"):
    assert fact in text
  bare = jdeepvis.from_function(
    network.apply, network.params, network.input, output=None
  )
  assert len(repr(bare)) < 200
  traced = []
  jax.jit(lambda network: traced.append(repr(network)))(network)
  assert traced == [repr(network)]


def test_bounds_and_sizes_of_a_traced_input():
  mean = np.random.default_rng(0).uniform(0, 255, (4, 5, 3))
  spec = jdeepvis.InputSpec((4, 5, 3), np.float32(mean))

  def asked(spec):
    other = spec.of_size((7, 6))
    assert other.shape == (7, 6, 3)
    return spec.bounds, other.mean

  (lower, upper), colour = jax.jit(asked)(spec)
  np.testing.assert_allclose(lower, -mean, rtol=1e-6)
  np.testing.assert_allclose(upper, 255 - mean, atol=1e-4)
  np.testing.assert_allclose(colour, mean.mean((0, 1)), rtol=1e-6)
  plain = spec.of_size((7, 6)).mean
  assert isinstance(plain, np.ndarray) and plain.dtype == np.float32
  np.testing.assert_allclose(plain, colour, rtol=1e-6)
