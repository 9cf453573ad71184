"""The paper's figures from one command each."""

import csv
import sys
import types

import numpy as np
import pytest
import small_networks
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scripts import Script, refusal

from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.networks.own import from_function

SCRIPT = Script("experiments.make_figures")
NET = "--net=small_networks:classifier"


def records(out):
  return open_atlas(out).records


def test_class_units_in_four_recipes_and_nine_seeds(tmp_path):
  out = tmp_path / "out"
  arguments = NET, "--figure=fc8", "--steps=1", "--units=3", f"--out={out}"
  SCRIPT.run(*arguments)
  made = {(record["recipe"], record["seed"]) for record in records(out)}
  assert made == {(f"paper_{x}", seed) for x in "abcd" for seed in range(9)}
  assert (out / "scores.png").exists()
  before = (out / "manifest.json").read_bytes()
  SCRIPT.run(*arguments)
  assert (out / "manifest.json").read_bytes() == before


def test_all_classes_are_on_one_page(tmp_path):
  out = tmp_path / "out"
  SCRIPT.run(NET, "--figure=all_classes", "--steps=1", f"--out={out}")
  assert [record["unit"] for record in records(out)] == list(range(9))
  page = (out / "index.html").read_text()
  assert all(f"thing {unit}, or so" in page for unit in range(9))


def test_all_layers_are_drawn_by_lot_and_to_scale(tmp_path):
  out, tree = tmp_path / "out", tmp_path / "tree"
  known = UnitTree.open(tree, {})
  grid = np.full((5, 5, 3), 200, np.uint8)
  units = sorted(np.random.default_rng(0).permutation(12)[:6].tolist())
  reported = [{"score": 1, "image": "a.png"}]
  known.add_patches("conv2", units[0], {"maxim": [grid]}, reported)
  known.add_info("conv2", units[0], {"top": reported})
  SCRIPT.run(
    NET, "--figure=all_layers", "--layers=conv2,output",
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
  # Both layers on one sheet, a pixel for a pixel: the patch, and a last run.
  with Image.open(out / "all_layers.png") as sheet:
    pixels = np.asarray(sheet)
  with Image.open(out / made[3].get("preview", made[3]["file"])) as picture:
    run = np.asarray(picture)
  right = len(run) + 2
  for part, left in ((run, right), (grid, right + len(run) + 4)):
    strip = pixels[:, left : left + len(part)]
    windows = sliding_window_view(strip, part.shape)[:, 0, 0]
    assert (windows == part).all((1, 2, 3)).sum() == 1


def test_other_recipes_get_the_blocks_they_need(tmp_path):
  out = tmp_path / "out"
  SCRIPT.run(
    NET, "--figure=fc8", "--steps=1", "--units=3",
    "--recipe=none,simonyan", f"--out={out}",
  )  # fmt: skip
  assert {record["recipe"] for record in records(out)} == {"none", "simonyan"}
  with Image.open(out / "scores.png") as sheet:
    black = (np.asarray(sheet) == 0).all(-1)
  rows, columns = (np.flatnonzero(black.any(1 - axis)) for axis in (0, 1))
  # Two blocks of 3 x 3 cells, 1 pixel between these, 2 around each block.
  block = 3 * 100 + 2 * 1 + 2 * 2
  assert np.ptp(rows) + 1 == block and np.ptp(columns) + 1 == 2 * block


def test_a_sheet_says_what_failed(monkeypatch, tmp_path):
  reported = []
  monkeypatch.setattr(
    "experiments.sheets.montage",
    lambda cells, captions, statuses: reported.extend(captions) or cells[0],
  )
  out = tmp_path / "out"
  SCRIPT.run(
    NET, "--figure=fc8", "--steps=1", "--units=3",
    "--recipe=simonyan,none", f"--out={out}",
  )  # fmt: skip
  failed = [one["recipe"] for one in records(out) if one["status"] != "ok"]
  assert failed  # one step makes no class
  lines = reported[0].splitlines()
  assert lines[:2] == ["3 thing 3", "simonyan, none"]
  assert lines[2].startswith(f"{len(failed)} of 18 failed: ")


def test_as_many_classes_as_the_lot_shall_draw(tmp_path):
  out = tmp_path / "out"
  SCRIPT.run(
    NET, "--figure=all_classes", "--recipe=none", "--steps=1",
    "--drawn=2", f"--out={out}",
  )  # fmt: skip
  drawn = np.random.default_rng(0).permutation(9)[:2]
  assert [record["unit"] for record in records(out)] == sorted(drawn)


def test_a_fifth_recipe_is_one_sentence(tmp_path):
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(
      NET, "--figure=fc8", f"--out={tmp_path / 'out'}",
      "--recipe=none,default,fourier,maco,simonyan",
    )  # fmt: skip
  assert "room for four recipes" in stop.value.code


def test_it_says_what_it_lacks(tmp_path):
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(NET, f"--out={tmp_path / 'out'}")
  assert "--figure=fc8" in stop.value.code


def test_filters_are_beside_the_pictures_of_their_units(tmp_path, capsys):
  out = tmp_path / "out"
  SCRIPT.run(
    NET, "--figure=filters", "--recipe=none", "--units=0-4",
    "--steps=3", f"--out={out}",
  )  # fmt: skip
  made = records(out)
  assert {record["layer"] for record in made} == {"conv1"}
  kernels = small_networks.classifier().params["conv1"]["kernel"]
  with Image.open(out / "conv1.png") as sheet:
    pixels = np.asarray(sheet)[::4, ::4]
  for unit in range(5):
    # A filter of 3 x 3, a pixel between, its picture, three between units.
    left = unit * (3 + 1 + 3 + 3)
    kernel = kernels[..., unit]
    filtered = 127.5 + 127.5 * kernel / np.abs(kernel).max()
    assert np.abs(pixels[:3, left : left + 3] - filtered).max() <= 0.5
    with Image.open(out / made[unit]["file"]) as picture:
      expected = np.asarray(picture)
    np.testing.assert_array_equal(pixels[:3, left + 4 : left + 7], expected)
  with open(out / "filters.csv", encoding="utf-8", newline="") as file:
    (row,) = csv.DictReader(file)
  assert row["recipe"] == "none" and 0 < float(row["median"]) <= 1
  assert "smallest" in capsys.readouterr().out


def _whole(params, images):
  return {"blob": images, "blob/pre": images}


def without_graph():
  spec = small_networks.features().input
  return from_function(_whole, {}, spec, output=None)


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    ([NET, "--layers=conv2"], "'conv2' are not linear"),
    (["--net=own_figures:without_graph"], "No layer of this network"),
  ],
)
def test_what_has_no_filters_is_refused(
  monkeypatch, tmp_path, arguments, reported
):
  module = types.ModuleType("own_figures")
  module.without_graph = without_graph
  monkeypatch.setitem(sys.modules, "own_figures", module)

  def run(*arguments):
    SCRIPT.run(*arguments)

  out = tmp_path / "out"
  sentence = refusal(run, *arguments, "--figure=filters", f"--out={out}")
  assert reported in sentence
  assert not out.exists()
