"""What scripts say in the end: tables, and where to look."""

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jdeepvis.display.files import write_csv
from jdeepvis.display.manifest import ManifestFolder

_SHOWN = ("index.html", "montage.png")


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints rows with the same keys, columns aligned."""
  cells = [
    list(rows[0]),
    *([_cell(one) for one in row.values()] for row in rows),
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  for line in cells:
    numbers = map(str.rjust, line[1:], widths[1:])
    print(line[0].ljust(widths[0]), *numbers, sep="  ")


def print_results(folder: ManifestFolder) -> None:
  """Says how many pictures there are, how many failed, where to look."""
  records = folder.records
  statuses = collections.Counter(record["status"] for record in records)
  counts = ", ".join(
    f"{count} {status.replace('_', ' ')}" for status, count in statuses.items()
  )
  plural = "s" * (len(records) != 1)
  print(f"\n{len(records)} picture{plural} ({counts}). Look at")
  for file in filter(Path.exists, map(folder.path.joinpath, _SHOWN)):
    print(f"  {file}")


def write_table(
  folder: ManifestFolder, file: str, rows: Sequence[Mapping[str, Any]]
) -> None:
  """Writes a table into the folder, prints it, and says where to look."""
  write_csv(folder.path / file, rows)
  print_table(rows)
  print_results(folder)


def _cell(value: Any) -> str:
  if value is None:
    return "-"
  return f"{value:.4g}" if isinstance(value, float) else str(value)
