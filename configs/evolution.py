"""A fooling image for every class, by graphs that grow (Nguyen et al. 2015).

  python -m experiments.evolve_fooling --config=configs/evolution.py
  python -m experiments.evolve_fooling --config=configs/evolution.py \
    --encoding=direct --out=out/evolution_direct

Expected: see docs/evolution.md; twenty minutes on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {"encoding": "cppn", "generations": 400, "out": "out/evolution"}
  )
