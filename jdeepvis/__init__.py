"""Deep visualization in JAX: see what the units of a network have learned.

>>> import jax
>>> import jdeepvis
>>> network = jdeepvis.load_network("squeezenet1.1")
>>> recipe = jdeepvis.find_recipe("default")
>>> flamingo = jdeepvis.objective(recipe, "output", 130)
>>> score = jdeepvis.bind(network, flamingo)
>>> picture = jdeepvis.render(
...   jdeepvis.with_views(recipe, score, network.input),
...   jdeepvis.transform(recipe, network.input),
...   jdeepvis.start(jax.random.key(0), network.input),
...   key=jax.random.key(1),
...   steps=recipe.steps,
... )

All that is public is on this one screen; it is loaded when first used.
"""

import importlib

from jdeepvis.version import __version__

_HOMES = {
  "jdeepvis.display.filters": ("FILTERS",),
  "jdeepvis.evolution.archive": ("Archive", "empty_archive"),
  "jdeepvis.evolution.cppn": ("Cppn",),
  "jdeepvis.evolution.direct": ("Direct",),
  "jdeepvis.evolution.map_elites": ("chances", "evolve", "map_elites"),
  "jdeepvis.networks.alexnet": ("AlexNet", "CaffeNet", "TorchvisionAlexNet"),
  "jdeepvis.networks.cells": ("Rectangle",),
  "jdeepvis.networks.classify": ("activations", "probabilities"),
  "jdeepvis.networks.crop": ("crop",),
  "jdeepvis.networks.graph": ("with_precision",),
  "jdeepvis.networks.kinds": ("KINDS", "Kind"),
  "jdeepvis.networks.network": ("InputSpec", "LayerInfo", "Network"),
  "jdeepvis.networks.operations": ("count_operations",),
  "jdeepvis.networks.own": (
    "from_equinox",
    "from_function",
    "from_linen",
    "from_nnx",
  ),
  "jdeepvis.networks.pictures": ("preprocess", "read_picture", "to_pixels"),
  "jdeepvis.networks.preflight.check": ("check",),
  "jdeepvis.networks.preflight.finding": ("Finding",),
  "jdeepvis.networks.receptive_field": (
    "field_geometry",
    "numerical_receptive_field",
    "receptive_field",
  ),
  "jdeepvis.networks.squeezenet": ("SqueezeNet",),
  "jdeepvis.networks.zoo": ("load_network",),
  "jdeepvis.probing.backprop": (
    "backward",
    "gradient_times_input",
    "map_seed",
    "pass_normalisation",
    "point_seed",
    "saliency",
  ),
  "jdeepvis.probing.images": ("list_images",),
  "jdeepvis.probing.localisation": ("localise",),
  "jdeepvis.probing.occlusion": ("occlude",),
  "jdeepvis.probing.scan": ("scan",),
  "jdeepvis.probing.top_patches": ("layer_slices", "probed_layers"),
  "jdeepvis.synthesis.adversarial": ("gradient_sign", "smallest_change"),
  "jdeepvis.synthesis.assembly": (
    "decoder",
    "objective",
    "transform",
    "with_views",
  ),
  "jdeepvis.synthesis.dream": (
    "Plan",
    "dream",
    "guided",
    "whole_layer",
  ),
  "jdeepvis.synthesis.fooling": ("Fooling", "certainty", "fool", "fool_many"),
  "jdeepvis.synthesis.gradients": ("balance_octaves", "focus", "mix_colours"),
  "jdeepvis.synthesis.inversion": ("code_mask", "code_of", "invert"),
  "jdeepvis.synthesis.objectives": (
    "channel",
    "direction",
    "log_probability",
    "neuron",
  ),
  "jdeepvis.synthesis.outcome": ("outcome",),
  "jdeepvis.synthesis.recipes": (
    "RECIPES",
    "Recipe",
    "find_recipe",
  ),
  "jdeepvis.synthesis.recognisability": (
    "recognisability",
    "under_views",
  ),
  "jdeepvis.synthesis.render": ("Rendering", "render"),
  "jdeepvis.synthesis.score": ("bind",),
  "jdeepvis.synthesis.starts": ("original_start", "start"),
  "jdeepvis.synthesis.sweep": ("Picture", "climb"),
  "jdeepvis.synthesis.tiles": ("tiled_gradient",),
  "jdeepvis.synthesis.transforms": (
    "every",
    "precondition",
    "project",
    "scale_by_progress",
    "scale_to_rms",
  ),
  "jdeepvis.synthesis.views": ("random_views",),
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
