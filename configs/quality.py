r"""Units that nobody chose, for judging recipes (docs/quality.md).

  make quality JUDGE=googlenet.safetensors PHOTOS=photos

Forty classes by every recipe of the paper's comparison, one seed each, and six
hidden units of each of nine layers by the default. Expected: 320 image-steps
a class unit and recipe on average, 174,000 in all, half an hour on two cores;
for `default` a median rank of 1 with GoogLeNet, and seven classes in eight
among its first five.
"""

import numpy as np
from ml_collections import ConfigDict

_RECIPES = "default,none,simonyan,paper_a,paper_b,paper_c,paper_d"
_LAYERS = {
  "conv1": 64,
  **{f"fire{number}/expand3x3": 64 for number in (2, 3)},
  **{f"fire{number}/expand3x3": 128 for number in (4, 5)},
  **{f"fire{number}/expand3x3": 192 for number in (6, 7)},
  **{f"fire{number}/expand3x3": 256 for number in (8, 9)},
}


def get_config() -> ConfigDict:
  """Classes and units are drawn by a fixed seed, one picture each."""
  hidden = [
    {"layer": layer, "units": _draw(count, 6), "recipe": "default"}
    for layer, count in _LAYERS.items()
  ]
  classes = {"units": _draw(1000, 40), "recipe": _RECIPES}
  return ConfigDict({"out": "out/quality", "jobs": (*hidden, classes)})


def _draw(count: int, number: int) -> str:
  drawn = np.random.default_rng(2026).choice(count, number, replace=False)
  return ",".join(map(str, drawn))
