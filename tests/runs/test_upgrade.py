"""Folders that version 0.1 made: known again, and gone on with.

`version_0_1.json` is what that version wrote: the recipes it named, two of its
random search with seed 10, and the manifest of a folder with one picture.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.records import from_version_1 as record_of_today
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.runs.upgrade import upgrade_folder
from jdeepvis.synthesis import ablation
from jdeepvis.synthesis.named_recipes import RECIPES
from jdeepvis.synthesis.recipe_records import from_version_1, to_plain
from jdeepvis.types import JdeepvisError

OLD = json.loads(Path(__file__).with_name("version_0_1.json").read_text())
SCRIPT = scripts.Script("experiments.render_units")
COMMAND = (
  "--net=small_networks:classifier", "--recipe=none", "--initial=mean",
  "--steps=4",
)  # fmt: skip


def test_every_recipe_was_kept():
  assert OLD["recipes"].keys() <= RECIPES.keys()


@pytest.mark.parametrize("name", OLD["recipes"])
def test_a_named_recipe_is_known_again(name):
  assert to_plain(from_version_1(OLD["recipes"][name])) == to_plain(
    RECIPES[name]
  )


def test_a_prior_that_was_varied_is_known_again():
  old = {**OLD["recipes"]["paper_c"], "small_norm": 0.0, "focus": 3.0}
  new = RECIPES["paper_c"].replace(norm_percentile=0.0, centre_bias=3.0)
  assert to_plain(from_version_1(old)) == to_plain(new)
  assert to_plain(from_version_1(old)) != to_plain(RECIPES["paper_c"])


def test_a_random_search_is_known_again():
  combinations = {one.name: one for one in ablation.random_search(2, 10)}
  assert combinations.keys() == OLD["search"].keys()
  for name, old in OLD["search"].items():
    new = to_plain(combinations[name].recipe)
    assert to_plain(from_version_1(old)) == new


@pytest.fixture
def folder(tmp_path):
  """The old manifest, with files for its one picture."""
  manifest = json.loads(json.dumps(OLD["manifest"]))
  (record,) = manifest["records"]
  # Drawn anew on every machine, and perhaps not to the last bit.
  weights = weights_sha256(small_networks.classifier().params)
  manifest["settings"]["weights_sha256"] = weights
  pixels = np.random.default_rng(0).integers(0, 256, (33, 33, 3), np.uint8)
  for name in ("file", "view"):
    path = tmp_path / record[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
  stem = record["file"].removesuffix(".png")
  np.savez(tmp_path / "images.npz", **{stem: np.float32(pixels)})
  scores = np.arange(4, dtype=np.float32)
  np.savez(tmp_path / "history.npz", **{f"{stem}/score": scores})
  (tmp_path / "manifest.json").write_text(json.dumps(manifest))
  return tmp_path


def test_an_old_folder_opens_and_extends(folder):
  (old,) = OLD["manifest"]["records"]
  before = (folder / old["file"]).read_bytes()
  arguments = *COMMAND, "--units=1-2", f"--out={folder}"
  SCRIPT.run(*arguments)
  manifest = json.loads((folder / "manifest.json").read_text())
  first, second = manifest["records"]
  assert (
    first == record_of_today(old)
    and (folder / old["file"]).read_bytes() == before
  )
  assert second["unit"] == 2 and {"score", "status_of_history"} < second.keys()
  assert (folder / second["file"]).exists()
  assert manifest["kept"]["recipe none"]["rate"] == 4
  assert manifest["kept"]["recipe none"]["step"] == "scale_to_rms"
  assert manifest["settings"]["initial"] == "mean"
  assert manifest["settings"]["canvas"] == "field"
  assert "init" not in manifest["settings"]
  # From then on it is a folder as any other.
  SCRIPT.run(*arguments)
  assert json.loads((folder / "manifest.json").read_text()) == manifest


@pytest.mark.parametrize(
  ("changed", "reported"),
  [
    ("--steps=5", "with recipe none: steps=4, not 5;"),
    ("--initial=noise", "with initial='mean', not 'noise';"),
    ("--canvas=image", "with canvas='field', not 'image';"),
  ],
)
def test_an_old_folder_is_held_to_its_settings(folder, changed, reported):
  run = SCRIPT.run
  arguments = *COMMAND, "--units=1", changed, f"--out={folder}"
  assert reported in scripts.refusal(run, *arguments)


def test_what_is_of_today_or_not_there_is_left_alone(tmp_path):
  upgrade_folder(tmp_path / "none")
  assert not (tmp_path / "none").exists()
  settings = {"initial": "noise", "canvas": [300, 280], "position": None}
  folder = PictureFolder.open(tmp_path / "today", settings)
  folder.pin("recipe default", to_plain(RECIPES["default"]))
  file = tmp_path / "today" / "manifest.json"
  before = file.read_bytes(), file.stat().st_mtime_ns
  upgrade_folder(tmp_path / "today")
  assert (file.read_bytes(), file.stat().st_mtime_ns) == before
  file.write_text('{"settings": {"init"')
  with pytest.raises(JdeepvisError, match="manifest"):
    upgrade_folder(tmp_path / "today")
