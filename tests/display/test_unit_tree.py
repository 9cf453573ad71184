"""The tree of files that old tools read, and the page that shows it."""

import json

import browser
import numpy as np
import pytest
from PIL import Image

from jdeepvis.display import unit_page, unit_tree
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.types import JdeepvisError

HOSTILE = "</script><script>window.hacked = 1</script><b>&amp;{{data}}"
LAYER = "fire2/expand3x3"


def picture(value, height=12, width=12, channels=3):
  return np.full((height, width, channels), value, np.uint8)


def facts(rank, name="a photo.jpg"):
  return {
    "score": 9.5 - rank,
    "image": name,
    "position": (3, 4),
    "field": (6, 8, 18, 20),
  }


@pytest.fixture
def tree(tmp_path):
  """Two layers: one with patches of unit 2, one with renderings too."""
  tree = UnitTree.open(tmp_path / "tree", {"net": "a net"})
  for layer, units in (("conv1", 4), (LAYER, 3)):
    tree.add_layer(layer, units)
  reported = [facts(rank) for rank in range(4)]
  views = {
    "maxim": [picture(10 * rank) for rank in range(4)],
    "deconv": [picture(100, channels=3)] * 4,
  }
  tree.add_patches(LAYER, 2, views, reported)
  tree.add_patches(LAYER, 2, {"minim": [picture(9)]}, reported[:1])
  tree.add_info(
    LAYER, 2,
    {
      "top": reported, "bottom": reported[:1], "views": ["deconv"],
      "status": "ok",
      "images": 10, "fires_in": 7, "label": HOSTILE,
      "histogram": [(-np.inf, -2, 1), (0, 0, 2), (1, 1.5, 7)],
    },
  )  # fmt: skip
  tree.add_info(
    LAYER, 1,
    {"top": [], "status": "never_fires", "images": 10, "fires_in": 0},
  )  # fmt: skip
  return tree


def rendered(root, recipe, seed, value, **more):
  file = f"{recipe}/{seed}.png"
  (root / recipe).mkdir(exist_ok=True, parents=True)
  Image.fromarray(picture(value, 30, 20)).save(root / file)
  return {"recipe": recipe, "seed": seed, "file": file, "activation": 3, **more}


def test_the_original_finds_what_it_reads(tree):
  """File names, sizes and places of spec and its own settings."""
  root = tree.path
  grid = np.asarray(
    Image.open(root / "max_im/fire2-expand3x3/fire2-expand3x3_0002.jpg")
  )
  assert grid.shape == (3 * 12 + 2 * 2, 3 * 12 + 2 * 2, 3)
  for rank in range(4):
    row, column = divmod(rank, 3)
    cell = grid[row * 14 + 3 : row * 14 + 9, column * 14 + 3 : column * 14 + 9]
    np.testing.assert_allclose(cell, 10 * rank, atol=6)
  assert (root / "max_deconv/fire2-expand3x3/fire2-expand3x3_0002.jpg").exists()
  unit = root / "fire2-expand3x3/unit_0002"
  assert {path.name for path in unit.iterdir()} == {
    *(f"maxim_{i:03d}.png" for i in range(4)),
    *(f"deconv_{i:03d}.png" for i in range(4)),
    "minim_000.png", "info.json",
  }  # fmt: skip
  patch = Image.open(unit / "maxim_001.png")
  assert patch.text["image"] == "a photo.jpg" and patch.text["score"] == "8.5"
  assert json.loads((unit / "info.json").read_text())["top"][3]["score"] == 6.5


def test_a_montage_is_the_originals(tree, tmp_path):
  """An even square of 2 x 2 blocks; of one recipe the block that it shows."""
  records = [rendered(tmp_path, "default", i, 20 * i) for i in range(9)]
  tree.add_rendered("conv1", 3, records, tmp_path)
  sheet = Image.open(tree.path / "regularized_opt/conv1/conv1_0003_montage.jpg")
  pixels = np.asarray(sheet)
  side = pixels.shape[0]
  assert pixels.shape == (side, side, 3) and side % 2 == 0
  # What the original cuts out: the block at the bottom left, less 3 a side.
  shown = pixels[side // 2 + 3 : side - 3, 3 : side // 2 - 3]
  step = shown.shape[0] / 3
  for i in range(9):
    row, column = divmod(i, 3)
    centre = shown[round((row + 0.5) * step), round((column + 0.5) * step)]
    np.testing.assert_allclose(centre, 20 * i, atol=8)
  others = pixels[20 : side // 2 - 20 : 40, 20 : side // 2 - 20 : 40]
  np.testing.assert_allclose(others, 127, atol=6)


def test_four_recipes_fill_the_montage_in_order(tmp_path):
  blocks = [[picture(60 * i)] * 9 for i in range(4)]
  sheet = unit_tree.original_montage(blocks)
  half = sheet.shape[0] // 2
  for i in range(4):
    row, column = divmod(i, 2)
    assert sheet[row * half + half // 2, column * half + half // 2, 0] == 60 * i
  with pytest.raises(JdeepvisError, match="at least one picture"):
    unit_tree.original_montage([])


@pytest.mark.parametrize(("units", "side"), [(96, 10), (1000, 32), (1, 1)])
def test_a_whole_layer_is_square_and_divisible(tree, tmp_path, units, side):
  tree.write_whole_layer("conv1", units)
  path = tree.path / "regularized_opt/conv1/whole_layer.jpg"
  assert not path.exists()  # nothing was rendered
  unit = units - 1
  record = rendered(tmp_path, "default", 0, 250)
  tree.add_rendered("conv1", unit, [record], tmp_path)
  tree.write_whole_layer("conv1", units)
  pixels = np.asarray(Image.open(path))
  cell = pixels.shape[0] // side
  assert pixels.shape == (cell * side, cell * side, 3)
  row, column = divmod(unit, side)
  middle = pixels[row * cell + cell // 2, column * cell + cell // 2]
  np.testing.assert_allclose(middle, 250, atol=8)


def test_renderings_join_patches_in_either_order(tree, tmp_path):
  records = [rendered(tmp_path, "default", 0, 9, label="flamingo, bird")]
  tree.add_rendered(LAYER, 2, records, tmp_path)
  info = tree.read_info(LAYER, 2)
  assert info["top"][0]["score"] == 9.5 and info["label"] == "flamingo, bird"
  assert info["rendered"][0]["file"] == "opt_default_0.png"
  tree.add_rendered("conv1", 0, records, tmp_path)
  tree.add_info("conv1", 0, {"top": []})
  assert tree.read_info("conv1", 0)["rendered"][0]["seed"] == 0


def test_damaged_facts_are_one_sentence(tree):
  (tree.unit_folder(LAYER, 2) / "info.json").write_text("{")
  with pytest.raises(JdeepvisError, match=r"info\.json' is damaged; remove"):
    tree.read_info(LAYER, 2)


@pytest.fixture
def browse(tree, tmp_path):
  browser.require()
  record = rendered(tmp_path, "default", 0, 9)
  tree.add_rendered("conv1", 3, [record], tmp_path)
  unit_page.write_page(tree, title="A <i>net</i>")

  def visit(address=""):
    uri = (tree.path / "index.html").as_uri()
    return browser.visit(uri + address, tmp_path / "profile")

  return visit


def test_the_browser_shows_a_layers_units(browse, tree):
  page = browse()
  assert page.texts["summary"] == "7 units of 2 layers"
  assert page.sources == ["conv1/unit_0003/opt_default_0.png"]
  page = browse("#layer=fire2/expand3x3")
  assert page.sources == [
    "max_im/fire2-expand3x3/fire2-expand3x3_0002.jpg",
    "max_deconv/fire2-expand3x3/fire2-expand3x3_0002.jpg",
  ]
  for source in page.sources:
    assert (tree.path / source).exists()
  assert "never fires" in page.texts["shown"]
  assert page.tags.count("b") == 2 and "i" not in page.tags


def test_a_shared_address_opens_a_unit(browse, tree):
  page = browse("#layer=fire2%2Fexpand3x3&unit=2")
  assert page.texts["name"] == f"{LAYER} 2 {HOSTILE}"
  inside = [source for source in page.sources if "/unit_" in source]
  assert len(inside) == 4 + 4 + 1
  for source in inside:
    assert (tree.path / source).exists()
  assert page.captions[0] == "9.5a photo.jpgrow 3, column 4"
  assert "Above 0 in 7 of 10 images" in page.texts["large"]
  assert "below to -2: 1 images" in page.texts["large"]
  page = browse("#layer=fire2%2Fexpand3x3&unit=1")
  assert "never fires on any of 10 images" in page.texts["large"]


def test_the_page_asks_for_nothing_outside(browse, tree):
  text = (tree.path / "index.html").read_text()
  text = text.replace("http://www.w3.org/2000/svg", "")
  assert "http:" not in text and "https:" not in text and "@import" not in text


def test_each_view_of_a_tree_can_be_shown_alone(browse, tree):
  views = {"maxim": [picture(9)], "backprop": [picture(100)]}
  tree.add_patches(LAYER, 0, views, [facts(0)])
  reported = {**facts(0), "recomputed": 3.25}
  tree.add_info(LAYER, 0, {"top": [reported], "views": ["backprop"]})
  tree.pin("views", ["deconv", "gradient"])
  unit_page.write_page(tree, title="A net")
  page = browse("#layer=fire2/expand3x3&show=backprop")
  assert page.sources == [
    "max_backprop/fire2-expand3x3/fire2-expand3x3_0000.jpg"
  ]
  page = browse("#layer=fire2/expand3x3&unit=0")
  assert page.captions[0].startswith("9.5, now 3.25")
