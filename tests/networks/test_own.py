import re
import types
from pathlib import Path

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.own import from_function
from jdeepvis.networks.own_equinox import from_equinox
from jdeepvis.networks.own_linen import from_linen
from jdeepvis.networks.own_nnx import from_nnx
from jdeepvis.networks.zoo import load_network
from jdeepvis.types import JdeepvisError

DOC = Path(__file__).parents[2] / "docs" / "own_models.md"
BLOCKS = {
  section.partition("\n")[0]: re.findall(
    r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE
  )
  for section in DOC.read_text().split("\n## ")
}
INPUT = BLOCKS["What images it takes"][0]
EXAMPLES = [
  INPUT + BLOCKS[name][0].partition("\n\ntargets =")[0]
  for name in ("Flax Linen", "Flax NNX", "Equinox", "Any function")
]
CHECKPOINTS = BLOCKS["Checkpoints"][0]
SPEC = InputSpec((8, 6, 3), np.zeros(3, np.float32))


def _images(spec: InputSpec, count: int = 2):
  return jax.random.normal(jax.random.key(1), (count, *spec.shape)) * 50


def _example(source: str) -> Network:
  scope = {"__name__": "example"}
  exec(source, scope)
  return scope["network"]


@pytest.fixture(
  scope="module", params=EXAMPLES, ids=["linen", "nnx", "equinox", "function"]
)
def example(request) -> Network:
  return _example(request.param)


def test_examples_name_their_blobs(example):
  hidden = {"patches", "hidden"} & example.shapes.keys()
  assert hidden
  assert example.shapes["scores"] == (10,)


def test_examples_take_weights_as_arguments(example):
  images = _images(example.input)
  program = jax.jit(lambda network, images: network(images))
  found = program(example, images)["scores"]
  zeros = jax.tree.map(jnp.zeros_like, example)
  np.testing.assert_allclose(found.shape, (2, 10))
  assert jnp.abs(found).max() > 0.01
  np.testing.assert_allclose(program(zeros, images)["scores"], 0)
  text = program.lower(example, images).as_text()
  assert len(text) < 100_000


def test_examples_are_hashable_and_share_one_trace(example):
  traces = []

  @jax.jit
  def run(network, images):
    traces.append(None)
    return network(images)

  images = _images(example.input)
  run(example, images)
  run(example, images + 1)
  assert len(traces) == 1


def test_examples_honour_relu(example):
  images = _images(example.input)
  rectified = example(images)["scores"]
  linear = example(images, relu=lambda x: x)["scores"]
  assert jnp.abs(rectified - linear).max() > 1e-3


def test_examples_until_gives_those_blobs_alone(example):
  images = _images(example.input)
  everything = example(images)
  alone = example(images, until="scores")
  assert alone.keys() == {"scores"}
  np.testing.assert_array_equal(alone["scores"], everything["scores"])


def test_rebuilt_models_share_their_program():
  for source in EXAMPLES[:3]:
    first, second = map(jax.tree.structure, _models(source))
    assert first == second
    assert hash(first) == hash(second)


def _models(source):
  """The same class twice, as after loading another checkpoint."""
  scope = {"__name__": "example"}
  exec(source, scope)
  first = scope["network"]
  exec(source.splitlines()[-1], scope)
  return first, scope["network"]


def test_the_checkpoints_of_an_example():
  scope = {"__name__": "example"}
  exec(EXAMPLES[3] + CHECKPOINTS, scope)
  weights = np.asarray(scope["params"]["hidden"])[:, 12]
  level = 1 / (255 * 0.31)
  whole = weights.sum() * level
  np.testing.assert_allclose(
    scope["growing"], whole * np.float32([0.1, 0.5, 1]), rtol=1e-4
  )
  expected = np.outer(np.full(784, level), np.eye(64)[12])
  np.testing.assert_allclose(scope["by_weights"], expected, rtol=1e-5)


class _Block(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.relu(nn.Conv(4, (3, 3), name="conv")(x))
    return nn.BatchNorm(use_running_average=not train, name="norm")(x)


class _Nested(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool = True):
    x = _Block(name="block")(x, train)
    dense = nn.Dense(4, name="dense")
    x = dense(dense(x))
    self.sow("intermediates", "loss", jnp.sum(x))
    return {"map": x, "head": {"scores": x.mean((1, 2))}}


def test_linen_nested_shared_and_dict_results():
  model = _Nested()
  variables = model.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  variables = {key: variables[key] for key in ("params", "batch_stats")}
  network = from_linen(
    model, variables, SPEC, output="head/scores", train=False
  )
  assert network.shapes.keys() == {
    "block",
    "block/conv",
    "block/norm",
    "dense",
    "dense/call1",
    "map",
    "head/scores",
  }
  images = _images(SPEC)
  blobs = network(images)
  expected = model.apply(variables, images, train=False)
  np.testing.assert_allclose(blobs["map"], expected["map"], rtol=1e-6)
  np.testing.assert_allclose(blobs["dense/call1"], blobs["map"], rtol=1e-6)
  kernel = variables["params"]["block"]["conv"]["kernel"]
  conv = jax.lax.conv_general_dilated(
    images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  np.testing.assert_allclose(blobs["block/conv"], conv, atol=1e-3)


class _Backwards(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.relu(nn.Conv(4, (3, 3), name="zeta")(x))
    x = nn.Conv(4, (3, 3), name="beta")(x)
    return nn.Dense(4, name="scores")(x.mean((1, 2)))


def test_blobs_are_listed_as_they_are_computed():
  model = _Backwards()
  variables = model.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  network = from_linen(model, variables, SPEC, output="scores")
  assert network.order == ("zeta", "beta", "scores", "output")
  network = from_equinox(_EquinoxBackwards(jax.random.key(0)), SPEC)
  assert network.order == ("zeta", "beta", "output")


class _EquinoxBackwards(eqx.Module):
  beta: eqx.nn.Conv2d
  zeta: eqx.nn.Conv2d

  def __init__(self, key):
    self.beta = eqx.nn.Conv2d(4, 4, 3, key=key)
    self.zeta = eqx.nn.Conv2d(3, 4, 3, key=key)

  def __call__(self, image):
    return self.beta(self.zeta(image)).mean((1, 2))


class _NNXNested(nnx.Module):
  def __init__(self, rngs):
    self.norm = nnx.BatchNorm(3, rngs=rngs)
    self.layers = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(2)])

  def __call__(self, x):
    x = self.norm(x)
    for layer in (*self.layers, self.layers[0]):
      x = jax.nn.relu(layer(x))
    return x.mean((1, 2))


def test_nnx_lists_shared_layers_and_state():
  model = _NNXNested(nnx.Rngs(0))
  model.eval()
  network = from_nnx(model, SPEC)
  assert network.shapes.keys() == {
    "norm",
    "layers/0",
    "layers/0/call1",
    "layers/1",
    "output",
  }
  images = _images(SPEC)
  found = network(images)["output"]
  np.testing.assert_allclose(found, model(images), rtol=1e-5, atol=1e-5)


class _EquinoxNested(eqx.Module):
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
    self.dense = eqx.nn.Linear(4, 4, key=key)

  def __call__(self, image):
    x = self.body(image)
    x = self.dense(self.dense(x.mean((1, 2))))
    inner = jax.vmap(self.dense)(jnp.stack([x, x]))
    return inner.sum(0) + self.dense.bias


def test_equinox_nested_shared_and_inner_vmap():
  model = _EquinoxNested(jax.random.key(0))
  network = from_equinox(model, SPEC)
  assert network.shapes == {
    "body": (3, 2, 4),
    "body/layers/0": (6, 4, 4),
    "body/layers/1": (6, 4, 4),
    "body/layers/1/pre": (6, 4, 4),
    "body/layers/2": (3, 2, 4),
    "dense": (4,),
    "dense/call1": (4,),
    "dense/call2": (1, 2, 4),
    "output": (4,),
  }
  images = _images(SPEC)
  blobs = network(images)
  tokens = np.asarray(blobs["dense/call1"])[:, None, None]
  twice = tokens @ np.asarray(model.dense.weight).T + np.asarray(
    model.dense.bias
  )
  np.testing.assert_allclose(
    blobs["dense/call2"], np.repeat(twice, 2, axis=2), rtol=1e-4
  )
  first = jnp.moveaxis(images, -1, 1)
  np.testing.assert_allclose(
    blobs["output"], jax.vmap(model)(first), rtol=1e-5, atol=1e-4
  )
  np.testing.assert_allclose(
    blobs["body/layers/1"],
    jax.nn.relu(blobs["body/layers/0"]),
  )


def _mean_of_rectified(params, images):
  return jax.nn.relu(images).mean((1, 2))


def test_until_keeps_the_side_before_the_relu():
  network = _example(EXAMPLES[3])
  blobs = network(_images(network.input), until="hidden")
  assert blobs.keys() == {"hidden", "hidden/pre"}


def test_unknown_output_is_told():
  with pytest.raises(JdeepvisError, match=r"no blob 'logits'.*output"):
    from_function(_mean_of_rectified, {}, SPEC, output="logits")


def test_factories_by_name(monkeypatch):
  module = types.ModuleType("my_models")
  module.make = lambda: _example(EXAMPLES[0])
  module.wrong = lambda: 3
  module.needs_more = lambda size: size
  module.no_function = 3
  module.refuses = lambda: load_network("absent")
  monkeypatch.setitem(__import__("sys").modules, "my_models", module)
  assert load_network("my_models:make").output == "scores"
  with pytest.raises(JdeepvisError, match=r"must return .* returned int"):
    load_network("my_models:wrong")
  for name in ("my_models:needs_more", "my_models:no_function"):
    with pytest.raises(JdeepvisError, match=r"^The function .* failed: TypeE"):
      load_network(name)
  with pytest.raises(JdeepvisError, match=r"^There is no network 'absent'"):
    load_network("my_models:refuses")
  for name in ("my_models:absent", "no_such_module_x:make", ":make", "a:"):
    with pytest.raises(JdeepvisError, match="There is no function"):
      load_network(name)


@pytest.mark.parametrize("code", ["1 / 0", "def broken("])
def test_a_module_that_fails_is_one_sentence(monkeypatch, tmp_path, code):
  (tmp_path / "failing_models.py").write_text(code)
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(JdeepvisError, match="'failing_models' cannot") as error:
    load_network("failing_models:make")
  assert "\n" not in str(error.value) and str(error.value).endswith(".")


class _Repeated(nn.Module):
  """Blocks within a scan, a constant, and a tuple as its result."""

  @nn.compact
  def __call__(self, images):
    x = nn.Dense(4, name="stem")(images.mean((1, 2)))
    blocks = nn.scan(
      _ScannedBlock, variable_axes={"params": 0}, split_rngs={"params": True},
      length=3,
    )(name="blocks")  # fmt: skip
    x, _ = blocks(x, None)
    x = x + nn.Embed(5, 4, name="places")(jnp.arange(1))
    x = nn.Dropout(0.5, deterministic=False, name="dropout")(x)
    return nn.Dense(3, name="scores")(x), (x, x.sum(-1))


class _ScannedBlock(nn.Module):
  @nn.compact
  def __call__(self, x, _):
    return nn.Dense(4, name="dense")(x), None


def _repeated(**more):
  model = _Repeated()
  rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
  weights = model.init(rngs, jnp.zeros((1, *SPEC.shape)))
  weights = {"params": weights["params"]}
  network = from_linen(model, weights, SPEC, output="output/0", **more)
  return model, weights, network


def test_parts_within_a_scan_are_named_as_missing(caplog):
  _, _, network = _repeated()
  (said,) = caplog.messages
  assert "of the parts blocks, blocks/dense, places: " in said
  assert dict(network.shapes) == {
    "stem": (4,),
    "dropout": (4,),
    "scores": (3,),
    "output/0": (3,),
    "output/1/0": (4,),
    "output/1/1": (1,),
  }


def test_a_model_that_draws_does_so_alike_at_each_call():
  model, weights, network = _repeated()
  images = _images(SPEC)
  expected = model.apply(weights, images, rngs=jax.random.key(0))
  found = network(images)
  np.testing.assert_allclose(found["output/0"], expected[0], rtol=1e-4)
  np.testing.assert_allclose(
    found["output/1/1"][:, 0], expected[1][1], rtol=1e-4, atol=1e-4
  )
  keys = {"dropout": jax.random.key(5)}
  _, _, other = _repeated(rngs=keys)
  expected = model.apply(weights, images, rngs=keys)
  np.testing.assert_allclose(
    other(images)["output/0"], expected[0], rtol=1e-4, atol=1e-4
  )


class _Drawing(nnx.Module):
  def __init__(self, rngs):
    self.linear = nnx.Linear(3, 4, rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, rngs=rngs)

  def __call__(self, images):
    return self.dropout(self.norm(self.linear(images.mean((1, 2)))))


def test_an_nnx_model_in_training_mode_is_told(caplog):
  model = _Drawing(nnx.Rngs(0))
  network = from_nnx(model, SPEC)
  (said,) = caplog.messages
  assert "training mode in dropout, norm: " in said and "eval()" in said
  # Weights alone are leaves: keys and counts are part of the function.
  floats = {leaf.dtype for leaf in jax.tree.leaves(network.params)}
  assert floats == {jnp.dtype("float32")}
  images = _images(SPEC)
  first = network(images)["output"]
  assert (first == 0).any() and (first != 0).any()
  np.testing.assert_array_equal(first, network(images)["output"])
  caplog.clear()
  model.eval()
  quiet = from_nnx(model, SPEC)
  assert not caplog.messages
  np.testing.assert_allclose(quiet(images)["output"], model(images), rtol=1e-5)


@pytest.fixture
def standard_promotion():
  """What Equinox's batch normalisation is written for."""
  with jax.numpy_dtype_promotion("standard"):
    yield


class _Normalised(eqx.Module):
  norm: eqx.nn.BatchNorm
  inner: list

  def __init__(self, key):
    self.norm = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch")
    self.inner = [eqx.nn.Conv2d(3, 4, 3, key=key), eqx.nn.PReLU(0.5)]

  def __call__(self, image, state):
    x, state = self.norm(self.inner[0](image), state)

    def step(x, _):
      return self.inner[1](x), None

    x, _ = jax.lax.scan(step, x, None, length=2)
    return x.mean((1, 2)), state


@pytest.mark.usefixtures("standard_promotion")
def test_an_equinox_model_with_a_state_and_a_scan(caplog):
  model, state = eqx.nn.make_with_state(_Normalised)(jax.random.key(0))
  train = jax.vmap(
    lambda image: model(image, state),
    axis_name="batch",
    out_axes=(0, None),
  )
  _, state = train(jnp.moveaxis(_images(SPEC, 8), -1, 1))
  model = eqx.nn.inference_mode(model)
  network = from_equinox(model, SPEC, state=state)
  (said,) = caplog.messages
  assert "of the parts inner/1: " in said
  assert dict(network.shapes) == {
    "inner/0": (6, 4, 4),
    "norm": (6, 4, 4),
    "output": (4,),
  }
  images = _images(SPEC)
  expected = jax.vmap(lambda x: model(x, state)[0])(jnp.moveaxis(images, -1, 1))
  np.testing.assert_allclose(
    network(images)["output"], expected, rtol=1e-4, atol=1e-5
  )
