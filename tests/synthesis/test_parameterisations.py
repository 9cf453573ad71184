"""Decoders against NumPy's transforms and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import assembly, batch, parameterisations
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.synthesis.recipes import make_recipe

SPEC = InputSpec((20, 27, 3), np.float32([123, 117, 104]))


@pytest.fixture
def image():
  """Structure of some frequencies, well within the box."""
  noise = np.random.default_rng(0).normal(0, 25, SPEC.shape)
  return np.clip(noise, -100, 100).astype(np.float32)


@pytest.mark.parametrize("name", ["pixels", "fourier"])
def test_what_is_encoded_decodes_to_itself(name, image):
  decoder = parameterisations.PARAMETERISATIONS[name](SPEC)
  again = decoder.decode(decoder.encode(image))
  np.testing.assert_allclose(again, image, atol=0.05)


@pytest.mark.parametrize("shape", [(20, 27, 3), (9, 8, 1), (7, 7, 3)])
@pytest.mark.parametrize("name", ["fourier", "maco"])
def test_anything_decodes_into_the_box(name, shape):
  spec = InputSpec(shape, np.full(shape[-1], 110, np.float32))
  decoder = parameterisations.PARAMETERISATIONS[name](spec)
  parameters = decoder.encode(jnp.zeros(shape).at[3, 2].set(40.0))
  wild = 50 * jax.random.normal(jax.random.key(0), parameters.shape)
  decoded = decoder.decode(wild)
  assert decoded.shape == shape
  assert np.all(decoded >= -110) and np.all(decoded <= 145)
  assert np.std(decoded) > 20


def test_nothing_is_the_mean_colour():
  decoder = parameterisations.fourier(SPEC)
  nothing = jnp.zeros(decoder.encode(jnp.zeros(SPEC.shape)).shape)
  np.testing.assert_allclose(decoder.decode(nothing), 0, atol=1e-4)


def test_unit_coefficients_have_a_photographs_contrast_and_slope():
  spec = InputSpec((128, 128, 3), np.full(3, 127.5, np.float32))
  parts = jax.random.normal(jax.random.key(0), (2, 128, 65, 3))
  grey = np.mean(parameterisations.fourier(spec).decode(parts), axis=-1)
  assert 25 < np.std(grey) < 75
  power = np.abs(np.fft.fft2(grey)) ** 2
  frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(128)] * 2))
  rings = [(0.02, 0.04), (0.32, 0.48)]
  low, high = (
    np.mean(power[(frequency > a) & (frequency < b)]) for a, b in rings
  )
  middle = np.log(0.4 / 0.03)
  # Power falls with the square of the frequency; the sigmoid bends it a bit.
  assert np.log(low / high) / middle == pytest.approx(2, abs=0.3)


def test_maco_moves_phases_alone():
  spec = InputSpec((32, 32, 1), np.full(1, 127.5, np.float32))
  decoder = parameterisations.maco(spec)
  for seed in (0, 1):
    phases = jax.random.uniform(jax.random.key(seed), (32, 17, 1), maxval=6.0)
    share = (np.asarray(decoder.decode(phases))[..., 0] + 127.5) / 255
    logits = np.log(share / (1 - share))
    spectrum = np.abs(np.fft.rfft2(logits))
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.rfftfreq(32))
    inner = (slice(1, 16), slice(1, 16))
    law = spectrum[inner] * frequency[inner]
    np.testing.assert_allclose(law, np.mean(law), rtol=1e-2)


def test_maco_keeps_an_images_phases(image):
  decoder = parameterisations.maco(SPEC)
  phases = np.asarray(decoder.encode(image))
  again = np.asarray(decoder.encode(decoder.decode(phases)))
  turn = np.exp(1j * (again - phases))[1:9, 1:13]
  np.testing.assert_allclose(turn, 1, atol=0.05)


@pytest.mark.parametrize("name", ["fourier", "maco"])
def test_gradients_are_those_of_finite_differences(name):
  spec = InputSpec((6, 5, 3), np.full(3, 110, np.float32))
  decoder = parameterisations.PARAMETERISATIONS[name](spec)
  target = np.random.default_rng(1).normal(0, 1, spec.shape)
  start = jax.random.normal(jax.random.key(0), spec.shape) * 30
  parameters = np.asarray(decoder.encode(start))

  def loss(parameters):
    return jnp.mean(decoder.decode(parameters) * target)

  way = np.random.default_rng(2).normal(0, 1, parameters.shape)
  way = np.float32(way)
  slope = np.vdot(jax.grad(loss)(parameters), way)
  step = 1e-2
  change = loss(parameters + step * way) - loss(parameters - step * way)
  assert slope == pytest.approx(float(change) / (2 * step), rel=0.02)


@pytest.mark.parametrize("name", ["fourier", "maco"])
def test_recipes_ascend_and_hand_out_images(name):
  network = small_networks.classifier()
  made, spec = recipe(name).replace(steps=24), network.input
  objective = assembly.unit_objective(made, "output", 2)
  start = initial_image(jax.random.key(0), spec)
  ascents = [batch.Ascent(objective, made, jax.random.key(1), start)] * 2
  *_, progress = batch.ascend_batch(network, ascents, batch=2)
  scores = progress.history["score"][0]
  assert np.mean(scores[-6:]) > np.mean(scores[:6])
  alone, history = ascend(
    jax.random.fold_in(jax.random.key(1), 1),
    assembly.augmented(made, jdeepvis.bind(network, objective), spec),
    assembly.optimizer(made, spec),
    assembly.encode(made, start, spec),
    steps=2,
  )
  image = assembly.decode(made, alone.last.image, spec)
  assert image.shape == spec.shape
  np.testing.assert_allclose(history["score"], scores[:2], rtol=1e-3)


def test_adam_is_optax_adam():
  made = make_recipe(optax.adam, 0.1, parameterisation="maco")
  chain = assembly.optimizer(made, SPEC)
  phases = jnp.ones((20, 14, 3))
  grad = jax.random.normal(jax.random.key(0), phases.shape)
  adam = optax.adam(0.1)
  with jax.numpy_dtype_promotion("standard"):
    updates, _ = chain.update(
      grad, chain.init(phases), phases, grad=grad, value=0.0, step=0
    )
    expected, _ = adam.update(grad, adam.init(phases), phases)
  np.testing.assert_allclose(updates, expected, rtol=1e-6)


def test_an_unknown_parameterisation_is_refused():
  with pytest.raises(jdeepvis.JdeepvisError, match=r"furrier.*fourier"):
    recipe("default").replace(parameterisation="furrier")
