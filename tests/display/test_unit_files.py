import numpy as np
import pytest

from jdeepvis.display.files import write_image
from jdeepvis.display.unit_files import sprites_file, unit_files
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.types import JdeepvisError

GREY = np.full((8, 8, 3), 127, np.uint8)


def test_a_tree_of_ours_tells_of_each_picture(tmp_path):
  tree = UnitTree.open(tmp_path / "tree", {})
  top = [{"score": 12.5, "image": "a.jpg"}, {"score": 3.0, "image": "b.jpg"}]
  tree.add_patches("a/b", 7, {"maxim": [GREY] * 2, "deconv": [GREY] * 2}, top)
  tree.add_info("a/b", 7, {"top": top, "views": ["deconv"]})
  write_image(tmp_path / "x.png", GREY)
  record = {"recipe": "default", "seed": 3, "file": "x.png"}
  tree.add_rendered("a/b", 7, [record], tmp_path)
  found = unit_files(tree.path, "a/b", 7)
  assert [(file.kind, file.caption) for file in found] == [
    ("rendered", "default, seed 3"),
    ("patches", "12.5 in a.jpg"),
    ("patches", "3 in b.jpg"),
    ("deconv", "12.5 in a.jpg"),
    ("deconv", "3 in b.jpg"),
  ]
  assert all(file.path.is_file() for file in found)
  assert unit_files(tree.path, "a/b", 8) == []
  tree.write_whole_layer("a/b", 8)
  assert sprites_file(tree.path, "a/b").is_file()
  assert sprites_file(tree.path, "c") is None


@pytest.mark.parametrize("name", ["fire2-squeeze1x1", "fire2/squeeze1x1"])
def test_the_originals_tree_is_read_as_it_is(tmp_path, name):
  for file in (
    f"regularized_opt/{name}/{name}_0007_montage.jpg",
    f"max_im/{name}/{name}_0007.jpg",
    f"regularized_opt/{name}/whole_layer.jpg",
  ):
    write_image(tmp_path / file, GREY)
  found = unit_files(tmp_path, "fire2/squeeze1x1", 7)
  assert [file.kind for file in found] == ["rendered", "patches"]
  assert sprites_file(tmp_path, "fire2/squeeze1x1").is_file()


def test_damaged_facts_are_told(tmp_path):
  folder = UnitTree(tmp_path, {}).unit_folder("a", 0)
  folder.mkdir(parents=True)
  (folder / "info.json").write_text("{")
  with pytest.raises(JdeepvisError, match="damaged"):
    unit_files(tmp_path, "a", 0)
