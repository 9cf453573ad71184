r"""Renders images that maximise units of a network.

  python -m experiments.render_units --units=flamingo,junco --out=out/birds
  python -m experiments.render_units --layer=inception_4c/output --units=0-7 \
    --recipe=default,paper_c --seeds=2 --out=out/4c

Give a folder that a run was stopped in and it goes on where it was; more
units, seeds, layers or recipes are added to what is there. Open
OUT/index.html to look at the pictures; OUT/manifest.json has the facts.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from experiments import report, script
from experiments.recipe_flags import RecipeFlags, own_function
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.unit_page import write_page
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.networks.digests import sha256
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import read_picture
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs import renders
from jdeepvis.runs.versions import versions
from jdeepvis.synthesis.initial import INITIALS
from jdeepvis.synthesis.recipe_records import source_sha256
from jdeepvis.synthesis.requests import Request, requests
from jdeepvis.synthesis.trial import try_out
from jdeepvis.types import JdeepvisError, Pixels

_NET, _LAYER, _UNITS, _SEEDS, _CONFIG = script.define(
  "net", "layer", "units", "seeds", "config"
)
script.define("out")
_RECIPES = RecipeFlags("default")
_OBJECTIVE = flags.DEFINE_string(
  "objective",
  None,
  "package.module:function of the activations, in place of units.",
)
_INITIAL = flags.DEFINE_string(
  "initial",
  "noise",
  f"{', '.join(INITIALS)}, original (its own noise), or an image's file.",
)
_POSITION = flags.DEFINE(
  script.Pair("ROW,COLUMN"),
  "position",
  None,
  "Row,column of the neuron in its map; else the centre.",
)
_CANVAS = flags.DEFINE(
  script.Pair("HEIGHT,WIDTH", "field", "image", positive=True),
  "canvas",
  "field",
  "field: only what the unit can see is rendered; image: the whole input; "
  "HEIGHT,WIDTH: an image of that size, where the layers allow it.",
)
_DIRECTION = flags.DEFINE_enum(
  "direction", "1", ["1", "-1"], "1: what excites the unit; -1: inhibits it."
)
_TREE = flags.DEFINE_string(
  "tree", None, "A unit tree, as of find_top_patches, that gets them too."
)


def main() -> None:
  """Flags to requests, requests to pictures."""
  network = load_network(_NET.value)
  jobs = (_CONFIG.value or {}).get("jobs", ({},))
  wanted = [one for job in jobs for one in _requests(network, _job(job))]
  initial = _initial()
  try_out(network, wanted)
  with script.picture_folder(
    network,
    _settings(),
    recipes={request.recipe_name: request.recipe for request in wanted},
    title=f"Units of {_NET.value}",
  ) as folder:
    renders.fill_folder(folder, network, wanted, initial=initial)
    if _TREE.value:
      _add_to_tree(folder, network)
  report.print_results(folder)


def _add_to_tree(folder: PictureFolder, network: Network) -> None:
  with only_run(_TREE.value):
    settings = script.network_settings(network)
    tree = UnitTree.open(_TREE.value, settings, versions=versions())
    units = {name: shape[-1] for name, shape in network.shapes.items()}
    tree.add_folder(folder.manifest["records"], folder.path, units)
    write_page(tree, title=f"Units of {_NET.value}")


def _job(entries: Mapping[str, Any]) -> dict[str, Any]:
  job = {
    "layer": _LAYER.value,
    "units": _UNITS.value,
    "recipe": ",".join(_RECIPES.names),
    "seeds": _SEEDS.value,
    "steps": _RECIPES.steps,
  }
  if unknown := entries.keys() - job.keys():
    raise JdeepvisError(
      f"A job of the config has {min(unknown)!r}; it can have {', '.join(job)}."
    )
  for name, value in entries.items():
    try:
      parsed = flags.FLAGS[name].parser.parse(script.as_typed(value))
    except (TypeError, ValueError) as error:
      raise JdeepvisError(
        f"The config has a job with {name}={value!r}: {error}."
      ) from error
    job[name] = ",".join(parsed) if isinstance(parsed, list) else parsed
  return job


def _requests(network: Network, job: Mapping[str, Any]) -> Iterable[Request]:
  target = f"{job['layer']}:{job['units']}"
  if _POSITION.value:
    target += "@{},{}".format(*_POSITION.value)
  if _OBJECTIVE.value:
    if _POSITION.value or _TREE.value:
      raise JdeepvisError(
        "An --objective is of no unit; leave --position and --tree out."
      )
    target = _objective()
  wanted = requests(
    network,
    target,
    _RECIPES.made(job["recipe"].split(","), job["steps"]),
    seeds=job["seeds"],
    canvas=_CANVAS.value,
    direction=int(_DIRECTION.value),
  )
  if _OBJECTIVE.value:  # called as the flag calls it
    name = _OBJECTIVE.value.rpartition(":")[2]
    return [one._replace(layer=name) for one in wanted]
  return wanted


def _objective() -> Callable:
  return own_function(_OBJECTIVE.value, "objective", ("blobs",))


def _initial() -> str | Pixels:
  """The initial image: a kind of noise, or an image's pixels."""
  if _INITIAL.value in (*INITIALS, "original"):
    return _INITIAL.value
  if not Path(_INITIAL.value).exists():
    raise JdeepvisError(
      f"--initial={_INITIAL.value} is neither an image file nor one of "
      f"{', '.join(INITIALS)}, original."
    )
  return read_picture(_INITIAL.value)


def _settings() -> dict[str, Any]:
  file = Path(_INITIAL.value)
  own = {}
  if _OBJECTIVE.value:
    digest = source_sha256(_objective())
    own = {"objective": _OBJECTIVE.value, "objective_sha256": digest}
  return {
    "initial": _INITIAL.value,
    "initial_sha256": sha256(file) if file.is_file() else None,
    "position": _POSITION.value,
    "canvas": _CANVAS.value,
    "direction": int(_DIRECTION.value),
    "keep": flags.FLAGS.keep,
    **own,
  }


if __name__ == "__main__":
  script.run(main, all_cores=True)
