r"""Forty classes that nobody chose, for judging recipes (docs/quality.md).

  python -m experiments.render_units --config=configs/quality.py \
    --recipe=default --out=out/quality
  python -m experiments.score_pictures \
    --manifest=out/quality/manifest.json --net=googlenet.safetensors

Expected for `default`: a median rank of 2 to 3 with GoogLeNet and two classes
in three among its first five; 10,240 image-steps a recipe of 256 steps, about
four minutes on two cores.
"""

import numpy as np
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """The classes are drawn by a fixed seed, one seed each."""
  classes = np.random.default_rng(2026).choice(1000, 40, replace=False)
  return ConfigDict({"units": ",".join(map(str, classes)), "seeds": 1})
