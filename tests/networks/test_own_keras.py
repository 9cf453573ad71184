"""Keras 3 models against what Keras itself computes."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdeepvis
from jdeepvis.types import JdeepvisError

keras = pytest.importorskip("keras")

SHAPE = (12, 12, 3)
SPEC = jdeepvis.InputSpec(SHAPE, (0.4, 0.5, 0.6), deviation=0.25, range=(0, 1))


@pytest.fixture(autouse=True)
def standard_promotion():
  """For what the tests ask of Keras itself."""
  with (
    jax.numpy_dtype_promotion("standard"),
    jax.numpy_rank_promotion("allow"),
  ):
    yield


def pixels(count=2):
  return np.random.default_rng(0).uniform(0, 255, (count, *SHAPE)).astype("f")


def as_trained(images):
  return (images / 255 - np.float32([0.4, 0.5, 0.6])) / np.float32(0.25)


def functional():
  images = keras.Input(SHAPE)
  x = keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(images)
  inner = keras.Sequential(
    [
      keras.Input((10, 10, 4)),
      keras.layers.Conv2D(5, 3, name="conv"),
      keras.layers.BatchNormalization(name="norm"),
    ],
    name="block",
  )
  twice = keras.layers.Dense(5, name="twice")
  x = twice(twice(inner(x)))
  x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
  x = keras.layers.Dropout(0.5, name="dropout")(x)
  scores = keras.layers.Dense(3, activation="softmax", name="predictions")(x)
  return keras.Model(images, scores)


class Subclassed(keras.Model):
  def __init__(self):
    super().__init__()
    self.conv = keras.layers.Conv2D(4, 3, name="conv1")
    self.dense = keras.layers.Dense(3, name="scores")

  def call(self, images, training=False):
    del training
    x = keras.ops.relu(self.conv(images))
    return self.dense(keras.ops.mean(x, (1, 2)))


def subclassed():
  model = Subclassed()
  model(np.zeros((1, *SHAPE), np.float32))
  return model


def sequential():
  return keras.Sequential(
    [
      keras.Input(SHAPE),
      keras.layers.Conv2D(4, 3, name="conv1"),
      keras.layers.ReLU(name="relu1"),
      keras.layers.Flatten(name="flat"),
      keras.layers.Dense(3, name="scores"),
    ]
  )


@pytest.mark.parametrize("make", [functional, subclassed, sequential])
def test_blobs_are_what_keras_computes(make):
  model = make()
  for variable in model.non_trainable_variables:
    if "moving" in variable.path:
      variable.assign(variable.value + 0.3)
  network = jdeepvis.from_keras(model, SPEC)
  given = pixels()
  blobs = jax.jit(lambda network, images: network(images))(
    network, given - network.input.mean
  )
  expected = model(as_trained(given), training=False)
  np.testing.assert_allclose(blobs["output"], expected, atol=1e-5)
  conv = model.get_layer("conv1")
  np.testing.assert_allclose(
    blobs["conv1"], conv(as_trained(given)), rtol=1e-4, atol=1e-4
  )
  # The model is as it was: nothing of the recording stays.
  assert "call" not in vars(conv)
  np.testing.assert_allclose(model(as_trained(given)), expected, atol=1e-6)


def test_nested_and_repeated_layers_and_the_side_before_a_softmax():
  model = functional()
  network = jdeepvis.from_keras(model, SPEC, labels=("a", "b", "c"))
  assert network.output == "predictions/logits"
  assert set(network.shapes) == {
    "conv1",
    "conv1/pre",
    "block",
    "block/conv",
    "block/norm",
    "twice",
    "twice/call1",
    "mean",
    "dropout",
    "predictions",
    "predictions/logits",
    "output",
  }
  first = ("conv1/pre", "conv1", "block/conv", "block/norm")
  assert network.order[:4] == first
  images = pixels() - network.input.mean
  found = jdeepvis.probabilities(network, images)
  np.testing.assert_allclose(found, model(as_trained(pixels())), rtol=1e-4)


@pytest.mark.parametrize("classes", [1, 4])
def test_a_sigmoids_classes_do_not_exclude_each_other(classes):
  model = keras.Sequential(
    [
      keras.Input(SHAPE),
      keras.layers.Flatten(),
      keras.layers.Dense(classes, activation="sigmoid", name="tags"),
    ]
  )
  network = jdeepvis.from_keras(model, SPEC)
  assert network.output == "tags/logits"
  found = jdeepvis.probabilities(network, pixels() - network.input.mean)
  np.testing.assert_allclose(found, model(as_trained(pixels())), rtol=1e-4)


def test_the_gradient_is_kerass_own():
  model = sequential()
  network = jdeepvis.from_keras(model, SPEC)
  given = pixels(1)

  def ours(images):
    return network(images, until="output")["output"][0, 1]

  def theirs(images):
    return model.stateless_call(
      [x.value for x in model.trainable_variables],
      [x.value for x in model.non_trainable_variables],
      as_trained(images),
    )[0][0, 1]

  found = jax.grad(ours)(jnp.asarray(given - network.input.mean))
  np.testing.assert_allclose(found, jax.grad(theirs)(given), rtol=1e-4)


@pytest.mark.parametrize(
  "name", ["resnet", "mobilenet_v2", "densenet", "efficientnet"]
)
def test_the_preprocessing_of_its_applications(name):
  """Caffe's, -1 to 1, torchvision's, and none."""
  preprocess = getattr(keras.applications, name).preprocess_input
  network = jdeepvis.from_keras(sequential(), preprocess)
  given = pixels()
  found = network.input.for_model(given - network.input.mean)
  np.testing.assert_allclose(
    found, preprocess(given.copy()), rtol=1e-5, atol=1e-4
  )


def test_what_is_no_scaling_of_channels_is_refused():
  with pytest.raises(JdeepvisError, match="'square' does more"):

    def square(images):
      return images**2

    jdeepvis.from_keras(sequential(), square)


def test_an_unknown_output_is_told():
  with pytest.raises(JdeepvisError, match=r"no blob 'logit'.*nearest"):
    jdeepvis.from_keras(sequential(), SPEC, output="logit")


def test_a_model_that_is_not_built_is_told():
  with pytest.raises(JdeepvisError, match="must be built"):
    jdeepvis.from_keras(Subclassed(), SPEC)


def test_dropout_left_on_draws_the_same_each_time():
  network = jdeepvis.from_keras(functional(), SPEC, training=True)
  images = pixels() - network.input.mean
  first = network(images)["dropout"]
  assert np.any(first == 0)
  np.testing.assert_array_equal(first, network(images)["dropout"])
