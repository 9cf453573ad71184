"""Everything about every unit of a network, in one tree of files.

    manifest.json                  of which network, how it was made
    index.html, LAYER/units.js     all of it in a browser
    LAYER/unit_0007/info.json      the unit's facts
      maxim_000.png ...            what excites it, 000 most
      deconv_000.png ...           the same seen by a backward rule
      minim_000.png ...            what inhibits it
      opt_RECIPE_0.png ...         what was rendered for it, by seed
    max_im/LAYER/LAYER_0007.jpg    the same as grids of 3 x 3
    max_deconv/LAYER/LAYER_0007.jpg
    regularized_opt/LAYER/LAYER_0007_montage.jpg, whole_layer.jpg

The last three are what the original toolbox reads as `caffevis_unit_jpg_dir`.
A slash in a layer's name becomes a dash.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jdeepvis.display.files import damaged, write_image, write_json
from jdeepvis.display.manifest import ManifestFolder, safe_name
from jdeepvis.display.montage import tile
from jdeepvis.display.presentation import thumbnail
from jdeepvis.types import JdeepvisError, Pixels

PATCHES = "maxim"
"""What the patches themselves are called; a backward view has its own name."""

_GRIDS = {PATCHES: "max_im", "deconv": "max_deconv"}
_SPRITE, _CELL = 64, 100  # pixels
_SIDE = 3  # cells along one block of the original's montage
_SHOWN = 2  # the block of the four that the original shows
_PAPER = 127


class UnitTree(ManifestFolder):
  """The tree that scans and renderings write to."""

  def unit_folder(self, layer: str, unit: int) -> Path:
    """Where a unit's own files are."""
    return self.path / unit_folder(layer, unit)

  def read_info(self, layer: str, unit: int) -> dict[str, Any]:
    """A unit's facts; nothing where none are known yet.

    Raises:
      JdeepvisError: the file is damaged.
    """
    path = self.unit_folder(layer, unit) / "info.json"
    try:
      return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
      return {}
    except ValueError:
      raise damaged(path) from None

  def add_info(self, layer: str, unit: int, facts: Mapping[str, Any]) -> None:
    """Adds to a unit's facts; those of the same name are replaced."""
    known = {"layer": layer, "unit": unit, **self.read_info(layer, unit)}
    path = self.unit_folder(layer, unit) / "info.json"
    write_json(path, known | dict(facts))

  def add_layer(self, layer: str, units: int) -> None:
    """Notes that the tree has units of a layer; in this order they are shown.

    Args:
      layer: its name.
      units: how many it has.
    """
    records = {record["layer"]: record for record in self.records}
    file = f"{safe_name(layer)}/units.js"
    records[layer] = {"layer": layer, "units": units, "file": file}
    self.manifest["records"] = list(records.values())
    self._write_manifest()

  def add_patches(
    self,
    layer: str,
    unit: int,
    views: Mapping[str, Sequence[Pixels]],
    facts: Sequence[Mapping[str, Any]],
  ) -> None:
    """Writes a unit's patches, their backward views and the grids of both.

    Args:
      layer: its name.
      unit: the channel.
      views: `PATCHES` and what else there is to see of each patch, best first;
        uint8 `[h, w, 1 or 3]`, all of one view alike in size.
      facts: of each patch; written into its pictures.
    """
    folder = self.unit_folder(layer, unit)
    files = [
      (folder / f"{view}_{rank:03d}.png", picture, own)
      for view, pictures in views.items()
      for rank, (picture, own) in enumerate(zip(pictures, facts, strict=True))
    ]
    # Most of the time goes into packing PNGs, which needs no lock of Python's.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
      for _ in pool.map(lambda file: write_image(*file), files):
        pass
    for view, pictures in views.items():
      if pictures and view != "minim":
        self._write_grid(layer, unit, view, pictures)

  def add_folder(
    self,
    records: Sequence[Mapping[str, Any]],
    root: Path,
    units: Mapping[str, int],
  ) -> None:
    """Takes in a whole folder of rendered pictures.

    Args:
      records: the folder's, see `add_rendered`, with `layer` and `unit`.
      root: the folder.
      units: how many units each layer has.
    """
    groups: dict[tuple[str, int], list] = {}
    for record in records:
      groups.setdefault((record["layer"], record["unit"]), []).append(record)
    for (layer, unit), group in groups.items():
      self.add_rendered(layer, unit, group, root)
    for layer in dict.fromkeys(layer for layer, _ in groups):
      self.add_layer(layer, units[layer])
      self.write_whole_layer(layer, units[layer])

  def add_rendered(
    self,
    layer: str,
    unit: int,
    records: Sequence[Mapping[str, Any]],
    root: Path,
  ) -> None:
    """Takes in pictures that were rendered for a unit.

    Args:
      layer: its name.
      unit: the channel.
      records: of each picture `recipe`, `seed`, `file` and perhaps `preview`,
        which is shown in its stead.
      root: the folder that both are relative to.
    """
    folder = self.unit_folder(layer, unit)
    blocks: dict[str, list[Pixels]] = {}
    rendered = []
    for record in records:
      recipe, seed = record["recipe"], record["seed"]
      picture = thumbnail(root / record.get("preview", record["file"]), 512)
      name = f"opt_{safe_name(recipe)}_{seed}.png"
      write_image(folder / name, picture)
      blocks.setdefault(recipe, []).append(picture)
      rendered.append({**record, "file": name})
    name = safe_name(layer)
    sheet = original_montage(list(blocks.values()))
    file = f"regularized_opt/{name}/{name}_{unit:04d}_montage.jpg"
    write_image(self.path / file, sheet)
    facts = {"rendered": rendered}
    if records[0].get("label"):
      facts["label"] = records[0]["label"]
    self.add_info(layer, unit, facts)

  def write_whole_layer(self, layer: str, units: int) -> None:
    """Writes the original's `whole_layer.jpg`: a sprite for each unit.

    Units of which nothing was rendered stay grey; of none, nothing is written.

    Args:
      layer: its name.
      units: how many it has.
    """
    side = math.ceil(math.sqrt(units))
    sprites = np.full((side * side, _SPRITE, _SPRITE, 3), _PAPER, np.uint8)
    found = False
    for unit in range(units):
      if rendered := self.read_info(layer, unit).get("rendered"):
        path = self.unit_folder(layer, unit) / rendered[0]["file"]
        sprites[unit] = fit(thumbnail(path, 512), _SPRITE)
        found = True
    if found:
      file = f"regularized_opt/{safe_name(layer)}/whole_layer.jpg"
      write_image(self.path / file, tile(sprites, side, pad=0))

  def _write_grid(self, layer, unit, view, pictures) -> None:
    columns = max(_SIDE, math.ceil(math.sqrt(len(pictures))))
    blank = np.full_like(pictures[0], _PAPER)
    rows = [*pictures, *[blank] * (columns**2 - len(pictures))]
    sheet = tile(np.stack(rows), columns, pad=2, background=_PAPER)
    write_image(self.path / grid_file(layer, unit, view), sheet)


def unit_folder(layer: str, unit: int) -> str:
  """A unit's folder within its tree."""
  return f"{safe_name(layer)}/unit_{unit:04d}"


def grid_file(layer: str, unit: int, view: str) -> str:
  """Where within the tree the grid of one view of a unit's patches is."""
  kind, name = _GRIDS.get(view, f"max_{view}"), safe_name(layer)
  return f"{kind}/{name}/{name}_{unit:04d}.jpg"


def original_montage(blocks: Sequence[Sequence[Pixels]]) -> Pixels:
  """Renderings as the original's `_montage.jpg`: 2 x 2 blocks of 3 x 3.

  Each block is one recipe, its cells the seeds; 1 pixel lies between cells and
  2 around a block. The original toolbox shows the block at the bottom left,
  and so does a single recipe stand there.

  Args:
    blocks: up to four recipes' pictures, up to nine each; what is more is left
      out.

  Returns:
    uint8 `[side, side, 3]`, the side even.

  Raises:
    JdeepvisError: there is no picture.
  """
  if not blocks or not all(blocks):
    raise JdeepvisError("A montage needs at least one picture, got none.")
  places = [[]] * _SHOWN + list(blocks) if len(blocks) == 1 else list(blocks)
  quarters = []
  for pictures in [*places, [], [], [], []][:4]:
    cells = np.full((_SIDE**2, _CELL, _CELL, 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures[: _SIDE**2]):
      cells[number] = fit(picture, _CELL)
    sheet = tile(cells, _SIDE, pad=1, background=0)
    quarters.append(np.pad(sheet, ((2, 2), (2, 2), (0, 0))))
  return tile(np.stack(quarters), 2, pad=0)


def fit(picture: Pixels, side: int) -> Pixels:
  """A picture as a square, its longer side filling it, in RGB."""
  image = Image.fromarray(
    picture if picture.shape[-1] == 3 else picture[..., 0]
  ).convert("RGB")
  scale = side / max(image.size)
  size = [max(1, round(extent * scale)) for extent in image.size]
  # A few pixels shall be seen as such.
  how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
  square = Image.new("RGB", (side, side), (_PAPER,) * 3)
  place = ((side - size[0]) // 2, (side - size[1]) // 2)
  square.paste(image.resize(size, how), place)
  return np.asarray(square)
