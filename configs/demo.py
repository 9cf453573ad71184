"""The demo: images that maximise units of two bundled networks.

  python -m experiments.render_units --config=configs/demo.py:googlenet
  python -m experiments.render_units --config=configs/demo.py:alexnet-conv

Expected: of GoogLeNet four classes by the default recipe, all `ok` with a
probability above 0.9, and the flamingo without priors and by a row of the
paper; of AlexNet's conv1 to conv5 four units each, at the true size of what
they see. One to three minutes on two cores.
"""

from ml_collections import ConfigDict

_JOBS = {
  "googlenet": (
    {"units": "flamingo,gorilla,school bus,strawberry", "steps": 128},
    {"units": "flamingo", "recipe": "none", "steps": 60},
    {"units": "flamingo", "recipe": "paper_c", "steps": 120},
  ),
  "alexnet-conv": tuple(
    {"layer": f"conv{number}", "units": "10,20,30,40", "steps": 128}
    for number in range(1, 6)
  ),
}


def get_config(net: str = "googlenet") -> ConfigDict:
  """Entries are flags; each job's entries take their place for that job."""
  return ConfigDict({"net": net, "out": f"out/demo/{net}", "jobs": _JOBS[net]})
