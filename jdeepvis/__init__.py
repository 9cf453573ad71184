"""Deep visualization in JAX: see what the units of a network have learned.

>>> import jax, jdeepvis
>>> network = jdeepvis.load_network("squeezenet1.1")
>>> score = jdeepvis.bind(network, jdeepvis.neuron("output", 130))

Everything public is here, on one screen; it is loaded when first used.
"""

import importlib

from jdeepvis.version import __version__

_HOMES = {
  "jdeepvis.types": ("JdeepvisError",),
  "jdeepvis.networks.alexnet": ("AlexNet", "CaffeNet", "TorchvisionAlexNet"),
  "jdeepvis.networks.network": ("InputSpec", "LayerInfo", "Network"),
  "jdeepvis.networks.pictures": ("preprocess", "read_picture", "to_pixels"),
  "jdeepvis.networks.squeezenet": ("SqueezeNet",),
  "jdeepvis.networks.zoo": ("load_network",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str):
  if name not in _HOME:
    raise AttributeError(f"module 'jdeepvis' has no attribute {name!r}")
  return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
  return __all__
