"""What SqueezeNet looks at in the bundled photograph of a cat.

  python -m experiments.occlude --config=configs/occlusion.py

Expected: three maps, that of the tabby's class red over the face; ten
seconds on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  """Entries are flags."""
  return ConfigDict(
    {
      "net": "squeezenet1.1",
      "photos": "third_party/photos/chelsea.jpg",
      "units": "281,282,285",
      "out": "out/occlusion",
    }
  )
