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
top patches and their deconv, if --tree names a tree of find_top_patches.
filters: all units of the first layer, each one's own filter and then its
pictures by `default` and by `none`; filters.csv and the table at the end tell
how they correlate. Each takes other recipes, up to four:
--recipe=default,fourier.

Nobody chooses units: they are drawn by a fixed seed, the first of a longer lot
being those of a shorter one. A run that is stopped goes on where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from experiments import common
from jdeepvis import filter_scores
from jdeepvis.atlas import file_of
from jdeepvis.display.files import write_csv, write_image
from jdeepvis.display.filters import centred
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.manifest import safe_name
from jdeepvis.display.montage import WELL, montage, tile
from jdeepvis.display.presentation import thumbnail
from jdeepvis.display.unit_tree import PATCHES, grid_file, original_montage
from jdeepvis.networks.linear import is_linear, linear_filters
from jdeepvis.networks.names import class_scores, find_layer, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import read_picture
from jdeepvis.networks.zoo import DEFAULT_NETWORK, load_network
from jdeepvis.synthesis.requests import Request
from jdeepvis.types import JdeepvisError, Pixels

_FIGURE = flags.DEFINE_enum(
  "figure",
  None,
  ["fc8", "all_classes", "all_layers", "filters"],
  "Which to make.",
)
_NET = flags.DEFINE_string(
  "net",
  DEFAULT_NETWORK,
  "A bundled network, a .safetensors file, or package.module:factory.",
)
_UNITS = flags.DEFINE_string(
  "units", None, "As for render_units, in place of a lot."
)
_DRAWN = flags.DEFINE_integer(
  "drawn",
  None,
  "How many units of a layer to draw by lot; else 6 of all_layers and of fc8, "
  "and all of the others.",
  lower_bound=1,
)
_LAYERS = flags.DEFINE_list(
  "layers",
  None,
  "Of all_layers and filters; else all that have a ReLU, and the classes.",
)
_RECIPES = common.RecipeFlags(
  None, " Up to four; else of fc8 the paper's, of others the default."
)
_TREE = flags.DEFINE_string("tree", None, "A tree with patches to show beside.")
_OUT = flags.DEFINE_string("out", None, "The folder for the figure.")

_PAPER = ("paper_a", "paper_b", "paper_c", "paper_d")
_NAMES = {"fc8": _PAPER, "filters": ("default", "none")}
_SEEDS = {"fc8": 9, "all_classes": 1, "all_layers": 4, "filters": 1}
_FEW = 6
_LOT = 0  # the seed that draws units
_SCALE, _ENLARGED = 2, 4  # pixels of the figure for one of the network's
_ROW = 8  # units in a row of filters


def main() -> None:
  """Flags to requests, requests to pictures, pictures to sheets."""
  common.use_all_cores()
  if not _FIGURE.value or not _OUT.value:
    raise JdeepvisError("Say what to make: --figure=fc8 --out=FOLDER.")
  network = load_network(_NET.value)
  requests = list(_requests(network))
  settings = common.network_settings(_NET.value, network)
  settings |= {"figure": _FIGURE.value, "steps": _RECIPES.steps}
  common.try_out(network, requests)
  made = {request.recipe_name: request.recipe for request in requests}
  with only_run(_OUT.value):
    folder = common.open_folder(_OUT.value, settings, made)
    common.render(folder, network, requests)
    folder.finish(f"{_FIGURE.value} of {_NET.value}")
    write = _write_filters if _FIGURE.value == "filters" else _write_sheets
    for path in write(folder, network, requests):
      print(path)
  common.print_results(folder)


def _requests(network: Network) -> Iterator[Request]:
  if _FIGURE.value in ("fc8", "all_classes"):
    layers = (class_scores(network),)
  else:
    layers = _layers(network)
  names = _RECIPES.names or _NAMES.get(_FIGURE.value, ("default",))
  if len(names) > len(_PAPER):
    raise JdeepvisError("A figure has room for four recipes, not for more.")
  made = _RECIPES.made(names)
  for layer in layers:
    for unit in _units(network, layer):
      for name, recipe in made.items():
        for seed in range(_SEEDS[_FIGURE.value]):
          yield Request(layer, unit, seed, name, recipe)


def _layers(network: Network) -> tuple[str, ...]:
  if _LAYERS.value:
    return tuple(find_layer(network, name) for name in _LAYERS.value)
  shapes = network.shapes
  rectified = [name for name in network.order if f"{name}/pre" in shapes]
  if _FIGURE.value == "filters":
    return tuple(name for name in rectified if is_linear(network, name))
  scores = [network.output] if network.output else []
  return tuple(dict.fromkeys([*rectified, *scores]))


def _units(network: Network, layer: str) -> Sequence[int]:
  if _UNITS.value:
    return find_units(network, layer, _UNITS.value)
  count = network.shapes[layer][-1]
  whole = _FIGURE.value in ("all_classes", "filters")
  drawn = _DRAWN.value or (count if whole else _FEW)
  drawn = np.random.default_rng(_LOT).permutation(count)[:drawn]
  return sorted(drawn.tolist())


def _by_layer(
  records: Sequence[Mapping], requests: Sequence[Request]
) -> dict[str, dict[int, list[Mapping]]]:
  """The records that were requested, by layer and unit."""
  known = {record["file"]: record for record in records}
  layers: dict[str, dict[int, list]] = {}
  for request in requests:
    units = layers.setdefault(request.layer, {})
    units.setdefault(request.unit, []).append(known[file_of(request)])
  return layers


def _write_filters(
  folder: PictureFolder, network: Network, requests: Sequence[Request]
) -> Iterator[Path]:
  """One sheet a layer, and a table: filters beside pictures."""
  files = set(map(file_of, requests))
  records = [one for one in folder.manifest["records"] if one["file"] in files]
  marked = filter_scores.beside_filters(folder.path, records, network)
  layers = _by_layer(marked, requests)
  for layer, units in layers.items():
    filters = linear_filters(network, layer, list(units))
    cells = []
    for kernel, group in zip(filters, units.values(), strict=True):
      parts = [np.uint8(np.round(255 * centred(kernel)))]
      parts += [read_picture(folder.path / one["file"]) for one in group]
      cells.append(tile(np.stack(parts), len(parts), 1, WELL))
    path = folder.path / f"{safe_name(layer)}.png"
    sheet = tile(np.stack(cells), _ROW, 3).repeat(_ENLARGED, axis=0)
    write_image(path, sheet.repeat(_ENLARGED, axis=1))
    yield path
  rows = filter_scores.filter_table(marked)
  write_csv(folder.path / "filters.csv", rows)
  common.print_table(rows)


def _write_sheets(
  folder: PictureFolder, network: Network, requests: Sequence[Request]
) -> Iterator[Path]:
  """One sheet a layer; all classes have their montage and page already."""
  if _FIGURE.value == "all_classes":
    return
  layers = _by_layer(folder.manifest["records"], requests)
  for layer, units in layers.items():
    show = _blocks if _FIGURE.value == "fc8" else _runs
    cells = [
      show(folder.path, layer, unit, group) for unit, group in units.items()
    ]
    captions = [_caption(group) for group in units.values()]
    path = folder.path / f"{safe_name(layer)}.png"
    write_image(path, montage(cells, captions, ["ok"] * len(cells)))
    yield path


def _caption(group: Sequence[Mapping]) -> str:
  """The unit; its recipes, as their blocks are read; what failed, if any."""
  first = group[0]
  lines = [f"{first['layer']} {first['unit']} {first['label'] or ''}".strip()]
  lines.append(", ".join(dict.fromkeys(record["recipe"] for record in group)))
  failed = [record["recipe"] for record in group if record["status"] != "ok"]
  if failed:
    names = ", ".join(dict.fromkeys(failed))
    lines.append(f"{len(failed)} of {len(group)} failed: {names}")
  return "\n".join(lines)


def _blocks(root: Path, layer: str, unit: int, group) -> Pixels:
  """A block of nine seeds for each recipe, as the original's montages."""
  blocks: dict[str, list[Pixels]] = {}
  for record in group:
    picture = thumbnail(root / record.get("view", record["file"]), 512)
    blocks.setdefault(record["recipe"], []).append(picture)
  sheet = original_montage(list(blocks.values()))
  # The original's place for a single recipe, its places for two.
  half = len(sheet) // 2
  if len(blocks) == 1:
    return sheet[half:, :half]
  return sheet[:half] if len(blocks) == 2 else sheet


def _runs(root: Path, layer: str, unit: int, group) -> Pixels:
  """The runs to scale; beside them patches and deconv, where there are."""
  pictures = [
    _scaled(root / record.get("view", record["file"])) for record in group
  ]
  parts = [tile(np.stack(pictures), background=WELL)]
  for view in (PATCHES, "deconv") if _TREE.value else ():
    path = Path(_TREE.value) / grid_file(layer, unit, view)
    if path.exists():
      parts.append(_scaled(path))
  height = max(part.shape[0] for part in parts)
  padded = [
    np.pad(
      part,
      ((0, height - part.shape[0]), (0, 4), (0, 0)),
      constant_values=WELL,
    )
    for part in parts
  ]
  return np.concatenate(padded, axis=1)


def _scaled(path: Path) -> Pixels:
  pixels = read_picture(path)
  return pixels.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)


if __name__ == "__main__":
  common.run(main)
