"""A small network of classes, for tests of the toolbox."""

import functools

import numpy as np
from small_networks import random_network

from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.tables import conv, layer, max_pool
from jdeepvis.toolbox.state import Catalogue, Layer, State

LABELS = (
  *("tench", "goldfish", "white shark", "tiger shark", "hammerhead"),
  *("ray", "stingray", "cock", "hen", "ostrich"),
)


@functools.cache
def network():
  table = (
    *conv("conv1", "data", 4, 5, stride=2),
    *max_pool("pool1", "conv1"),
    *conv("conv4", "pool1", 6, 3, pad=1),
    *conv("conv5", "conv4", 12, 3, pad=1),
    *max_pool("pool5", "conv5"),
    *layer("fc6/pre", "inner_product", "pool5", features=20),
    *layer("fc6", "relu", "fc6/pre"),
    *layer("fc8", "inner_product", "fc6", features=10),
  )
  mean = np.float32([123, 117, 104])
  made = random_network(table, (55, 55, 3), mean=mean)
  table = (*table, *layer("prob", "softmax", "fc8"))
  return made.replace(apply=GraphApply(table), layers=table, labels=LABELS)


def catalogue():
  names = ("conv1", "pool1", "conv5", "fc6", "fc8", "prob")
  shapes = network().shapes
  layers = tuple(
    Layer(name, shapes[name], LABELS if shapes[name][-1] == 10 else ())
    for name in names
  )
  return Catalogue(
    layers,
    images=3,
    recipes=("default", "none"),
    has_graph=True,
    has_classes=True,
  )


def state(**fields):
  return State(catalogue=catalogue(), **fields)


def image(seed=0):
  rng = np.random.default_rng(seed)
  return np.float32(rng.normal(0, 50, network().input.shape))
