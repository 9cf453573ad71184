"""A fooling image for every class, by evolved CPPNs (Nguyen et al. 2015).

  python -m experiments.evolve_fooling --config=configs/evolution.py
  python -m experiments.evolve_fooling --config=configs/evolution.py \
    --encoding=direct --out=out/evolution_direct

Expected: half of the classes at 56 % or more after 196 of the generations, see
docs/evolution.md; ten minutes on two idle cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "net": "squeezenet1.1",
      "encoding": "cppn",
      "generations": 400,
      "out": "out/evolution",
    }
  )
