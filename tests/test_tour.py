"""The tour, executed: one step a recipe, a smaller network, two of the rows."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour.ipynb"

_SHORT = """
from jdeepvis.synthesis import named_recipes, requests

made = named_recipes.RECIPES
short = {name: made[name].replace(steps=1) for name in made}
named_recipes.RECIPES = requests.RECIPES = short
"""


_FASTER = {"googlenet": "squeezenet1.1", ', "paper_b", "paper_c"': ""}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Those of the client are not ours.
def test_it_runs(monkeypatch):
  monkeypatch.setenv("PYTHONPATH", str(ROOT))
  monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
  flags = os.environ.get("XLA_FLAGS", ""), "--xla_cpu_use_fusion_emitters=false"
  monkeypatch.setenv("XLA_FLAGS", " ".join(flags))  # As `conftest` does it.
  notebook = nbformat.read(TOUR, as_version=4)
  committed = [_shown(cell) for cell in notebook.cells]
  for cell in notebook.cells:
    for written, faster in _FASTER.items():
      cell.source = cell.source.replace(written, faster)
  notebook.cells.insert(0, nbformat.v4.new_code_cell(_SHORT))
  NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
  # A sheet stays a sheet, facts stay facts.
  again = [_shown(cell) for cell in notebook.cells[1:]]
  assert [bool(x) for x in again] == [bool(x) for x in committed]


def test_what_is_committed_is_whole_and_small():
  notebook = nbformat.read(TOUR, as_version=4)
  nbformat.validate(notebook)
  assert os.path.getsize(TOUR) < 1_000_000
  code = [cell for cell in notebook.cells if cell.cell_type == "code"]
  assert all(cell.outputs for cell in code)
  first = [line for line in code[0].source.splitlines() if line]
  assert len(first) == 3


def _shown(cell):
  return [out.output_type for out in cell.get("outputs", ()) if "data" in out]
