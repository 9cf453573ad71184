"""The bundled photograph from eight depths of SqueezeNet.

  python -m experiments.invert --config=configs/inversion.py

Expected: eight pictures from one that cannot be told from the photograph to one
of which nobody would say what it was; the error falls well below 1 at all of
them. About ten minutes on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "photos": "third_party/photos",
      "layers": (
        "conv1,fire2/concat,fire3/concat,fire4/concat,fire6/concat,"
        "fire8/concat,fire9/concat,output"
      ),
      "out": "out/inversion",
    }
  )
