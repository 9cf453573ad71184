"""Where a unit's pictures are: in a tree of ours, or of the original's kind."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jdeepvis.display.manifest import safe_name
from jdeepvis.display.unit_tree import PATCHES, UnitTree

_GRIDS = (
  ("rendered", "regularized_opt", "_montage"),
  ("patches", "max_im", ""),
  ("deconv", "max_deconv", ""),
)


class UnitFile(NamedTuple):
  """One picture of a unit.

  Attributes:
    kind: `rendered`, `patches` or the name of a backward view.
    caption: how it was made.
    path: where it is.
  """

  kind: str
  caption: str
  path: Path


def unit_files(root: Path, layer: str, unit: int) -> list[UnitFile]:
  """The pictures of a unit, those that were rendered first.

  Args:
    root: the folder of `find_top_patches` and `render_units --tree`, or what
      the original toolbox reads as `caffevis_unit_jpg_dir`.
    layer: its name.
    unit: the channel.

  Raises:
    JdeepvisError: the unit's facts are damaged.
  """
  found = list(_own(UnitTree(root, {"records": []}), layer, unit))
  return found or list(_original(root, layer, unit))


def sprites_file(root: Path, layer: str) -> Path | None:
  """The original's `whole_layer.jpg`: every unit's picture in one."""
  for name in _names(layer):
    path = root / "regularized_opt" / name / "whole_layer.jpg"
    if path.is_file():
      return path
  return None


def _own(tree: UnitTree, layer: str, unit: int) -> Iterator[UnitFile]:
  folder, info = tree.unit_folder(layer, unit), tree.read_info(layer, unit)
  for record in info.get("rendered", ()):
    caption = f"{record['recipe']}, seed {record['seed']}"
    yield UnitFile("rendered", caption, folder / record["file"])
  for view in (PATCHES, *info.get("views", ())):
    kind = "patches" if view == PATCHES else view
    for rank, top in enumerate(info.get("top", ())):
      caption = f"{top['score']:.4g} in {top['image']}"
      yield UnitFile(kind, caption, folder / f"{view}_{rank:03d}.png")


def _original(root: Path, layer: str, unit: int) -> Iterator[UnitFile]:
  for kind, folder, ending in _GRIDS:
    for name in _names(layer):
      path = root / folder / name / f"{name}_{unit:04d}{ending}.jpg"
      if path.is_file():
        yield UnitFile(kind, "", path)
        break


def _names(layer: str) -> tuple[str, ...]:
  """As files are named here, and as the original names folders."""
  return tuple(dict.fromkeys((safe_name(layer), layer)))
