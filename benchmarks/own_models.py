"""A gradient through `Network` against the framework's own, model by model.

Linen, NNX, Equinox, and Keras where it is installed, each with the same small
residual network; the gradient of a class score with respect to four images.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import numpy as np
from flax import nnx

import jdeepvis
from benchmarks.timing import interleave

_ROUNDS = 9
_SIDE, _CHANNELS, _BLOCKS, _IMAGES = 96, 48, 4, 4
_SPEC = jdeepvis.InputSpec((_SIDE, _SIDE, 3), np.zeros(3, np.float32))


def rows() -> Iterator[list[str]]:
  """One row a framework."""
  frameworks = {"Linen": _linen, "NNX": _nnx, "Equinox": _equinox}
  if importlib.util.find_spec("keras"):
    frameworks["Keras"] = _keras
  for name, make in frameworks.items():
    yield _row(name, *make())


def _row(name: str, network: jdeepvis.Network, own: Callable) -> list[str]:
  noise = np.random.default_rng(0).normal(0, 50, (_IMAGES, *_SPEC.shape))
  images = noise.astype(np.float32)
  theirs = _gradient(own)
  ours = jax.jit(
    lambda network, x: jax.grad(lambda x: _score(network(x)["output"]))(x)
  )
  seconds = interleave(
    {"ours": lambda: ours(network, images), "theirs": lambda: theirs(images)},
    rounds=_ROUNDS,
  )
  np.testing.assert_allclose(
    ours(network, images), theirs(images), rtol=1e-3, atol=1e-6
  )
  mine, other = seconds["ours"], seconds["theirs"]
  return [
    f"gradient of a {name} model",
    f"{1e3 * mine:.1f} ms",
    f"{1e3 * other:.1f} ms, its own",
    f"{mine / other:.2f}",
    "at most 1.2",
  ]


def _score(scores: jax.Array) -> jax.Array:
  return scores[:, 3].sum()


def _gradient(model: Callable[[Any], jax.Array]) -> Callable:
  return jax.jit(jax.grad(lambda images: _score(model(images))))


class _Linen(nn.Module):
  @nn.compact
  def __call__(self, images):
    x = nn.relu(nn.Conv(_CHANNELS, (7, 7), strides=2)(images))
    for _ in range(_BLOCKS):
      y = nn.relu(nn.Conv(_CHANNELS, (3, 3))(x))
      x = nn.relu(x + nn.Conv(_CHANNELS, (3, 3))(y))
    return nn.Dense(10)(x.mean((1, 2)))


def _linen():
  model = _Linen()
  weights = model.init(jax.random.key(0), np.zeros((1, *_SPEC.shape), "f"))
  network = jdeepvis.from_linen(model, weights, _SPEC)
  return network, lambda images: model.apply(weights, images)


class _NNX(nnx.Module):
  def __init__(self, rngs: nnx.Rngs):
    wide = {"kernel_size": (3, 3), "rngs": rngs}
    self.stem = nnx.Conv(3, _CHANNELS, (7, 7), strides=2, rngs=rngs)
    self.blocks = nnx.List(
      nnx.Conv(_CHANNELS, _CHANNELS, **wide) for _ in range(2 * _BLOCKS)
    )
    self.scores = nnx.Linear(_CHANNELS, 10, rngs=rngs)

  def __call__(self, images):
    x = nnx.relu(self.stem(images))
    for first in range(0, 2 * _BLOCKS, 2):
      y = nnx.relu(self.blocks[first](x))
      x = nnx.relu(x + self.blocks[first + 1](y))
    return self.scores(x.mean((1, 2)))


def _nnx():
  model = _NNX(nnx.Rngs(0))
  return jdeepvis.from_nnx(model, _SPEC), model


class _Equinox(eqx.Module):
  stem: eqx.nn.Conv2d
  blocks: list
  scores: eqx.nn.Linear

  def __init__(self, key):
    keys = jax.random.split(key, 2 * _BLOCKS + 2)
    self.stem = eqx.nn.Conv2d(3, _CHANNELS, 7, 2, padding=3, key=keys[0])
    self.blocks = [
      eqx.nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1, key=key)
      for key in keys[2:]
    ]
    self.scores = eqx.nn.Linear(_CHANNELS, 10, key=keys[1])

  def __call__(self, image):
    x = jax.nn.relu(self.stem(image))
    for first in range(0, 2 * _BLOCKS, 2):
      y = jax.nn.relu(self.blocks[first](x))
      x = jax.nn.relu(x + self.blocks[first + 1](y))
    return self.scores(x.mean((1, 2)))


def _equinox():
  model = _Equinox(jax.random.key(0))
  own = jax.vmap(model)
  network = jdeepvis.from_equinox(model, _SPEC)
  return network, lambda images: own(images.transpose(0, 3, 1, 2))


def _keras():
  os.environ.setdefault("KERAS_BACKEND", "jax")
  import keras

  layers = keras.layers
  images = x = keras.Input(_SPEC.shape)
  x = layers.Conv2D(_CHANNELS, 7, 2, "same", activation="relu")(x)
  for _ in range(_BLOCKS):
    y = layers.Conv2D(_CHANNELS, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(_CHANNELS, 3, padding="same")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
  x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
  model = keras.Model(images, x)
  return jdeepvis.from_keras(model, _SPEC), model
