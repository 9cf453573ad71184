r"""Breeds pictures that fool a network, one for each of its classes.

  python -m experiments.evolve_fooling --encoding=cppn --generations=500 \
    --out=out/cppn
  python -m experiments.evolve_fooling --encoding=direct --out=out/direct
  python -m experiments.evolve_fooling --encoding=cppn --generations=500 \
    --out=out/cppn --cell=flamingo --render_size=2048

MAP-Elites keeps for each class the picture that the network is most certain of;
children of randomly chosen ones take their places where they do better (Nguyen,
Yosinski and Clune 2015). direct: pixels, from noise; cppn: small graphs that
draw patterns, at any size. Without --generations it goes on as long as theirs
did, 20000 and 5000, which is for accelerators.

OUT/index.html shows all cells, OUT/history.csv has each generation's median
and quantiles of confidence and how many cells are above 50, 90 and 99 %,
OUT/history.png draws it, OUT/archive holds the genomes. A run that was stopped
goes on where it was, to the same bits; more --generations extend it. A cell
whose network is less than half certain has the status `unconvinced`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import report, script
from jdeepvis.display import plots
from jdeepvis.display.cells import CellFolder
from jdeepvis.display.files import write_csv, write_image
from jdeepvis.display.folder import only_run
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.progress import show_progress
from jdeepvis.evolution.archive import LEVELS, Encoding, Unrelated
from jdeepvis.evolution.cppn import Cppn
from jdeepvis.evolution.direct import Direct
from jdeepvis.networks.names import class_scores, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs import evolution
from jdeepvis.runs.versions import versions
from jdeepvis.types import JdeepvisError

_NET, _OUT, _PLOTS = script.define("net", "out", "plots")
script.define("config")
_ENCODING = flags.DEFINE_enum(
  "encoding", "cppn", ["direct", "cppn"], "What a genome is."
)
_GENERATIONS = flags.DEFINE_integer(
  "generations", None, "How many in all; else the paper's.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Of all randomness.", lower_bound=0)
_UNRELATED = flags.DEFINE_bool(
  "unrelated", False, "Children are new random genomes: the baseline."
)
_CELL = flags.DEFINE_string("cell", None, "One class, to be drawn anew.")
_RENDER_SIZE = flags.DEFINE_integer(
  "render_size", None, "At so many pixels a side.", lower_bound=1
)

PAPER = {"direct": (20_000, 200), "cppn": (5_000, 400)}
"""The paper's generations, and children in each."""

_PANELS = {
  "confidence": {
    "quantile_90": "90 %",
    "quantile_75": "75 %",
    "median": "median",
    "quantile_25": "25 %",
    "quantile_10": "10 %",
  },
  "cells": {
    f"above_{level * 100:.0f}": f"above {level * 100:.0f} %" for level in LEVELS
  },
}


def main() -> None:
  """Flags to an archive, an archive to pictures and a history."""
  if _PLOTS.value:
    plots.require_matplotlib()
  network = load_network(_NET.value)
  layer = class_scores(network)
  encoding = _encoding(network)
  cell = _cell(network, layer)
  generations, offspring = PAPER[_ENCODING.value]
  settings = {
    **script.network_settings(network),
    "encoding": _ENCODING.value,
    "unrelated": _UNRELATED.value,
    "seed": _SEED.value,
    "offspring": offspring,
  }
  with only_run(_OUT.value):
    folder = CellFolder.open(_OUT.value, settings, versions=versions())
    if cell is not None:
      _render_cell(folder, network, layer, encoding, cell)
      return
    bred = evolution.breed(
      folder,
      network,
      encoding,
      seed=_SEED.value,
      offspring=offspring,
      generations=_GENERATIONS.value or generations,
    )
    rows = evolution.history_rows(bred.history, offspring)
    write_csv(folder.path / "history.csv", rows)
    if _PLOTS.value:
      path = folder.path / "history.png"
      plots.plot_history(path, rows, _PANELS, across="generation")
    shown = evolution.cells(
      network, encoding, bred.archive, recipe=_ENCODING.value, seed=_SEED.value
    )
    count = len(bred.archive.born)
    bar = show_progress(shown, total=count, unit="picture")
    folder.show(
      bar,
      f"What fools {_NET.value}",
      captioned=("confidence", "generation"),
    )
  report.print_table([_summary(rows)])
  report.print_results(folder)


def _encoding(network: Network) -> Encoding:
  shape = network.input.shape
  if shape[-1] not in (1, 3):
    raise JdeepvisError(
      f"{_NET.value!r} looks at {shape[-1]} channels; pictures have 1 or 3."
    )
  encoding = {"direct": Direct, "cppn": Cppn}[_ENCODING.value](shape)
  return Unrelated(encoding) if _UNRELATED.value else encoding


def _cell(network: Network, layer: str) -> int | None:
  if (_CELL.value is None) != (_RENDER_SIZE.value is None):
    raise JdeepvisError("--cell=CLASS and --render_size=PIXELS go together.")
  if _CELL.value is None:
    return None
  if _ENCODING.value != "cppn":
    raise JdeepvisError(
      "Direct genomes are pixels of one size; --render_size is for "
      "--encoding=cppn."
    )
  units = find_units(network, layer, _CELL.value)
  if len(units) != 1:
    raise JdeepvisError(
      f"--cell={_CELL.value} names {len(units)} classes; name one."
    )
  return units[0]


def _render_cell(
  folder: CellFolder,
  network: Network,
  layer: str,
  encoding: Encoding,
  cell: int,
) -> None:
  archive = evolution.load(folder, network, encoding).archive
  size = _RENDER_SIZE.value
  large = Cppn((size, size, network.input.shape[-1]))
  genome = jax.tree.map(lambda leaf: leaf[cell], archive.genome)
  picture = np.asarray(jax.jit(large.decode)(genome)).astype(np.uint8)
  file = Path(picture_file(layer, cell, "cppn", _SEED.value))
  path = folder.path / file.with_name(f"{file.stem}_{size}.png")
  write_image(path, picture)
  print(path)


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  last = rows[-1]
  seconds = sum(row["seconds"] for row in rows)
  return {
    "encoding": _ENCODING.value,
    **{name: last[name] for name in ("generation", "median")},
    **{name: last[name] for name in _PANELS["cells"]},
    "dead": sum(row["dead"] for row in rows),
    "images_per_second": last["evaluations"] / seconds,
  }


if __name__ == "__main__":
  script.run(main, all_cores=True)
