"""The bundled photographs from eight depths of SqueezeNet.

  python -m experiments.invert --config=configs/inversion.py

Expected: of each photograph eight pictures, from one that looks the same to one
that nobody would recognise; errors from 0.1 (conv1) to 0.4 (fire9). Two minutes
on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "net": "squeezenet1.1",
      "photos": "third_party/photos",
      "layers": (
        "conv1,fire2/concat,fire3/concat,fire4/concat,fire6/concat,"
        "fire8/concat,fire9/concat,output"
      ),
      "out": "out/inversion",
    }
  )
