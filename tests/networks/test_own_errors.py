"""What people get wrong about their own models, each told in a sentence."""

import inspect

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jdeepvis
from jdeepvis.networks import own
from jdeepvis.networks.own_equinox import from_equinox
from jdeepvis.types import JdeepvisError

SPEC = jdeepvis.InputSpec((8, 8, 3))


class _Linen(nn.Module):
  @nn.compact
  def __call__(self, images, train):
    x = nn.Conv(4, (3, 3), name="conv1")(images)
    x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
    return x.mean((1, 2))


@pytest.fixture(scope="module")
def variables():
  return _Linen().init(jax.random.key(0), np.zeros((1, 8, 8, 3)), train=False)


@pytest.mark.parametrize(
  ("settings", "told"),
  [
    ({}, r"takes \(images, train\) .* argument: 'train'; .* train=False"),
    ({"trian": False}, r"is given \(images, trian\)"),
    ({"train": True}, '"batch_stats" is immutable; call it as in evaluation'),
  ],
)
def test_linen_calls(variables, settings, told):
  with pytest.raises(JdeepvisError, match=told):
    jdeepvis.from_linen(_Linen(), variables, SPEC, **settings)


def test_linen_variables(variables):
  weights = {"params": variables["params"]}
  with pytest.raises(
    JdeepvisError, match=r"give all that module\.init returned"
  ):
    jdeepvis.from_linen(_Linen(), weights, SPEC, train=False)
  grey = jdeepvis.InputSpec((8, 8, 1))
  with pytest.raises(JdeepvisError, match="give the InputSpec of the images"):
    jdeepvis.from_linen(_Linen(), variables, grey, train=False)


def test_input_and_labels(variables):
  # Tests check types, which users need not.
  network_of = inspect.unwrap(own.network_of)
  with pytest.raises(JdeepvisError, match=r"InputSpec.*not by \(8, 8, 3\)"):
    network_of(_images_alone, _images_alone, (), (8, 8, 3), None, ())
  with pytest.raises(JdeepvisError, match="'output', but there are 3 labels"):
    jdeepvis.from_linen(
      _Linen(), variables, SPEC, train=False, labels=["a", "b", "c"]
    )
  with pytest.raises(JdeepvisError, match=r"scales .* is a list, .* a tuple"):
    inspect.unwrap(own.freeze)({"scales": [1, 2]})


@pytest.fixture
def standard_promotion():
  """What Equinox's batch normalisation is written for."""
  with jax.numpy_dtype_promotion("standard"):
    yield


@pytest.mark.usefixtures("standard_promotion")
def test_calls_of_other_frameworks():
  linear = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
  with pytest.raises(JdeepvisError, match="argument 'train'"):
    jdeepvis.from_nnx(linear, SPEC, train=False)
  norm, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "n", mode="batch")
  norm = eqx.nn.inference_mode(norm)
  with pytest.raises(JdeepvisError, match="required argument: 'state'"):
    from_equinox(norm, SPEC)
  assert from_equinox(norm, SPEC, state=state).shapes["output"] == (8, 8, 3)
  with pytest.raises(JdeepvisError, match=r"write function\(params, images\)"):
    jdeepvis.from_function(_images_alone, (), SPEC)


def _images_alone(images):
  return images


def test_a_function_without_values():
  with pytest.raises(JdeepvisError, match="nothing that has the batch axis"):
    jdeepvis.from_function(_nothing, (), SPEC, output=None)


def _nothing(params, images):
  return images.sum()


@pytest.mark.usefixtures("standard_promotion")
def test_an_equinox_model_that_asks_what_its_parts_are():
  # As equinox.nn.Sequential does, which hands states to stateful parts alone.
  key = jax.random.key(0)
  model, state = eqx.nn.make_with_state(_sequential)(key)
  model = eqx.nn.inference_mode(model)
  network = from_equinox(model, SPEC, state=state)
  assert list(network.shapes)[:2] == ["layers/0", "layers/1"]
  images = np.float32(jax.random.normal(key, (2, 8, 8, 3)))
  expected = [model(jnp.moveaxis(image, -1, 0), state)[0] for image in images]
  found = jnp.moveaxis(network(images)["output"], -1, 1)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def _sequential(key):
  return eqx.nn.Sequential(
    [
      eqx.nn.Conv2d(3, 4, 3, key=key),
      eqx.nn.BatchNorm(4, "n", mode="batch"),
      eqx.nn.Lambda(jax.nn.relu),
    ]
  )
