"""Deep visualization in JAX: see what the units of a network have learned.

>>> import jdeepvis
>>> network = jdeepvis.load_network("googlenet")
>>> picture = jdeepvis.render(network, "flamingo")

All that is public is on this one screen; it is loaded when first used.
"""

import importlib

from jdeepvis.version import __version__

_HOMES = {
  "jdeepvis.display.atlas": ("open_atlas",),
  "jdeepvis.networks.classify": ("probabilities",),
  "jdeepvis.networks.crop": ("crop",),
  "jdeepvis.networks.input_spec": ("InputSpec",),
  "jdeepvis.networks.network": ("Network",),
  "jdeepvis.networks.own": ("from_function",),
  "jdeepvis.networks.own_equinox": ("from_equinox",),
  "jdeepvis.networks.own_keras": ("from_keras",),
  "jdeepvis.networks.own_linen": ("from_linen",),
  "jdeepvis.networks.own_nnx": ("from_nnx",),
  "jdeepvis.networks.pictures": ("preprocess", "read_picture", "to_pixels"),
  "jdeepvis.networks.preflight.check": ("check",),
  "jdeepvis.networks.receptive_field": ("receptive_field",),
  "jdeepvis.networks.zoo": ("load_network",),
  "jdeepvis.probing.backprop": ("backward", "saliency"),
  "jdeepvis.probing.occlusion": ("occlude",),
  "jdeepvis.runs.renders": ("write_folder",),
  "jdeepvis.synthesis.adversarial": ("gradient_sign", "smallest_change"),
  "jdeepvis.synthesis.ascend": ("ascend",),
  "jdeepvis.synthesis.assembly": (
    "augmented",
    "decode",
    "encode",
    "optimizer",
  ),
  "jdeepvis.synthesis.dream": ("dream",),
  "jdeepvis.synthesis.fooling": ("fool",),
  "jdeepvis.synthesis.initial": ("initial_image",),
  "jdeepvis.synthesis.inversion": ("invert",),
  "jdeepvis.synthesis.named_recipes": ("recipe",),
  "jdeepvis.synthesis.objective": ("as_objective",),
  "jdeepvis.synthesis.objectives": (
    "channel",
    "direction",
    "layer_mean_square",
    "log_probability",
    "neuron",
  ),
  "jdeepvis.synthesis.parameterisations": ("Parameterisation",),
  "jdeepvis.synthesis.recipes": ("Recipe", "make_recipe"),
  "jdeepvis.evaluation.choices": ("two_choices",),
  "jdeepvis.evaluation.facets": ("facets",),
  "jdeepvis.evaluation.faithfulness": ("faithfulness",),
  "jdeepvis.evaluation.perception": ("perceptual_features",),
  "jdeepvis.evaluation.recognisability": ("recognisability",),
  "jdeepvis.synthesis.picture": ("Picture",),
  "jdeepvis.synthesis.render": ("render", "render_many"),
  "jdeepvis.synthesis.score": ("bind",),
  "jdeepvis.synthesis.transforms": ("precondition", "project"),
  "jdeepvis.types": ("JdeepvisError",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str):
  if name not in _HOME:
    raise AttributeError(f"module 'jdeepvis' has no attribute {name!r}")
  return getattr(importlib.import_module(_HOME[name]), name)


def __dir__():
  return __all__
