"""Crops of models without a layer graph, against the whole models."""

import functools

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from crop_checks import differences
from flax import nnx
from small_networks import residual, with_rim

from jdeepvis import from_equinox, from_function, from_linen, from_nnx
from jdeepvis.networks.crop import crop
from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.receptive_field import field_geometry, receptive_field
from jdeepvis.probing.backprop import RULES

SPEC = InputSpec((31, 26, 3), np.zeros(3, np.float32))


def _linen(module):
  variables = module.init(jax.random.key(0), jnp.zeros((1, *SPEC.shape)))
  rng = np.random.default_rng(0)
  noisy = jax.tree.map(
    lambda x: np.float32(x + rng.uniform(0, 0.2, x.shape)), variables
  )
  return from_linen(module, noisy, SPEC, output=None)


class _ResNet(nn.Module):
  @nn.compact
  def __call__(self, x):
    norm = functools.partial(nn.BatchNorm, use_running_average=True)
    x = nn.relu(norm()(nn.Conv(4, (7, 7), 2, name="stem")(x)))
    x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
    y = nn.relu(norm()(nn.Conv(4, (3, 3), 2, feature_group_count=2)(x)))
    x = nn.relu(nn.Conv(4, (1, 1), 2, use_bias=False)(x) + y)
    return nn.LayerNorm(name="end")(nn.gelu(x))


class _Varied(nn.Module):
  """Pads, slices, branches, repeats, dilates, averages, learns per pixel."""

  @nn.compact
  def __call__(self, x):
    n, h, w, c = x.shape
    x = x[:, : h - 1, :, ::-1].reshape(n, h // 2, 2, w // 2, 2, c)
    x = x.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)
    x = x + self.param("place", nn.initializers.normal(), x.shape[1:])[None]
    a = nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)
    b = nn.Conv(4, (3, 3), kernel_dilation=2, padding="VALID")(x)
    b = jnp.pad(b, ((0, 0), (2, 2), (2, 2), (0, 0)), constant_values=0.5)
    x = jnp.concatenate([a, nn.swish(b)], -1)
    x = nn.Dense(6)(x) / (1 + jnp.linalg.norm(x, axis=-1, keepdims=True))
    x = jax.nn.softplus(x)[:, 1::2, 1:-1:3]
    return nn.Conv(4, (2, 3), name="end")(nn.relu6(x))


class _NNX(nnx.Module):
  def __init__(self, rngs):
    conv = functools.partial(nnx.Conv, rngs=rngs)
    self.stem = conv(3, 4, (5, 5), strides=2, padding="VALID")
    self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)
    self.end = conv(4, 6, (3, 3), strides=(1, 2))

  def __call__(self, x):
    return self.end(jax.nn.relu(self.norm(self.stem(x))))


class _Equinox(eqx.Module):
  body: eqx.nn.Sequential
  end: eqx.nn.Conv2d

  def __init__(self, key):
    keys = jax.random.split(key, 3)
    self.body = eqx.nn.Sequential(
      [
        eqx.nn.Conv2d(3, 4, 3, 2, padding=1, key=keys[0]),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.MaxPool2d(3, 2, padding=1),
        eqx.nn.Lambda(jax.nn.silu),
        eqx.nn.AvgPool2d(2, 1),
      ]
    )
    self.end = eqx.nn.Conv2d(4, 5, 3, padding=1, key=keys[1])

  def __call__(self, image):
    return jax.nn.relu(self.end(self.body(image)))


MODELS = {
  "resnet": lambda: _linen(_ResNet()),
  "varied": lambda: _linen(_Varied()),
  "nnx": lambda: from_nnx(_NNX(nnx.Rngs(0)), SPEC, output=None),
  "equinox": lambda: from_equinox(
    _Equinox(jax.random.key(0)), SPEC, output=None
  ),
}


@pytest.mark.parametrize("model", MODELS)
def test_crops_equal_the_whole(model):
  network = MODELS[model]()
  height, width, _ = network.shapes["output"]
  sizes = set()
  for position in [(0, 0), (height // 2, width // 2), (height - 1, width - 1)]:
    sizes.add(receptive_field(network, "output", position).size)
    assert max(differences(network, "output", position)) < 1e-4
  assert SPEC.shape[:2] not in sizes


@pytest.mark.parametrize(
  ("model", "layer", "extent", "stride", "offset"),
  [
    ("resnet", "stem", 7, 2, -2),  # SAME of 31 and 26 pads 3 and 2 before
    ("nnx", "stem", 5, 2, 0),
    ("equinox", "body/layers/0", 3, 2, -1),
    ("equinox", "body/layers/2", 7, 4, -3),
    ("equinox", "end", 19, 4, -7),
  ],
)
def test_geometry_is_that_of_the_windows(model, layer, extent, stride, offset):
  geometry = field_geometry(MODELS[model](), layer)
  assert geometry.extent == (extent, extent)
  assert geometry.stride == (stride, stride)
  assert geometry.offset[1] == offset


@pytest.mark.parametrize("make", [residual, with_rim])
def test_fields_are_those_of_the_same_network_as_a_graph(make):
  graph = make()
  apply = GraphApply(graph.layers, plain=True)
  own = from_function(apply, graph.params, graph.input, output=graph.output)
  for blob in [x.outputs[0] for x in graph.layers][:6]:
    height, width = graph.shapes[blob][:2]
    for position in [(0, 0), (height // 2, width // 2), (0, width - 1)]:
      expected = receptive_field(graph, blob, position)
      assert receptive_field(own, blob, position) == expected
    assert field_geometry(own, blob) == field_geometry(graph, blob)


def test_a_rim_that_sees_nothing_is_cropped_too():
  graph = with_rim()
  apply = GraphApply(graph.layers, plain=True)
  own = from_function(apply, graph.params, graph.input, output=graph.output)
  assert max(differences(own, "rim/pre", (0, 0))) < 1e-4


def test_positions_that_are_padded_alike_share_a_program():
  network = MODELS["resnet"]()
  one, two, corner = (
    crop(network, "stem", at).apply for at in [(5, 5), (6, 8), (0, 0)]
  )
  assert one == two and hash(one) == hash(two) and one != corner


def test_crops_have_both_sides_batches_and_rules():
  network = MODELS["equinox"]()
  position = (1, 2)
  field = receptive_field(network, "output", position)
  seen = crop(network, "output", position)
  images = jax.random.normal(jax.random.key(1), (3, *SPEC.shape)) * 50
  parts = images[:, field.top : field.bottom, field.left : field.right]
  for relu in RULES.values():

    def unit(network, position, relu, images):
      blobs = network(images, until="output", relu=relu)
      assert blobs.keys() == {"output", "output/pre"}
      return blobs["output/pre"][:, *position].sum()

    expected = jax.grad(unit, 3)(network, position, relu, images)
    found = jax.grad(unit, 3)(seen, (0, 0), relu, parts)
    whole = np.zeros_like(images)
    whole[:, field.top : field.bottom, field.left : field.right] = found
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)


def test_crops_of_half_precision_are_those_of_the_whole():
  network = small_networks.own()
  half = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), network.params)
  network = network.replace(params=half)
  field = receptive_field(network, "conv", (3, 4))
  image = np.float32(np.random.default_rng(0).normal(0, 50, (1, 21, 21, 3)))
  seen = crop(network, "conv", (3, 4))
  value = seen(image[:, *field.slices])["conv"][0, 0, 0]
  expected = network(image)["conv"][0, 3, 4]
  assert value.dtype == expected.dtype == jnp.bfloat16
  np.testing.assert_allclose(
    np.float32(value), np.float32(expected), rtol=0.02, atol=0.1
  )


class _Global(nn.Module):
  """Squeeze and excitation: what is local, by what is known of the whole."""

  @nn.compact
  def __call__(self, x):
    x = nn.Conv(4, (3, 3), name="local")(x)
    gate = nn.sigmoid(nn.Dense(4)(x.mean((1, 2), keepdims=True)))
    return nn.Conv(4, (3, 3))(nn.GroupNorm(2)(x * gate))


def test_what_is_taken_of_a_whole_map_sees_the_whole_image():
  network = _linen(_Global())
  assert receptive_field(network, "local", (4, 4)).size == (3, 3)
  assert receptive_field(network, "output", (4, 4)).size == SPEC.shape[:2]
  assert max(differences(network, "output", (4, 4))) < 1e-4


def _scanned(params, images):
  def layer(x, kernel):
    return jax.lax.conv(x, kernel, (1, 1), "SAME"), ()

  first = jnp.moveaxis(images, -1, 1)
  x = jnp.moveaxis(jax.lax.scan(layer, first, params)[0], 1, -1)
  hidden = jax.lax.map(lambda x: jnp.where(x > 0, x, 0), x)
  return {"stack": x, "hidden": hidden}


def test_what_is_not_known_is_measured():
  kernels = jax.random.normal(jax.random.key(0), (2, 3, 3, 3, 3)) / 5
  network = from_function(_scanned, kernels, SPEC, output=None)
  assert receptive_field(network, "stack", (9, 0)) == (7, 0, 12, 3)
  for position in [(9, 0), (15, 12)]:
    assert max(differences(network, "stack", position)) < 1e-4
  # NaN does not come through, so all of the image counts.
  assert receptive_field(network, "hidden", (9, 9)).size == SPEC.shape[:2]


def test_a_blob_that_sees_no_image_has_the_whole_of_it():
  def constant(params, images):
    table = jnp.broadcast_to(params, (len(images), *params.shape))
    return {"table": table, "output": images.mean((1, 2))}

  network = from_function(constant, np.ones((4, 4, 3), "f"), SPEC)
  assert receptive_field(network, "table", (1, 1)).size == SPEC.shape[:2]
