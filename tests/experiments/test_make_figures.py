"""The paper's figures from one command each."""

import json

import numpy as np
import pytest
import small_networks
from PIL import Image
from scripts import Script

from jdeepvis.display.unit_tree import UnitTree

SCRIPT = Script("experiments.make_figures")
NET = "--net=small_networks:classifier"


def records(out):
  return json.loads((out / "manifest.json").read_text())["records"]


def test_class_units_in_four_recipes_and_nine_seeds(monkeypatch, tmp_path):
  out = tmp_path / "out"
  arguments = NET, "--figure=fc8", "--steps=1", "--units=3", f"--out={out}"
  SCRIPT.run(monkeypatch, *arguments)
  made = {(record["recipe"], record["seed"]) for record in records(out)}
  assert made == {(f"paper_{x}", seed) for x in "abcd" for seed in range(9)}
  assert (out / "scores.png").exists()
  before = (out / "manifest.json").read_bytes()
  SCRIPT.run(monkeypatch, *arguments)
  assert (out / "manifest.json").read_bytes() == before


def test_all_classes_are_on_one_page(monkeypatch, tmp_path):
  out = tmp_path / "out"
  SCRIPT.run(
    monkeypatch, NET, "--figure=all_classes", "--steps=1", f"--out={out}"
  )
  assert [record["unit"] for record in records(out)] == list(range(9))
  page = (out / "index.html").read_text()
  assert all(f"thing {unit}, or so" in page for unit in range(9))


def test_all_layers_are_drawn_by_lot_and_to_scale(monkeypatch, tmp_path):
  out, tree = tmp_path / "out", tmp_path / "tree"
  known = UnitTree.open(tree, {})
  grid = np.full((5, 5, 3), 200, np.uint8)
  units = sorted(np.random.default_rng(0).permutation(12)[:6].tolist())
  known.add_patches("conv2", units[0], {"maxim": [grid]}, [{"score": 1}])
  SCRIPT.run(
    monkeypatch, NET, "--figure=all_layers", "--layers=conv2,output",
    "--steps=1", f"--tree={tree}", f"--out={out}",
  )  # fmt: skip
  made = records(out)
  assert sorted({r["unit"] for r in made if r["layer"] == "conv2"}) == units
  assert len(made) == 2 * 6 * 4
  network = small_networks.classifier()
  with Image.open(out / made[0]["file"]) as picture:
    assert picture.size[0] < network.input.shape[0]
  assert (out / "conv2.png").exists() and (out / "scores.png").exists()
  with Image.open(out / "conv2.png") as sheet:
    pixels = np.asarray(sheet)
  assert (np.abs(pixels.astype(int) - 200) < 4).all(-1).sum() > 90


def test_it_says_what_it_lacks(monkeypatch, tmp_path):
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(monkeypatch, NET, f"--out={tmp_path / 'out'}")
  assert "--figure=fc8" in stop.value.code
