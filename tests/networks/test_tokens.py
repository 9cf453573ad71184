"""Token blobs as maps, against the model's own tokens."""

import re

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks.tokens import as_maps, find_token, shapes_as_maps
from jdeepvis.probing import top_patches
from jdeepvis.probing.patches import to_position
from jdeepvis.synthesis.requests import requests
from jdeepvis.toolbox.engine import Engine, Program, Start
from jdeepvis.types import JdeepvisError

SPEC = jdeepvis.InputSpec.imagenet(16)


@pytest.mark.parametrize(
  "count, size, grid, extra",
  [
    (196, (224, 224), (14, 14), 0),
    (197, (224, 224), (14, 14), 1),
    (198, (224, 224), (14, 14), 2),
    (261, (224, 224), (16, 16), 5),
    (50, (224, 224), (7, 7), 1),
    (6, (32, 48), (2, 3), 0),
    (7, (32, 48), (2, 3), 1),
    (77, (224, 224), (1, 77), 0),
    (1, (224, 224), (1, 1), 0),
    (12, (224, 224), (1, 12), 0),
  ],
)
def test_tokens_that_are_patches_form_a_grid(count, size, grid, extra):
  values = np.random.default_rng(0).normal(size=(2, count, 5))
  found = as_maps({"block": values, "block/pre": values - 1}, size)
  patches = values[:, extra:].reshape(2, *grid, 5)
  np.testing.assert_array_equal(found["block"], patches)
  np.testing.assert_array_equal(found["block/pre"], patches - 1)
  names = ["cls", *(f"token{i}" for i in range(1, extra))][:extra]
  for i, name in enumerate(names):
    np.testing.assert_array_equal(found[f"block/{name}"], values[:, i])
    np.testing.assert_array_equal(found[f"block/{name}/pre"], values[:, i] - 1)
  assert len(found) == 2 + 2 * extra
  shapes = {"block": (count, 5), "block/pre": (count, 5)}
  assert shapes_as_maps(shapes, size) == {
    name: value.shape[1:] for name, value in found.items()
  }


def test_a_part_that_is_called_cls_stays_itself():
  blobs = {"head": np.ones((1, 5, 3)), "head/cls": np.zeros((1, 7))}
  found = as_maps(blobs, (16, 16))
  assert found["head/cls"].shape == (1, 7)
  assert found["head"].shape == (1, 1, 5, 3)


class Transformer(nn.Module):
  """Patches of 4 x 4, a class token, one block."""

  @nn.compact
  def __call__(self, images):
    x = nn.Conv(8, (4, 4), (4, 4), name="patches")(images)
    x = x.reshape(len(x), -1, 8)
    cls = self.param("cls", nn.initializers.normal(1.0), (1, 1, 8))
    x = jnp.concatenate([jnp.tile(cls, (len(x), 1, 1)), x], axis=1)
    y = nn.MultiHeadDotProductAttention(2, name="attention")(
      nn.LayerNorm(name="norm")(x)
    )
    x = nn.Dense(8, name="mlp")(x + y)
    return nn.Dense(5, name="head")(x[:, 0])


@pytest.fixture(scope="module")
def linen():
  model = Transformer()
  weights = model.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  return model, weights, jdeepvis.from_linen(model, weights, SPEC)


def images(count=2):
  random = np.random.default_rng(1)
  pixels = random.uniform(0, 255, (count, *SPEC.shape)).astype("f")
  return pixels - SPEC.mean


def test_a_transformers_tokens_are_the_models_own(linen):
  model, weights, network = linen
  pixels = (images() + SPEC.mean) / 255
  seen = (pixels - np.float32([0.485, 0.456, 0.406])) / np.float32(
    [0.229, 0.224, 0.225]
  )
  scores, recorded = model.apply(weights, seen, capture_intermediates=True)
  (tokens,) = recorded["intermediates"]["mlp"]["__call__"]
  blobs = network(images())
  np.testing.assert_allclose(blobs["output"], scores, atol=1e-4)
  np.testing.assert_allclose(blobs["mlp/cls"], tokens[:, 0], atol=1e-4)
  patches = tokens[:, 1:].reshape(2, 4, 4, 8)
  np.testing.assert_allclose(blobs["mlp"], patches, atol=1e-4)
  order = list(network.shapes)
  assert order.index("patches") < order.index("norm") < order.index("mlp")
  assert order[-1] == "output"
  alone = network(images(), until="mlp/cls")
  np.testing.assert_allclose(alone["mlp/cls"], tokens[:, 0], atol=1e-4)


def test_targets_name_tokens(linen):
  _, _, network = linen

  def places(target):
    return [(x.layer, x.position) for x in requests(network, target)]

  assert places("mlp:3@cls") == places("mlp:3@0") == [("mlp/cls", None)]
  assert places("mlp/cls:3") == [("mlp/cls", None)]
  assert places("mlp:3@1") == [("mlp", (0, 0))]
  assert places("mlp:3@7") == places("mlp:3@1,2") == [("mlp", (1, 2))]
  with pytest.raises(JdeepvisError, match="tokens 0 to 16, so not 17"):
    places("mlp:3@17")
  with pytest.raises(JdeepvisError, match="'patches' has no class token"):
    places("patches:3@cls")
  with pytest.raises(JdeepvisError, match="4 x 4 positions"):
    places("mlp:3@4,0")
  assert find_token(network.shapes, "patches", "5") == ("patches", (1, 1))


def test_a_tokens_unit_has_a_picture_and_a_gradient_of_its_own(linen):
  model, weights, network = linen
  picture = jdeepvis.render(
    network,
    "mlp:3@cls",
    jdeepvis.recipe("small").replace(steps=3),
    progress=False,
  )
  written = np.float32(picture.pixels)[None] - network.input.mean
  seen = np.asarray(network.input.for_model(written))
  _, recorded = model.apply(weights, seen, capture_intermediates=True)
  (tokens,) = recorded["intermediates"]["mlp"]["__call__"]
  assert picture.activation == pytest.approx(tokens[0, 0, 3].item(), rel=1e-3)

  def unit(image):
    bound = jdeepvis.bind(network, jdeepvis.neuron("mlp", 2, (1, 3)))
    return bound(None, image)[0]

  def own(image):
    seen = network.input.for_model(image[None])
    _, recorded = model.apply(weights, seen, capture_intermediates=True)
    return recorded["intermediates"]["mlp"]["__call__"][0][0, 1 + 4 + 3, 2]

  image = jnp.asarray(images(1)[0])
  np.testing.assert_allclose(
    jax.grad(unit)(image), jax.grad(own)(image), rtol=1e-3, atol=1e-6
  )


def test_probing_reads_tokens_by_position(linen):
  """The largest value of a unit over patches, and where it is."""
  _, _, network = linen
  pictures = images(5)
  blobs = network(pictures)
  survey = jax.jit(top_patches.look, static_argnums=1)(
    network,
    ("mlp", "mlp/cls"),
    top_patches.begin(16, 2),
    pictures,
    np.arange(5),
  )
  values = np.asarray(blobs["mlp"])[..., 3].reshape(5, -1)
  best = int(values.max(axis=1).argmax())
  assert survey.top.image[3, 0] == best
  cell = int(survey.top.cell[3, 0])
  position = to_position(network.shapes["mlp"], cell)
  assert blobs["mlp"][best, *position, 3] == pytest.approx(values.max())
  cls = np.asarray(blobs["mlp/cls"])[:, 3]
  assert survey.top.image[8 + 3, 0] == cls.argmax()


class EquinoxTransformer(eqx.Module):
  """Layers in lists and under `vmap`, as Equinox's vision transformers have."""

  patches: eqx.nn.Conv2d
  cls: jax.Array
  norms: list[eqx.nn.LayerNorm]
  attention: list[eqx.nn.MultiheadAttention]
  dropout: eqx.nn.Dropout
  head: eqx.nn.Linear

  def __init__(self, key):
    keys = jax.random.split(key, 5)
    self.patches = eqx.nn.Conv2d(3, 8, 4, 4, key=keys[0])
    self.cls = jax.random.normal(keys[1], (1, 8))
    self.norms = [eqx.nn.LayerNorm(8) for _ in range(2)]
    self.attention = [
      eqx.nn.MultiheadAttention(2, 8, key=key) for key in keys[2:4]
    ]
    self.dropout = eqx.nn.Dropout(0.5)
    self.head = eqx.nn.Linear(8, 5, key=keys[4])

  def __call__(self, image, key):
    x = self.patches(image).reshape(8, -1).T
    x = jnp.concatenate([self.cls, x])
    for norm, attention in zip(self.norms, self.attention, strict=True):
      y = jax.vmap(norm)(x)
      x = x + self.dropout(attention(y, y, y), key=key)
    return self.head(x[0])


def test_an_equinox_transformer_as_it_is():
  model = EquinoxTransformer(jax.random.key(0))
  evaluated = eqx.nn.inference_mode(model)
  network = jdeepvis.from_equinox(evaluated, SPEC)
  shapes = network.shapes
  assert shapes["norms/0"] == (4, 4, 8) and shapes["norms/1/cls"] == (8,)
  assert shapes["attention/1"] == (4, 4, 8)
  seen = jnp.moveaxis(network.input.for_model(images()), -1, 1)
  expected = jax.vmap(lambda x: evaluated(x, None))(seen)
  blobs = jax.jit(lambda network, images: network(images))(network, images())
  np.testing.assert_allclose(blobs["output"], expected, rtol=1e-4, atol=1e-5)
  patches = jax.vmap(model.patches)(seen)
  tokens = jnp.moveaxis(patches, 1, -1)
  np.testing.assert_allclose(
    blobs["norms/0"],
    jax.nn.standardize(tokens, axis=-1, epsilon=1e-5),
    rtol=1e-3,
    atol=1e-4,
  )
  again = jdeepvis.from_equinox(evaluated, SPEC)
  assert jax.tree.structure(again) == jax.tree.structure(network)


def test_an_equinox_model_that_draws_does_so_alike(caplog):
  model = EquinoxTransformer(jax.random.key(0))
  network = jdeepvis.from_equinox(model, SPEC)
  assert re.search("training mode in .*dropout: ", caplog.text)
  first = network(images())["dropout"]
  assert (first == 0).any()
  np.testing.assert_array_equal(first, network(images())["dropout"])
  other = jdeepvis.from_equinox(model, SPEC, rngs=jax.random.key(7))
  assert (other(images())["dropout"] != first).any()


def test_the_toolbox_shows_tokens_as_maps(linen):
  _, _, network = linen
  engine = Engine(network)
  image = images(1)[0]
  answer = engine.look(
    image,
    Program("mlp", labels=True, rule="gradient", origin="mlp/cls"),
    Start(unit=3, cell=0, whole=False),
  )
  blobs = network(image[None])
  np.testing.assert_allclose(answer.values, blobs["mlp"][0], atol=1e-5)
  assert answer.signal.shape == SPEC.shape and np.any(answer.signal)
