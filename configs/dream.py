"""The bundled photographs as three layers dream them.

  python -m experiments.dream --config=configs/dream.py

Expected: strokes along edges (fire3), swirls and eyes (fire5), furry faces
(fire7); two minutes on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "photos": "third_party/photos",
      "layers": "inception_3b/output,inception_4c/output,inception_5a/output",
      "out": "out/dreams",
    }
  )
