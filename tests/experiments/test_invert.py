"""The script from photographs to images and errors: resumed, misled."""

import csv

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas
from jdeepvis.networks.pictures import preprocess

SCRIPT = scripts.Script("experiments.invert")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def test_errors_are_those_of_the_images(script, photos, tmp_path, capsys):
  out = tmp_path / "out"
  asked = [f"--photos={photos}", "--steps=8", f"--out={out}"]
  script(*asked, "--layers=conv2")
  before = open_atlas(out).records
  script(*asked, "--layers=output,pool1,conv2")
  records = open_atlas(out).records
  assert len(records) == 6 and all(one in records for one in before)
  network = small_networks.classifier()
  images = np.load(out / "images.npz")
  for record in records:
    layer = record["layer"]
    codes = []
    for name in ("photo_0", "photo_1"):
      with Image.open(photos / f"{name}.png") as file:
        image = preprocess(np.asarray(file), network.input)
      codes.append(np.asarray(network(image[None])[layer]))
    code = codes[int(record["photograph"][-1])]
    made = images[record["file"].removesuffix(".png")]
    reached = np.asarray(network(made[None])[layer])
    gap = np.linalg.norm(reached - code)
    assert record["error"] == pytest.approx(
      gap / np.linalg.norm(code), rel=1e-3
    )
    assert record["error_by_distance"] == pytest.approx(
      gap / np.linalg.norm(codes[0] - codes[1]), rel=1e-3
    )
    assert record["depth"] == network.order.index(layer)
  with open(out / "errors.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
  assert [row["layer"] for row in rows] == ["pool1", "conv2", "scores"]
  mean = np.mean([one["error"] for one in records if one["layer"] == "pool1"])
  assert float(rows[0]["error"]) == pytest.approx(mean)
  assert "error_by_distance" in capsys.readouterr().out


def test_a_part_of_one_photograph(script, photos, tmp_path):
  out = tmp_path / "out"
  script(
    f"--photos={photos / 'photo_0.png'}",
    "--layers=conv1",
    "--units=1,3-5",
    "--side=5",
    "--seeds=2",
    "--steps=4",
    f"--out={out}",
  )
  records = open_atlas(out).records
  assert [one["seed"] for one in records] == [0, 1]
  assert all(one["error_by_distance"] is None for one in records)


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--photos="], "--photos=FILE"),
    (["--layers=conv9"], "no layer 'conv9'"),
    (["--units=12"], "units 0 to 8"),
    (["--steps=3"], "--steps=3"),
    (["--reference=missing"], "no photographs in 'missing'"),
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
