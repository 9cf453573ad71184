"""The demo: six classes, what priors do to two of them, hidden units.

  python -m experiments.render_units --config=configs/demo.py --out=out/demo

Expected: 18 pictures, all `ok`, the six classes in the default recipe with a
probability above 0.9; 4,204 image-steps, one to two minutes on two cores.
"""

from ml_collections import ConfigDict

_CLASSES = "flamingo,junco,school bus,gorilla,strawberry,292"


def get_config() -> ConfigDict:
  """Entries are flags; each job's entries take their place for that job."""
  return ConfigDict(
    {
      "net": "squeezenet1.1",
      "out": "out/demo",
      "jobs": (
        {"units": _CLASSES, "recipe": "default"},
        {"units": "flamingo,gorilla", "recipe": "none", "steps": 60},
        {"units": "flamingo,gorilla", "recipe": "paper_c", "steps": 250},
        {"layer": "fire4/expand3x3", "units": "0-3"},
        {"layer": "fire8/expand3x3", "units": "0-3"},
      ),
    }
  )
