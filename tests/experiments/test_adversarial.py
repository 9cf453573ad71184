"""The script from photographs to a table of what changed class."""

import csv

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas
from jdeepvis.networks.pictures import preprocess

SCRIPT = scripts.Script("experiments.adversarial")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def first_class(network, image):
  return int(network(image[None])["prob"].argmax())


def test_the_table_says_what_the_pictures_hold(
  script, photos, tmp_path, capsys
):
  out = tmp_path / "out"
  asked = [f"--photos={photos}", "--size=8", f"--out={out}"]
  script(*asked, "--methods=fgsm")
  before = open_atlas(out).records
  script(*asked)
  records = open_atlas(out).records
  assert len(records) == 10 and records[:4] == before
  network = small_networks.classifier()
  for record in records:
    photo, method = record["photograph"], record["method"]
    assert record["title"] == photo
    with Image.open(photos / f"{photo}.png") as file:
      image = preprocess(np.asarray(file), network.input)
    with Image.open(out / record["file"]) as file:
      row = np.float32(file)
    changed = row[:, 37:70] - network.input.mean
    first, now = (first_class(network, one) for one in (image, changed))
    assert (record["class_before"], record["class_now"]) == (first, now)
    wanted = (
      now == record["unit"] if "untargeted" not in method else now != first
    )
    assert record["status"] == ("ok" if wanted else "unchanged")
    change = changed - image
    assert record["largest"] == pytest.approx(np.abs(change).max(), abs=1e-3)
    assert record["rms"] == pytest.approx(np.sqrt(np.mean(change**2)), abs=1e-3)
    if "lbfgs" not in method:
      assert record["largest"] <= 8 + 1e-3
  assert {one["status"] for one in records if "lbfgs" in one["method"]} == {
    "ok"
  }
  with open(out / "attacks.csv", encoding="utf-8", newline="") as file:
    rows = {row["method"]: row for row in csv.DictReader(file)}
  assert len(rows) == 5
  for name, row in rows.items():
    group = [one for one in records if one["method"] == name]
    good = [one["rms"] for one in group if one["status"] == "ok"]
    assert float(row["success"]) == len(good) / len(group)
    if good:
      assert float(row["mean_rms"]) == pytest.approx(np.mean(good))
  assert "mean_largest" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--photos="], "--photos=FILE"),
    (["--methods=magic"], "no method 'magic'"),
    (["--size=0"], "--size=0"),
    (["--steps=0"], "--steps=0"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, photos, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  assert reported in scripts.refusal(
    script, f"--photos={photos}", f"--out={out}", *arguments
  )
  assert not out.exists()
