"""The bundled photographs by all methods.

  python -m experiments.adversarial --config=configs/adversarial.py

Expected: all four taken for something else by changes of two grey levels or
less, except by the one targeted step, which seldom gets there; half a minute on
two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "net": "squeezenet1.1",
      "photos": "third_party/photos",
      "size": 2.0,
      "out": "out/adversarial",
    }
  )
