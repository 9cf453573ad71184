"""Tables of pictures against NumPy and by hand."""

import numpy as np

from jdeepvis.evaluation.summary import failed, over, succeeded, table

RECORDS = [
  {"layer": "b", "recipe": "x", "error": 3.0, "steps": 4, "status": "ok"},
  {"layer": "a", "recipe": "x", "error": 1.0, "steps": 9, "status": "nan"},
  {"layer": "b", "recipe": "x", "error": None, "steps": 7, "status": "ok"},
  {"layer": "b", "recipe": "x", "error": 8.5, "steps": 1, "status": "nan"},
]


def test_a_row_for_each_group_in_order():
  columns = {
    "pictures": len,
    "ok": succeeded,
    "failed": failed,
    "error": over("error"),
    "steps": over("steps", max, ok=True),
    "median": over("steps", np.median),
  }
  assert table(RECORDS, ["layer", "recipe"], columns) == [
    {
      "layer": "b", "recipe": "x", "pictures": 3, "ok": 2, "failed": 1,
      "error": np.mean([3.0, 8.5]), "steps": 7, "median": 4,
    },
    {
      "layer": "a", "recipe": "x", "pictures": 1, "ok": 0, "failed": 1,
      "error": 1.0, "steps": None, "median": 9,
    },
  ]  # fmt: skip


def test_numbers_are_plain():
  row, _ = table(RECORDS, ["layer"], {"most": over("steps", max)})
  assert type(row["most"]) is int
  (row,) = table(RECORDS, (), {"error": over("error")})
  assert type(row["error"]) is float
