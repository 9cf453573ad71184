r"""Randomly drawn units, for judging recipes (docs/quality.md).

  make quality PHOTOS=photos
  make quality NET=googlenet PHOTOS=photos

Forty classes by every recipe, one seed each, and six hidden units of each of
some layers by the default. Expected for SqueezeNet 1.1: 194,000 image-steps,
half an hour on two cores; for `default` a median rank of 1 with GoogLeNet, and
seven classes in eight among its first five. GoogLeNet takes six times as long.
"""

import numpy as np
from ml_collections import ConfigDict

_RECIPES = "default,fourier,maco,none,simonyan,paper_a,paper_b,paper_c,paper_d"
_LAYERS = {
  "squeezenet1.1": {
    "conv1": 64,
    **{f"fire{number}/expand3x3": 64 for number in (2, 3)},
    **{f"fire{number}/expand3x3": 128 for number in (4, 5)},
    **{f"fire{number}/expand3x3": 192 for number in (6, 7)},
    **{f"fire{number}/expand3x3": 256 for number in (8, 9)},
  },
  "googlenet": {
    "conv1/7x7_s2": 64,
    "conv2/3x3": 192,
    "inception_3a/output": 256,
    "inception_3b/output": 480,
    **{f"inception_4{part}/output": 512 for part in "abc"},
    "inception_4d/output": 528,
    "inception_4e/output": 832,
    "inception_5a/output": 832,
    "inception_5b/output": 1024,
  },
}


def get_config(net: str = "squeezenet1.1") -> ConfigDict:
  """Classes and units are drawn by a fixed seed, one picture each."""
  hidden = [
    {"layer": layer, "units": _draw(count, 6), "recipe": "default"}
    for layer, count in _LAYERS[net].items()
  ]
  classes = {"units": _draw(1000, 40), "recipe": _RECIPES}
  return ConfigDict(
    {"net": net, "out": f"out/quality/{net}", "jobs": (*hidden, classes)}
  )


def _draw(count: int, number: int) -> str:
  drawn = np.random.default_rng(2026).choice(count, number, replace=False)
  return ",".join(map(str, drawn))
