"""A small network of classes, for tests of the toolbox."""

import functools

import numpy as np
import small_networks

from jdeepvis.toolbox.state import House, Layer, State

LABELS = (
  *("tench", "goldfish", "white shark", "tiger shark", "hammerhead"),
  *("ray", "stingray", "cock", "hen", "ostrich"),
)


@functools.cache
def network():
  return small_networks.caffenet()._replace(labels=LABELS)


def house():
  names = ("conv1", "pool1", "conv5", "fc6", "fc8", "prob")
  shapes = network().shapes
  layers = tuple(
    Layer(name, shapes[name], LABELS if shapes[name][-1] == 10 else ())
    for name in names
  )
  return House(layers, images=3, recipes=("default", "none"), has_graph=True)


def state(**fields):
  return State(house=house(), **fields)


def image(seed=0):
  rng = np.random.default_rng(seed)
  return np.float32(rng.normal(0, 50, network().input.shape))
