"""The bundled network: its shapes, its weights, its word on a photograph."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import zoo
from jdeepvis.networks.classify import activations, probabilities
from jdeepvis.networks.squeezenet import SqueezeNet

GOLDEN = Path(__file__).parent / "golden_squeezenet.npz"


def test_published_shapes_and_parameter_count(squeezenet):
  shapes = squeezenet.shapes
  assert [
    shapes[name] for name in ("conv1", "pool1", "pool3", "pool5", "conv10")
  ] == [
    (113, 113, 64), (56, 56, 64), (28, 28, 128), (14, 14, 256), (14, 14, 1000)
  ]  # fmt: skip
  leaves = jax.tree.leaves(squeezenet.params)
  assert sum(leaf.size for leaf in leaves) == 1_235_496
  assert len(squeezenet.labels) == 1000
  assert squeezenet.labels[130] == "flamingo"


def test_the_linen_module_takes_the_bundled_weights(squeezenet):
  """The same function by Linen's own apply."""
  image = jax.random.normal(jax.random.key(0), (1, 227, 227, 3)) * 40
  module = SqueezeNet()
  variables = {"params": squeezenet.params}
  theirs = module.apply(variables, image, until="fire4/concat")["fire4/concat"]
  ours = squeezenet(image)["fire4/concat"]
  np.testing.assert_array_equal(theirs, ours)


def test_a_free_photograph_gives_the_golden_outputs(squeezenet):
  """Frozen once 69 of 100 ImageNet photographs came out right."""
  pixels = jdeepvis.read_picture(zoo.third_party() / "photos" / "chelsea.jpg")
  image = jdeepvis.preprocess(pixels, squeezenet.input)[None]
  with np.load(GOLDEN) as golden:
    expected = dict(golden)
  probability = np.asarray(probabilities(squeezenet, image))[0]
  np.testing.assert_allclose(probability, expected["prob"], atol=1e-5)
  for layer in ("conv1", "fire5/concat", "scores"):
    values = np.asarray(activations(squeezenet, layer, image))[0]
    means = values.reshape(-1, values.shape[-1]).mean(0)
    np.testing.assert_allclose(means, expected[layer], rtol=1e-4, atol=1e-3)
  top = np.argsort(-probability)[:3]
  assert any("cat" in squeezenet.labels[unit] for unit in top)


def test_stopping_early_gives_the_same_blobs(squeezenet):
  image = jnp.full((1, 227, 227, 3), 20.0)
  whole = squeezenet(image)
  for layer in ("pool1", "fire3/concat", "conv10/pre"):
    part = squeezenet(image, until=layer)
    assert "prob" not in part
    for name, blob in part.items():
      np.testing.assert_array_equal(blob, whole[name])


def test_another_rectifier_takes_the_place_of_relu(squeezenet):
  image = jnp.full((1, 227, 227, 3), 20.0)
  blobs = squeezenet(image, until="conv1", relu=lambda x: x + 1)
  np.testing.assert_array_equal(blobs["conv1"], blobs["conv1/pre"] + 1)


@pytest.mark.parametrize("name", ["squeezenet", "nothing.safetensors"])
def test_an_unknown_network_is_one_sentence(name):
  with pytest.raises(jdeepvis.JdeepvisError, match=name):
    jdeepvis.load_network(name)
