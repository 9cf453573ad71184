"""Boxes in the bundled photographs.

  python -m experiments.localise --config=configs/localisation.py

Expected: the espresso's box around the inside of the cup, the cat's around its
muzzle; ten seconds on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {"net": "squeezenet1.1", "photos": "third_party/photos", "out": "out/boxes"}
  )
