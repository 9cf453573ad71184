"""The web page of a unit tree: a grid of each layer's units, all of each."""

from jdeepvis.display import files
from jdeepvis.display.page import write_html
from jdeepvis.display.unit_tree import (
  PATCHES,
  UnitTree,
  grid_file,
  unit_folder,
)


def write_page(tree: UnitTree, *, title: str) -> None:
  """Writes `index.html`, and beside each layer's units what it loads of them.

  The page holds only the names of the layers. Each layer's facts are a script
  of their own, since a page opened from a file may load scripts but not data;
  pictures load when they come into view. So thousands of units are no burden.

  Args:
    tree: the tree; layers that `add_layer` has noted are shown.
    title: the page's heading.
  """
  records = tree.records
  for record in records:
    units = _units(tree, record["layer"], record["units"])
    lines = ",\n".join(map(files.to_json, units))
    call = f"receive({files.to_json(record['layer'])}, [\n{lines}\n]);\n"
    with files.atomic(tree.path / record["file"]) as temporary:
      temporary.write_text(call, encoding="utf-8")
  data = {
    "title": title,
    "layers": records,
    "settings": {**tree.manifest["settings"], **tree.manifest.get("kept", {})},
  }
  write_html(tree.path / "index.html", "unit_page", data)


def _units(tree: UnitTree, layer: str, count: int):
  """The facts of each unit that has any, with where its pictures are."""
  for unit in range(count):
    info = tree.read_info(layer, unit)
    if not info:
      continue
    views = (PATCHES, *info.get("views", ())) if info.get("top") else ()
    grids = {view: grid_file(layer, unit, view) for view in views}
    yield {**info, "folder": unit_folder(layer, unit), "grids": grids}
