"""The bundled photograph by all methods.

  python -m experiments.adversarial --config=configs/adversarial.py

Expected: the cat taken for something else by changes of a grey level or less,
except by the one targeted step, which seldom gets there; a minute on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {"photos": "third_party/photos", "size": 2.0, "out": "out/adversarial"}
  )
