"""ReLUs of models as they are, against the same models told their rectifier."""

import functools

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jdeepvis import from_equinox, from_function, from_linen, from_nnx
from jdeepvis.networks.jaxpr.program import trace
from jdeepvis.networks.jaxpr.rectifiers import find_rectifiers
from jdeepvis.networks.network import InputSpec
from jdeepvis.probing.backprop import RULES, backward, require_rule
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.score import bind
from jdeepvis.types import JdeepvisError

SPEC = InputSpec((8, 6, 3), np.zeros(3, np.float32))
RULE_NAMES = ("deconv", "guided")


def _images(count=2):
  return jax.random.normal(jax.random.key(1), (count, *SPEC.shape))


class _Bottleneck(nn.Module):
  filters: int
  strides: int = 1

  @nn.compact
  def __call__(self, x):
    norm = functools.partial(nn.BatchNorm, use_running_average=True)
    conv = functools.partial(nn.Conv, use_bias=False)
    y = nn.relu(norm()(conv(self.filters, (1, 1))(x)))
    y = nn.relu(norm()(conv(self.filters, (3, 3), self.strides)(y)))
    y = norm()(conv(4 * self.filters, (1, 1))(y))
    if x.shape != y.shape:
      x = norm()(conv(4 * self.filters, (1, 1), self.strides)(x))
    return nn.relu(x + y)


class _ResNet50(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Conv(64, (7, 7), 2, use_bias=False)(x)
    x = nn.relu(nn.BatchNorm(use_running_average=True)(x))
    x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
    for stage, blocks in enumerate((3, 4, 6, 3)):
      for block in range(blocks):
        x = _Bottleneck(64 * 2**stage, 2 if stage and not block else 1)(x)
    return nn.Dense(1000)(x.mean((1, 2)))


def test_a_resnet_50_shows_its_49_rectifiers():
  model = _ResNet50()
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  weights = jax.eval_shape(model.init, jax.random.key(0), image)
  program = trace(model.apply, weights, image)
  assert len(find_rectifiers(program)) == 49


def _patterns():
  """What a rectifier looks like, given which one it is where not plain."""

  def scanned(x, relu):
    return jax.lax.scan(lambda c, w: (relu(c * w), ()), x, jnp.ones(2))[0]

  def branched(x, relu):
    return jax.lax.cond(x.sum() > -1e9, relu, lambda x: x, x)

  def looped(x, relu):
    return jax.lax.fori_loop(0, 2, lambda _, x: relu(x - 0.1), x)

  def custom(x, relu):
    @jax.custom_vjp
    def twice(x):
      return 2 * relu(x)

    twice.defvjp(
      lambda x: (twice(x), x), lambda x, d: (2 * d * (x > 0).astype(x.dtype),)
    )
    return twice(x) if relu is jax.nn.relu else 2 * relu(x)

  def ceiling(x, relu):
    return jnp.where(x < 6, relu(x), 6)

  def plain(own):
    return lambda x, relu: own(x) if relu is jax.nn.relu else relu(x)

  return {
    "relu": lambda x, relu: relu(x),
    "maximum": plain(lambda x: jnp.maximum(x, 0)),
    "maximum_of_zero": plain(lambda x: jnp.maximum(0.0, x)),
    "clip": plain(lambda x: jnp.clip(x, 0)),
    "relu6": lambda x, relu: (
      jax.nn.relu6(x) if relu is jax.nn.relu else ceiling(x, relu)
    ),
    "clip6": lambda x, relu: (
      jnp.clip(x, 0, 6) if relu is jax.nn.relu else ceiling(x, relu)
    ),
    "jit": lambda x, relu: jax.jit(relu)(x),
    "vmap": lambda x, relu: jax.vmap(jax.vmap(jax.jit(relu)))(x),
    "checkpoint": lambda x, relu: jax.checkpoint(relu)(x),
    "scan": scanned,
    "cond": branched,
    "loop": looped,
    "custom_vjp": custom,
  }


PATTERNS = _patterns()


def _by_pattern(pattern):
  def function(params, images, relu):
    x = images.reshape(len(images), -1) @ params["first"]
    return {"output": PATTERNS[pattern](x, relu) @ params["second"]}

  return function


def _dense():
  first, second = jax.random.split(jax.random.key(0))
  return {
    "first": jax.random.normal(first, (144, 16)) / 3,
    "second": jax.random.normal(second, (16, 5)),
  }


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_form_of_rectifier_is_replaced(pattern):
  function, params, images = _by_pattern(pattern), _dense(), _images()
  network = from_function(
    functools.partial(function, relu=jax.nn.relu), params, SPEC
  )
  seed = jax.random.normal(jax.random.key(2), (2, 5))

  def expected(relu):
    run = functools.partial(function, params, relu=relu)
    values, pull = jax.vjp(lambda images: run(images)["output"], images)
    return values, pull(seed)[0]

  values, gradient = expected(jax.nn.relu)
  np.testing.assert_allclose(network(images)["output"], values, rtol=1e-6)
  found = backward(network, images, "output", seed)
  np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-5)
  for rule in RULE_NAMES:
    _, signal = expected(RULES[rule])
    found = backward(network, images, "output", seed, rule=rule)
    np.testing.assert_allclose(found, signal, rtol=1e-5, atol=1e-5)
    assert jnp.abs(found - gradient).max() > 0.1


class _Linen(nn.Module):
  @nn.compact
  def __call__(self, x, relu=nn.relu):
    x = relu(nn.GroupNorm(2)(nn.Conv(4, (3, 3), name="conv1")(x)))
    x = nn.max_pool(x, (2, 2), (2, 2))
    x = relu(nn.Conv(4, (3, 3), name="conv2")(x))
    return nn.Dense(5)(x.mean((1, 2)))


class _NNX(nnx.Module):
  def __init__(self, rngs):
    self.conv1 = nnx.Conv(3, 4, (3, 3), rngs=rngs)
    self.norm = nnx.LayerNorm(4, rngs=rngs)
    self.dense = nnx.Linear(4, 5, rngs=rngs)

  def __call__(self, x, relu=jax.nn.relu):
    x = relu(self.norm(self.conv1(x)))
    return self.dense(x.mean((1, 2)))


class _Equinox(eqx.Module):
  body: eqx.nn.Sequential
  dense: eqx.nn.Linear

  def __init__(self, key):
    self.body = eqx.nn.Sequential(
      [
        eqx.nn.Conv2d(3, 4, 3, key=key),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.MaxPool2d(2, 2),
      ]
    )
    self.dense = eqx.nn.Linear(4, 5, key=key)

  def __call__(self, image):
    return self.dense(jax.nn.relu(self.body(image)).mean((1, 2)))


def _linen():
  model = _Linen()
  variables = model.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  call = functools.partial(model.apply, variables)
  return from_linen(
    _Unaware(model), {"params": {"model": variables["params"]}}, SPEC
  ), call


class _Unaware(nn.Module):
  """The model as somebody wrote it: nothing hands a rectifier to it."""

  model: nn.Module

  def __call__(self, x):
    return self.model(x)


def _nnx():
  model = _NNX(nnx.Rngs(0))

  class Unaware(nnx.Module):
    def __init__(self):
      self.model = model

    def __call__(self, x):
      return self.model(x)

  return from_nnx(Unaware(), SPEC), model


@pytest.mark.parametrize("make", [_linen, _nnx])
@pytest.mark.parametrize("rule", RULES)
def test_models_as_they_are_equal_those_told_their_rectifier(make, rule):
  network, call = make()
  images = _images()
  seed = jax.random.normal(jax.random.key(2), (2, 5))
  expected = jax.jit(
    lambda images: jax.vjp(lambda x: call(x, relu=RULES[rule]), images)[1](
      seed
    )[0]
  )(images)
  found = backward(network, images, "output", seed, rule=rule)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
  assert jnp.abs(found).max() > 0.01


def test_equinox_has_both_sides_and_all_rules():
  model = _Equinox(jax.random.key(0))
  network = from_equinox(model, SPEC)
  images = _images()
  blobs = network(images)
  np.testing.assert_array_equal(
    blobs["body/layers/1/pre"], blobs["body/layers/0"]
  )
  seed = jax.random.normal(jax.random.key(2), (2, 5))

  def explicit(image, relu):
    conv, _, pool = model.body.layers
    return model.dense(relu(pool(relu(conv(image)))).mean((1, 2)))

  def by_hand(images, relu):
    images = jnp.moveaxis(images, -1, 1)
    return jax.vmap(functools.partial(explicit, relu=relu))(images)

  for rule, relu in RULES.items():
    _, pull = jax.vjp(functools.partial(by_hand, relu=relu), images)
    found = backward(network, images, "output", seed, rule=rule)
    np.testing.assert_allclose(found, pull(seed)[0], rtol=1e-4, atol=1e-6)


def test_a_dead_unit_has_a_gradient_from_before_its_relu():
  def dead(params, images):
    x = jax.nn.relu(images.mean((1, 2)) @ params - 100)
    return {
      "hidden": x,
      "capped": jax.nn.relu6(x - 1),
      "flat": x.reshape(-1, 3),
    }

  network = from_function(dead, np.eye(3, dtype="f"), SPEC, output=None)
  assert {"hidden/pre", "capped/pre", "flat/pre"} <= network.shapes.keys()
  image = _images()[0]
  for layer in ("hidden", "flat"):
    score = bind(network, neuron(layer, 1))
    value, gradient = jax.value_and_grad(lambda x, f=score: f(None, x)[0])(
      image
    )
    assert value == 0
    np.testing.assert_allclose(gradient[..., 1], 1 / 48, rtol=1e-5)
    np.testing.assert_array_equal(gradient[..., ::2], 0)


def test_a_side_that_the_model_names_itself_stays():
  def named(params, images):
    x = images.mean((1, 2)) - 1
    return {"a": jax.nn.relu(x), "a/pre": 2 * x, "output": x}

  blobs = from_function(named, {}, SPEC)(_images())
  np.testing.assert_allclose(blobs["a/pre"], 2 * blobs["output"])


class _NoReLU(nn.Module):
  """Norms guard their variances with a maximum, gates are hard sigmoids."""

  @nn.compact
  def __call__(self, x):
    x = nn.LayerNorm()(nn.hard_swish(nn.Conv(4, (3, 3))(x)))
    x = nn.GroupNorm(2)(nn.gelu(x))
    return nn.Dense(5)(nn.silu(x).mean((1, 2)))


def test_models_without_any_relu_say_so():
  model = _NoReLU()
  variables = model.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  network = from_linen(model, variables, SPEC)
  require_rule(network, "gradient")
  for rule in RULE_NAMES:
    with pytest.raises(JdeepvisError, match="has no ReLU"):
      require_rule(network, rule)
  with pytest.raises(JdeepvisError, match="has no ReLU"):
    network(_images(), relu=lambda x: x)
  with pytest.raises(JdeepvisError, match="no backward rule 'deconf'"):
    require_rule(network, "deconf")


def test_a_relu_that_cannot_be_reached_is_told():
  rectified = jax.custom_batching.custom_vmap(lambda x: jax.nn.relu(x) + 1)
  rectified.def_vmap(lambda size, batched, x: (rectified(x), batched[0]))

  def hidden(params, images):
    return {"output": rectified(images).mean((1, 2))}

  network = from_function(hidden, {}, SPEC)
  assert network(_images())["output"].shape == (2, 3)
  with pytest.raises(JdeepvisError, match="ReLU inside custom_vmap_call"):
    network(_images(), relu=RULES["deconv"])
