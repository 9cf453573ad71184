import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_networks import (
  branching,
  caffenet,
  padded_average,
  residual,
  squeezenet,
  with_rim,
)

from jdeepvis.networks.graph import infer_shapes
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.own import from_function
from jdeepvis.networks.receptive_field import (
  Rectangle,
  field_geometry,
  numerical_receptive_field,
  receptive_field,
)
from jdeepvis.types import JdeepvisError

SMALL = [branching, residual, padded_average, squeezenet]


@pytest.mark.parametrize(
  ("layer", "extent", "stride", "offset"),
  [
    ("conv1", 11, 4, 0),
    ("pool1", 19, 8, 0),
    ("conv2", 51, 8, -16),
    ("pool2", 67, 16, -16),
    ("conv3", 99, 16, -32),
    ("conv4", 131, 16, -48),
    ("conv5", 163, 16, -64),
    ("pool5", 195, 32, -64),
  ],
)
def test_caffenet_has_the_published_fields(layer, extent, stride, offset):
  network = caffenet()
  geometry = field_geometry(network, layer)
  assert geometry == ((extent,) * 2, (stride,) * 2, (offset,) * 2)
  if layer != "pool5":
    assert receptive_field(network, layer).size == (extent, extent)


@pytest.mark.parametrize("layer", ["fc6", "fc8", "prob", "output"])
def test_caffenets_vectors_see_everything(layer):
  assert receptive_field(caffenet(), layer) == (0, 0, 227, 227)


def test_caffenet_border_follows_the_original_chain():
  """The formula of find_maxes, written out for one axis of conv5."""
  network = caffenet()
  chain = [(13, 1, 3, 1)] * 3 + [(13, 2, 3, 0), (27, 1, 5, 2)]
  chain += [(27, 2, 3, 0), (55, 4, 11, 0)]
  for unit in (0, 1, 6, 11, 12):
    start, end = unit, unit + 1
    for size, stride, kernel, pad in chain:
      start, end = max(start, 0), min(end, size)
      start, end = start * stride - pad, (end - 1) * stride + kernel - pad
    expected = max(start, 0), min(end, 227)
    field = receptive_field(network, "conv5", (unit, 6))
    assert (field.top, field.bottom) == expected


@pytest.mark.parametrize("make", SMALL)
def test_measured_field_is_the_derived_one(make):
  network = make()
  layer = network.layers[-1].outputs[0]
  height, width = network.shapes[layer][:2]
  for position in [None, (0, 0), (height - 1, 0), (height // 2, width - 1)]:
    measured = numerical_receptive_field(network, layer, position)
    assert measured == receptive_field(network, layer, position)


@pytest.mark.parametrize("make", [branching, residual, padded_average])
def test_field_is_the_support_of_the_gradient(make):
  """With the ReLU left out no path can vanish."""
  network = make()
  layer = network.layers[-1].outputs[0]
  height, width = network.shapes[layer][:2]
  for position in [(0, 0), (height // 2, width // 2), (height - 1, width - 1)]:

    @jax.jit
    @jax.grad
    def gradient(image, position=position):
      blobs = network(image[None], relu=lambda x: x)
      return blobs[layer][(0, *position)].sum()

    support = np.zeros(network.input.shape[:2], bool)
    for key in jax.random.split(jax.random.key(0), 20):
      # Pooling lets one cell through: which one, depends on the image.
      image = jax.random.normal(key, network.input.shape) * 50
      support |= np.any(np.asarray(gradient(image)) != 0, axis=-1)
    rows, columns = np.nonzero(support.any(1))[0], np.nonzero(support.any(0))[0]
    found = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    assert found == receptive_field(network, layer, position)


def test_a_rim_sees_one_pixel_for_want_of_any():
  network = with_rim()
  assert receptive_field(network, "rim/pre", (0, 0)) == (0, 0, 3, 3)
  gradient = jax.grad(lambda image: network(image)["rim/pre"][0, 0, 0].sum())(
    jnp.ones((1, *network.input.shape))
  )
  assert not jnp.any(gradient)
  with pytest.raises(JdeepvisError, match="does not show"):
    numerical_receptive_field(network, "rim/pre", (0, 0))
  centre = numerical_receptive_field(network, "rim/pre")
  assert centre == receptive_field(network, "rim/pre") == (3, 3, 6, 6)


def test_own_models_are_measured_as_they_are_traced():
  def blur(params, images):
    out = jax.lax.reduce_window(
      images, 0.0, jax.lax.add, (1, 3, 5, 1), (1, 2, 1, 1), "VALID"
    )
    return {"blur": out, "off": jax.nn.relu(-jnp.abs(out))}

  spec = InputSpec((9, 12, 1), np.zeros(1, np.float32))
  network = from_function(blur, {}, spec, output="blur")
  for layer in ("blur", "off"):
    assert receptive_field(network, layer, (1, 2)) == (2, 2, 5, 7)
    assert numerical_receptive_field(network, layer, (1, 2)) == (2, 2, 5, 7)
  assert field_geometry(network, "blur") == ((3, 5), (2, 1), (0, 0))


def test_what_hides_nan_is_reported():
  def hidden(params, images):
    return {"where": jnp.where(images > 0, images, 0.0)}

  spec = InputSpec((4, 4, 1), np.zeros(1, np.float32))
  network = from_function(hidden, {}, spec, output="where")
  with pytest.raises(JdeepvisError, match="does not show"):
    numerical_receptive_field(network, "where")
  assert receptive_field(network, "where", (1, 2)) == (1, 2, 2, 3)


def test_positions_and_layers_that_are_not_there():
  network = branching()
  with pytest.raises(JdeepvisError, match=r"positions, so \(99, 0\)"):
    receptive_field(network, "concat", (99, 0))
  with pytest.raises(JdeepvisError, match="no layer 'conct'; nearest"):
    receptive_field(network, "conct")


def test_rectangles():
  whole = Rectangle(0, 0, 4, 6)
  assert Rectangle(-2, 3, 2, 9).clip(whole) == (0, 3, 2, 6)
  assert Rectangle(-2, 7, -1, 9).clip(whole) == (0, 5, 1, 6)
  assert Rectangle(0, 1, 2, 3).union(Rectangle(1, 0, 3, 2)) == (0, 0, 3, 3)
  array = np.arange(24).reshape(4, 6)
  assert array[Rectangle(1, 2, 3, 5).slices].shape == (2, 3)


def test_shapes_are_those_of_the_run():
  network = padded_average()
  inferred = infer_shapes(network.layers, network.input.shape).blobs
  assert inferred == network.shapes
