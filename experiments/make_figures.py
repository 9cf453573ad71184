r"""Makes the figures of the paper's page for any network.

  python -m experiments.make_figures --figure=fc8 --out=out/fc8
  python -m experiments.make_figures --figure=all_classes --out=out/classes
  python -m experiments.make_figures --figure=all_layers --out=out/layers \
    --tree=out/tree
  python -m experiments.make_figures --figure=filters --net=alexnet-conv \
    --out=out/filters

fc8: class units under the paper's four recipes, nine seeds each. all_classes:
every class once, on one page. all_layers: units of every layer, four runs
each, at the size of what they see, all layers to one scale; beside them the
top patches and their deconv, if --tree names a tree of find_top_patches; up to
ten layers come on one sheet too, all_layers.png, a pixel for a pixel.
filters: all units of the first layer, each one's own filter and then its
pictures by `default` and by `none`; filters.csv and the table at the end have
their correlation. Each takes other recipes, up to four:
--recipe=default,fourier.

Units are drawn at random by a fixed seed; a larger sample contains the smaller
ones. A run that is stopped goes on where it was.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments import report, script, sheets
from experiments.recipe_flags import RecipeFlags
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.linear import is_linear, linear_filters
from jdeepvis.networks.names import class_scores, find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs import renders
from jdeepvis.synthesis.requests import Request, requests
from jdeepvis.synthesis.trial import try_out
from jdeepvis.types import JdeepvisError

_FIGURE = flags.DEFINE_enum(
  "figure",
  None,
  ["fc8", "all_classes", "all_layers", "filters"],
  "Which to make.",
)
(_NET,) = script.define("net")
script.define("out")
_UNITS = flags.DEFINE_string(
  "units", None, "As for render_units, in place of a random sample."
)
_DRAWN = flags.DEFINE_integer(
  "drawn",
  None,
  "How many units of a layer to draw at random; else 6 of all_layers and of "
  "fc8, and all of the others.",
  lower_bound=1,
)
_LAYERS = flags.DEFINE_list(
  "layers",
  None,
  "Of all_layers and filters; else all that have a ReLU, and the classes.",
)
_RECIPES = RecipeFlags(
  None, " Up to four; else of fc8 the paper's, of others the default."
)
_TREE = flags.DEFINE_string("tree", None, "A tree with patches to show beside.")

_PAPER = ("paper_a", "paper_b", "paper_c", "paper_d")
_NAMES = {"fc8": _PAPER, "filters": ("default", "none")}
_SEEDS = {"fc8": 9, "all_classes": 1, "all_layers": 4, "filters": 1}
_FEW = 6
_SEED = 0  # draws the units


def main() -> None:
  """Flags to requests, requests to pictures, pictures to sheets."""
  if not _FIGURE.value:
    raise JdeepvisError("Say what to make: --figure=fc8 --out=FOLDER.")
  network = load_network(_NET.value)
  wanted = _requests(network)
  try_out(network, wanted)
  with script.picture_folder(
    network,
    {"figure": _FIGURE.value, "steps": _RECIPES.steps},
    recipes={request.recipe_name: request.recipe for request in wanted},
    title=f"{_FIGURE.value} of {_NET.value}",
  ) as folder:
    renders.fill_folder(folder, network, wanted)
    for path in _write_sheets(folder, network, wanted):
      print(path)
  report.print_results(folder)


def _write_sheets(
  folder: PictureFolder, network: Network, wanted: Sequence[Request]
) -> Iterator[Path]:
  """All classes have their montage and page already."""
  layers, root = sheets.by_layer(folder, wanted), folder.path
  if _FIGURE.value == "fc8":
    yield from sheets.write_blocks(root, layers)
  elif _FIGURE.value == "all_layers":
    tree = Path(_TREE.value) if _TREE.value else None
    yield from sheets.write_runs(root, layers, tree)
  elif _FIGURE.value == "filters":
    yield from sheets.write_filters(root, layers, network)


def _requests(network: Network) -> list[Request]:
  if _FIGURE.value in ("fc8", "all_classes"):
    layers = (class_scores(network),)
  else:
    layers = _layers(network)
  names = _RECIPES.names or _NAMES.get(_FIGURE.value, ("default",))
  if len(names) > len(_PAPER):
    raise JdeepvisError("A figure has room for four recipes, not for more.")
  return requests(
    network,
    [f"{layer}:{_units(network, layer)}" for layer in layers],
    _RECIPES.made(names),
    seeds=_SEEDS[_FIGURE.value],
  )


def _layers(network: Network) -> tuple[str, ...]:
  named = [find_layer(network, name) for name in _LAYERS.value or ()]
  rectified = [
    name for name in network.order if f"{name}/pre" in network.shapes
  ]
  if _FIGURE.value == "filters":
    first = [name for name in rectified if is_linear(network, name)]
    for name in named:
      # What has no filters is refused before a folder is made.
      linear_filters(network, name, [0])
    if not (named or first):
      raise JdeepvisError(
        "No layer of this network is known to be linear in the image, so none "
        "has filters to compare with."
      )
    return tuple(named or first)
  scores = [network.output] if network.output else []
  return tuple(named or dict.fromkeys([*rectified, *scores]))


def _units(network: Network, layer: str) -> str:
  if _UNITS.value:
    return _UNITS.value
  count = network.shapes[layer][-1]
  whole = _FIGURE.value in ("all_classes", "filters")
  drawn = _DRAWN.value or (count if whole else _FEW)
  drawn = np.random.default_rng(_SEED).permutation(count)[:drawn]
  return ",".join(map(str, sorted(drawn)))


if __name__ == "__main__":
  script.run(main, all_cores=True)
