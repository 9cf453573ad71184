"""What a model is given, against the formulas by which it was trained."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from PIL import Image

import jdeepvis
from jdeepvis.networks import pictures
from jdeepvis.networks.regions import Rectangle
from jdeepvis.networks.weights import Origin, read_network, write_network
from jdeepvis.types import JdeepvisError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def pixels(*shape):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def given(spec, images):
  """What the model sees of pixels."""
  return np.asarray(spec.for_model(np.float32(images) - spec.mean))


def test_pixels_over_255_less_the_mean_over_the_deviation():
  spec = jdeepvis.InputSpec(
    (5, 6, 3), mean=MEAN, deviation=DEVIATION, range=(0, 1)
  )
  images = pixels(2, 5, 6, 3)
  expected = (images / 255 - MEAN) / DEVIATION
  np.testing.assert_allclose(given(spec, images), expected, atol=1e-5)
  same = jdeepvis.InputSpec.imagenet(64)
  np.testing.assert_array_equal(same.mean, spec.mean)
  assert same.deviation == spec.deviation
  assert (same.shape, same.resize, same.rule) == ((64, 64, 3), 73, "shorter")


@pytest.mark.parametrize("bounds", [(0, 1), (-1, 1), (0, 255), (-0.5, 0.5)])
def test_ranges(bounds):
  low, high = bounds
  spec = jdeepvis.InputSpec((4, 4, 1), range=bounds)
  images = pixels(3, 4, 4, 1)
  expected = low + images / 255 * (high - low)
  np.testing.assert_allclose(given(spec, images), expected, atol=1e-4)
  black, white = spec.bounds
  np.testing.assert_allclose(spec.for_model(black[None]), low, atol=1e-4)
  np.testing.assert_allclose(spec.for_model(white[None]), high, atol=1e-4)


def test_blue_first_with_mean_and_deviation_of_red_green_blue():
  spec = jdeepvis.InputSpec(
    (4, 4, 3), MEAN, deviation=DEVIATION, range=(0, 1), bgr=True
  )
  images = pixels(2, 4, 4, 3)
  expected = ((images / 255 - MEAN) / DEVIATION)[..., ::-1]
  np.testing.assert_allclose(given(spec, images), expected, atol=1e-5)


class Model(nn.Module):
  @nn.compact
  def __call__(self, images):
    x = nn.relu(nn.Conv(8, (5, 5), strides=2)(images))
    return nn.Dense(10)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def trained():
  """A model of (x / 255 - 0.1307) / 0.3081, and its network."""
  weights = Model().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
  spec = jdeepvis.InputSpec((28, 28, 1), 0.1307, deviation=0.3081, range=(0, 1))
  return weights, jdeepvis.from_linen(Model(), weights, spec)


def test_a_model_of_normalised_pixels_computes_what_it_was_trained_to(trained):
  weights, network = trained
  picture = np.float32(pixels(2, 28, 28, 1))
  expected = Model().apply(
    weights, (picture / 255 - np.float32(0.1307)) / np.float32(0.3081)
  )
  centred = picture - network.input.mean
  np.testing.assert_allclose(network(centred)["output"], expected, rtol=1e-4)

  @jax.jit
  def several(networks, images):
    return jax.vmap(lambda one: one(images)["output"])(networks)

  stacked = jax.tree.map(lambda *x: jnp.stack(x), network, network)
  assert stacked.input.mean.shape == (2, 1)
  found = several(stacked, centred)
  np.testing.assert_allclose(found, np.stack([expected] * 2), rtol=1e-4)


def test_a_model_in_half_precision_is_given_its_own_numbers(trained):
  _, network = trained
  half = network.replace(
    params=jax.tree.map(lambda x: x.astype(jnp.bfloat16), network.params)
  )
  centred = np.float32(pixels(2, 28, 28, 1)) - network.input.mean
  found = half(centred)["output"]
  assert found.dtype == jnp.bfloat16
  scale = np.abs(network(centred)["output"]).max()
  np.testing.assert_allclose(
    np.float32(found), network(centred)["output"], atol=0.05 * scale
  )


def test_replaced_and_resized_specs_keep_the_scale():
  spec = jdeepvis.InputSpec.imagenet(32)
  larger = spec.of_size((40, 50))
  assert larger.shape == (40, 50, 3) and larger.resize is None
  assert larger.deviation == spec.replace(resize=None).deviation
  images = pixels(1, 40, 50, 3)
  expected = (images / 255 - MEAN) / DEVIATION
  np.testing.assert_allclose(given(larger, images), expected, atol=1e-5)


def test_crops_keep_the_scale():
  network = small_networks.classifier()
  spec = network.input.replace(deviation=(2.0, 3.0, 4.0), bgr=True)
  network = network.replace(input=spec)
  field = jdeepvis.receptive_field(network, "conv2", (3, 2))
  crop = jdeepvis.crop(network, "conv2", (3, 2))
  image = np.float32(pixels(*spec.shape)) - spec.mean
  whole = network(image[None], until="conv2")["conv2"]
  part = crop(image[field.slices][None])["conv2"]
  np.testing.assert_allclose(part[0, 0, 0], whole[0, 3, 2], rtol=1e-4)


@pytest.mark.parametrize("size", [(60, 41), (41, 60), (20, 90)])
def test_the_shorter_side_then_the_centre(size):
  """As torchvision's Resize and CenterCrop, by Pillow."""
  spec = jdeepvis.InputSpec(
    (24, 24, 3), resize=32, rule="shorter", interpolation="bicubic"
  )
  photo = pixels(*size, 3)
  short, long = min(size), max(size)
  resized = [32 if side == short else 32 * long // short for side in size]
  expected = np.asarray(
    Image.fromarray(photo).resize(resized[::-1], Image.Resampling.BICUBIC)
  )
  top, left = ((side - 24) // 2 for side in resized)
  np.testing.assert_array_equal(
    pictures.fit(photo, spec), expected[top : top + 24, left : left + 24]
  )


@pytest.mark.parametrize("resize", [None, 48])
def test_a_place_in_a_photograph_whose_aspect_is_kept(resize):
  spec = jdeepvis.InputSpec((32, 40, 3), resize=resize, rule="shorter")
  photo = np.zeros((300, 500, 3), np.uint8)
  photo[120:180, 200:320] = 255
  rows, columns = np.nonzero(pictures.preprocess(photo, spec)[..., 0] > 127)
  box = Rectangle(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
  found = pictures.in_picture(box, (300, 500), spec)
  assert np.all(np.abs(np.subtract(found, (120, 200, 180, 320))) <= 12)


def test_weight_files_keep_it(squeezenet, tmp_path):
  spec = squeezenet.input.replace(
    deviation=(58.0, 57.0, 56.5), bgr=True, rule="shorter"
  )
  path = tmp_path / "net.safetensors"
  write_network(
    path,
    squeezenet.replace(input=spec),
    architecture=None,
    origin=Origin("here", "0"),
  )
  found = read_network(path).input
  for name in ("shape", "resize", "deviation", "bgr", "rule", "interpolation"):
    assert getattr(found, name) == getattr(spec, name)


@pytest.mark.parametrize(
  "wrong, reported",
  [
    ({"mean": (1, 2)}, "3 channels"),
    ({"deviation": 0}, "positive"),
    ({"deviation": (1, 2)}, "3 channels"),
    ({"mean": MEAN, "deviation": DEVIATION}, r"say range=\(0, 1\)"),
    ({"range": (1, 1)}, r"not \(1, 1\)"),
    ({"range": 1}, r"such as \(0, 1\), not 1"),
    ({"shape": (4, 0, 3)}, r"height, width and channels.*\(4, 0, 3\)"),
    ({"rule": "longer"}, "warp or shorter"),
    ({"interpolation": "area"}, "bicubic"),
  ],
)
def test_what_cannot_be_is_refused(wrong, reported):
  with pytest.raises(JdeepvisError, match=reported):
    jdeepvis.InputSpec(**{"shape": (8, 8, 3), **wrong})
