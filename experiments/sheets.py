"""The sheets of the paper's figures, from pictures that are there."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import report
from jdeepvis.display.files import write_csv, write_image
from jdeepvis.display.filters import centred
from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.heat import beside
from jdeepvis.display.manifest import safe_name
from jdeepvis.display.montage import WELL, montage, strips, tile
from jdeepvis.display.presentation import thumbnail
from jdeepvis.display.unit_files import unit_files
from jdeepvis.display.unit_tree import PATCHES, grid_file, original_montage
from jdeepvis.evaluation import filter_scores
from jdeepvis.networks.linear import linear_filters
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import read_picture
from jdeepvis.runs.renders import file_of
from jdeepvis.synthesis.requests import Request
from jdeepvis.types import Pixels

Record = Mapping[str, Any]
Layers = Mapping[str, Mapping[int, Sequence[Record]]]
"""Records by layer and unit."""

_SCALE, _ENLARGED = 2, 4  # pixels of a sheet for one of the network's
_ROW = 8  # units in a row of filters
_TOGETHER = 10  # layers that one sheet has room for


def by_layer(
  folder: PictureFolder, requests: Sequence[Request]
) -> dict[str, dict[int, list[Record]]]:
  """The records of what was requested, by layer and unit."""
  known = {record["file"]: record for record in folder.manifest["records"]}
  layers: dict[str, dict[int, list[Record]]] = {}
  for request in requests:
    units = layers.setdefault(request.layer, {})
    units.setdefault(request.unit, []).append(known[file_of(request)])
  return layers


def write_blocks(root: Path, layers: Layers) -> Iterator[Path]:
  """A sheet a layer: for each unit a block of nine seeds a recipe."""
  return _write(root, layers, lambda layer, unit, group: _blocks(root, group))


def write_runs(root: Path, layers: Layers, tree: Path | None) -> Iterator[Path]:
  """A sheet a layer: runs to scale; a few layers on one sheet as well.

  Args:
    root: the folder of the pictures.
    layers: their records.
    tree: whose patches are shown beside, if any.
  """
  yield from _write(
    root,
    layers,
    lambda layer, unit, group: _runs(root, layer, unit, group, tree),
  )
  if len(layers) <= _TOGETHER:
    rows = [
      beside(
        *(_exact(root, layer, *one, tree) for one in units.items()),
        gap=12,
        background=WELL,
      )
      for layer, units in layers.items()
    ]
    captions = [
      f"{layer}: {', '.join(map(str, units))}"
      for layer, units in layers.items()
    ]
    path = root / "all_layers.png"
    write_image(path, strips(rows, captions))
    yield path


def write_filters(
  root: Path, layers: Layers, network: Network
) -> Iterator[Path]:
  """A sheet a layer, filters beside pictures, and how they correlate."""
  for layer, units in layers.items():
    filters = linear_filters(network, layer, list(units))
    cells = []
    for kernel, group in zip(filters, units.values(), strict=True):
      parts = [np.uint8(np.round(255 * centred(kernel)))]
      parts += [read_picture(root / one["file"]) for one in group]
      cells.append(tile(np.stack(parts), len(parts), 1, WELL))
    path = root / f"{safe_name(layer)}.png"
    write_image(path, _larger(tile(np.stack(cells), _ROW, 3), _ENLARGED))
    yield path
  records = [
    record
    for units in layers.values()
    for group in units.values()
    for record in group
  ]
  marked = filter_scores.beside_filters(root, records, network)
  rows = filter_scores.filter_table(marked)
  write_csv(root / "filters.csv", rows)
  report.print_table(rows)


def _write(
  root: Path,
  layers: Layers,
  show: Callable[[str, int, Sequence[Record]], Pixels],
) -> Iterator[Path]:
  for layer, units in layers.items():
    cells = [show(layer, unit, group) for unit, group in units.items()]
    captions = [_caption(group) for group in units.values()]
    path = root / f"{safe_name(layer)}.png"
    write_image(path, montage(cells, captions, ["ok"] * len(cells)))
    yield path


def _caption(group: Sequence[Record]) -> str:
  """The unit; its recipes, as their blocks are read; what failed, if any."""
  first = group[0]
  lines = [first["title"]]
  lines.append(", ".join(dict.fromkeys(record["recipe"] for record in group)))
  failed = [record["recipe"] for record in group if record["status"] != "ok"]
  if failed:
    names = ", ".join(dict.fromkeys(failed))
    lines.append(f"{len(failed)} of {len(group)} failed: {names}")
  return "\n".join(lines)


def _blocks(root: Path, group: Sequence[Record]) -> Pixels:
  """A block of nine seeds for each recipe, as the original's montages."""
  blocks: dict[str, list[Pixels]] = {}
  for record in group:
    picture = thumbnail(_picture(root, record), 512)
    blocks.setdefault(record["recipe"], []).append(picture)
  sheet = original_montage(list(blocks.values()))
  # The original's place for a single recipe, its places for two.
  half = len(sheet) // 2
  if len(blocks) == 1:
    return sheet[half:, :half]
  return sheet[:half] if len(blocks) == 2 else sheet


def _runs(
  root: Path,
  layer: str,
  unit: int,
  group: Sequence[Record],
  tree: Path | None,
) -> Pixels:
  """The runs to scale; beside them patches and deconv, where there are."""
  pictures = [read_picture(_picture(root, record)) for record in group]
  parts = [_larger(tile(np.stack(pictures), None, 1, WELL), _SCALE)]
  for view in (PATCHES, "deconv") if tree else ():
    path = tree / grid_file(layer, unit, view)
    if path.exists():
      parts.append(_larger(read_picture(path), _SCALE))
  return beside(*parts, background=WELL)


def _exact(
  root: Path,
  layer: str,
  unit: int,
  group: Sequence[Record],
  tree: Path | None,
) -> Pixels:
  """The runs, a pixel for a pixel, and beside them as many top patches."""
  groups = [[_picture(root, record) for record in group]]
  if tree:
    found = unit_files(tree, layer, unit)
    patches = [file.path for file in found if file.kind == "patches"]
    groups.append(patches[: len(group)])
  columns = math.ceil(math.sqrt(len(group)))
  blocks = [
    tile(np.stack([read_picture(path) for path in paths]), columns, 2, WELL)
    for paths in groups
    if paths
  ]
  return beside(*blocks, background=WELL)


def _picture(root: Path, record: Record) -> Path:
  """As people look at it, faint ones stretched."""
  return root / record.get("preview", record["file"])


def _larger(pixels: Pixels, scale: int) -> Pixels:
  return pixels.repeat(scale, axis=0).repeat(scale, axis=1)
