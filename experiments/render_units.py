r"""Renders what units of a network want to see.

  python -m experiments.render_units --units=flamingo,junco --out=out/birds
  python -m experiments.render_units --layer=inception_4c/output --units=0-7 \
    --recipe=default,paper_c --seeds=2 --out=out/4c

Give a folder that a run was stopped in and it goes on where it was; more
units, seeds, layers or recipes are added to what is there. Open
OUT/index.html to look at the pictures; OUT/manifest.json has the facts.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from experiments import common
from jdeepvis import atlas
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.unit_page import write_page
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.networks.convert import sha256, weights_sha256
from jdeepvis.networks.names import find_layer, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.zoo import DEFAULT_NETWORK, load_network
from jdeepvis.synthesis import recipes, starts
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.score import bind
from jdeepvis.types import JdeepvisError

_NET = flags.DEFINE_string(
  "net",
  DEFAULT_NETWORK,
  "A bundled network, a .safetensors file, or package.module:factory.",
)
_LAYER = flags.DEFINE_string(
  "layer", "output", "A layer by its Caffe name; output: the class scores."
)
_UNITS = flags.DEFINE_string(
  "units", "130", "Numbers, ranges (3-7), class names, all; commas between."
)
_SEEDS = flags.DEFINE_integer(
  "seeds", 1, "Pictures of each unit and recipe.", lower_bound=1
)
_RECIPE = flags.DEFINE_list(
  "recipe", "default", f"One or several of {', '.join(recipes.RECIPES)}."
)
_STEPS = flags.DEFINE_integer(
  "steps", None, "Steps; each recipe has its own.", lower_bound=1
)
_INIT = flags.DEFINE_string(
  "init",
  "noise",
  f"{', '.join(starts.STARTS)}, original (its very noise), or an image.",
)
_POSITION = flags.DEFINE_list(
  "position", None, "Row,column of the neuron in its map; else the centre."
)
_CANVAS = flags.DEFINE_enum(
  "canvas",
  "feature",
  ["feature", "image"],
  "feature: only what the unit can see is rendered; image: the whole input.",
)
_DIRECTION = flags.DEFINE_enum(
  "direction", "1", ["1", "-1"], "1: what excites the unit; -1: inhibits it."
)
_KEEP = flags.DEFINE_enum(
  "keep",
  None,
  ["best", "last"],
  "Which image is kept; each recipe has its own.",
)
_OUT = flags.DEFINE_string("out", None, "The folder for the pictures.")
_TREE = flags.DEFINE_string(
  "tree", None, "A unit tree, as of find_top_patches, that gets them too."
)
_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Flags from a file; see configs/demo.py."
)


def main() -> None:
  """Flags to requests, requests to pictures."""
  common.use_all_cores()
  config = common.take_flags_from(_CONFIG)
  if not _OUT.value:
    raise JdeepvisError("Say where the pictures go: --out=FOLDER.")
  network = load_network(_NET.value)
  requests = [
    request
    for job in config.get("jobs", ({},))
    for request in _requests(network, _job(job))
  ]
  start = _start(network)
  with only_run(_OUT.value):
    folder = PictureFolder.open(
      _OUT.value, _settings(network), versions=common.versions()
    )
    for request in requests:
      recipe = dataclasses.asdict(request.recipe)
      folder.pin(f"recipe {request.recipe_name}", recipe)
    common.render(folder, network, requests, start)
    folder.finish(f"Units of {_NET.value}")
    if _TREE.value:
      _add_to_tree(folder, network)
  common.print_results(folder)


def _add_to_tree(folder: PictureFolder, network: Network) -> None:
  with only_run(_TREE.value):
    tree = UnitTree.open(
      _TREE.value,
      common.network_settings(_NET.value, network),
      versions=common.versions(),
    )
    units = {name: shape[-1] for name, shape in network.shapes.items()}
    tree.add_folder(folder.manifest["records"], folder.path, units)
    write_page(tree, title=f"Units of {_NET.value}")


def _job(entries: Mapping[str, Any]) -> dict[str, Any]:
  job = {
    "layer": _LAYER.value,
    "units": _UNITS.value,
    "recipe": ",".join(_RECIPE.value),
    "seeds": _SEEDS.value,
    "steps": _STEPS.value,
  }
  if unknown := entries.keys() - job.keys():
    raise JdeepvisError(
      f"A job of the config has {min(unknown)!r}; it can have {', '.join(job)}."
    )
  for name, value in entries.items():
    try:
      parsed = flags.FLAGS[name].parser.parse(common.as_typed(value))
    except (TypeError, ValueError) as error:
      raise JdeepvisError(
        f"The config has a job with {name}={value!r}: {error}."
      ) from error
    job[name] = ",".join(parsed) if isinstance(parsed, list) else parsed
  return job


def _requests(
  network: Network, job: Mapping[str, Any]
) -> Iterator[atlas.Request]:
  layer = find_layer(network, job["layer"])
  position = common.as_position(_POSITION.value)
  # A position outside the map is refused here, before a folder is made.
  bind(network, neuron(layer, 0, position))
  changes = {"steps": job["steps"], "keep": _KEEP.value}
  changes = {name: value for name, value in changes.items() if value}
  for name in job["recipe"].split(","):
    recipe = dataclasses.replace(recipes.find_recipe(name), **changes)
    for unit in find_units(network, layer, str(job["units"])):
      for seed in range(job["seeds"]):
        yield atlas.Request(
          layer=layer,
          unit=unit,
          seed=seed,
          recipe_name=name,
          recipe=recipe,
          position=position,
          direction=int(_DIRECTION.value),
          canvas=_CANVAS.value,
        )


def _start(network: Network):
  """From a request to the image that its picture starts from."""
  spec = network.input
  if _INIT.value == "original":
    return lambda request: starts.original_start(request.seed, spec)
  if _INIT.value in starts.STARTS:
    return lambda request: starts.start(
      jax.random.fold_in(request.key, 0), spec, _INIT.value
    )
  if not Path(_INIT.value).exists():
    raise JdeepvisError(
      f"--init={_INIT.value} is neither an image file nor one of "
      f"{', '.join(starts.STARTS)}, original."
    )
  image = preprocess(read_picture(_INIT.value), spec)
  return lambda request: image


def _settings(network: Network) -> dict[str, Any]:
  return {
    "net": _NET.value,
    "weights_sha256": weights_sha256(network.params),
    "init": _INIT.value,
    "init_sha256": sha256(_INIT.value) if Path(_INIT.value).is_file() else None,
    "position": common.as_position(_POSITION.value),
    "canvas": _CANVAS.value,
    "direction": int(_DIRECTION.value),
    "keep": _KEEP.value,
  }


if __name__ == "__main__":
  common.run(main)
