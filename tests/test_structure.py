"""Imports run one way, from room to room as CONTRIBUTING draws them."""

import ast
import graphlib
import importlib
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What each room may import besides itself.
NETWORKS = {"networks", "types", "version"}
ROOMS = {
  "types": set(),
  "version": set(),
  "display": {"types"},
  "networks": {"types", "version"},
  "probing": NETWORKS,
  "evolution": NETWORKS,
  "synthesis": NETWORKS | {"display"},
  "evaluation": NETWORKS | {"synthesis"},
  "runs": NETWORKS | {"display", "evolution", "probing", "synthesis"},
  "toolbox": NETWORKS | {"display", "probing", "synthesis"},
}


def modules():
  """Every module of the package and of the scripts, with its file."""
  files = [*ROOT.glob("jdeepvis/**/*.py"), *ROOT.glob("experiments/*.py")]
  names = (file.relative_to(ROOT).with_suffix("").parts for file in files)
  dotted = (".".join(name).removesuffix(".__init__") for name in names)
  return dict(zip(dotted, files, strict=True))


MODULES = modules()


def imported(name):
  """The modules of ours that a module imports, also within its functions."""
  found = set()
  for node in ast.walk(ast.parse(MODULES[name].read_text())):
    if isinstance(node, ast.ImportFrom):
      names = (f"{node.module}.{alias.name}" for alias in node.names)
      found |= {one if one in MODULES else node.module for one in names}
    elif isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
  return found & MODULES.keys()


def room(name):
  return name.split(".")[1]


def test_rooms_import_only_what_lies_below_them():
  upward = [
    f"{name} imports {other}"
    for name in MODULES
    if name.startswith("jdeepvis.")
    for other in imported(name)
    if "." not in other
    or other.startswith("experiments.")
    or room(other) not in ROOMS[room(name)] | {room(name)}
  ]
  assert upward == []


def test_no_modules_import_each_other():
  graph = {name: imported(name) for name in MODULES}
  assert len(graph["jdeepvis.synthesis.run"]) > 5
  tuple(graphlib.TopologicalSorter(graph).static_order())


def test_benchmarks_import_what_there_is():
  """They are not run here, since PyTorch is no part of the tests."""
  for file in ROOT.glob("benchmarks/*.py"):
    for node in ast.walk(ast.parse(file.read_text())):
      if isinstance(node, ast.ImportFrom) and node.module.startswith(
        "jdeepvis"
      ):
        module = importlib.import_module(node.module)
        for alias in node.names:
          name = f"{node.module}.{alias.name}"
          assert hasattr(module, alias.name) or name in MODULES, (file, name)
