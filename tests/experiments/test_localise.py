"""The script from photographs to boxes: resumed, misled."""

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas
from jdeepvis.networks.pictures import (
  in_picture,
  preprocess,
  read_picture,
  to_pixels,
)
from jdeepvis.probing import backprop
from jdeepvis.probing.localisation import localise

SCRIPT = scripts.Script("experiments.localise")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def records(path):
  return open_atlas(path).records


def test_boxes_of_the_class_named_first(script, photos, tmp_path, capsys):
  out = tmp_path / "out"
  script(f"--photos={photos / 'photo_0.png'}", f"--out={out}")
  (before,) = records(out)
  script(f"--photos={photos}", f"--out={out}")
  reported = records(out)
  assert len(reported) == 2 and reported[0] == before
  network = small_networks.classifier()

  def probabilities(image):
    return np.asarray(network(image[None])["prob"]).ravel()

  for record in reported:
    photo = read_picture(photos / f"{record['photograph']}.png")
    image = preprocess(photo, network.input)
    first = int(probabilities(image).argmax())
    assert record["unit"] == first
    saliency = backprop.saliency(network, image[None], jnp.array([first]))[0]
    shown = to_pixels(image, network.input)
    box = localise(shown, np.asarray(saliency)).box
    assert record["box"] == in_picture(box, (30, 40), network.input)._asdict()
    inside, outside = np.zeros_like(image), image.copy()
    inside[box.slices] = image[box.slices]
    outside[box.slices] = 0
    for name, covered in (("inside", inside), ("outside", outside)):
      now = probabilities(covered)
      assert record[f"probability_{name}"] == pytest.approx(now[first], 1e-4)
      assert record[f"named_{name}"] == (now.argmax() == first)
    assert record["share"] == pytest.approx(np.prod(box.size) / 33**2)
    with Image.open(out / record["file"]) as file:
      assert file.size == (33 + 4 + 33 + 4 + 33, 33)
  boxes = json.loads((out / "boxes.json").read_text())
  assert [one["box"] for one in boxes] == [one["box"] for one in reported]
  with open(out / "boxes.csv", encoding="utf-8", newline="") as file:
    (row,) = csv.DictReader(file)
  mean = np.mean([one["named_inside"] for one in reported])
  assert float(row["named_inside"]) == mean
  assert "share_of_image" in capsys.readouterr().out


def test_boxes_of_classes_by_name(script, photos, tmp_path):
  out = tmp_path / "out"
  script(f"--photos={photos}", "--units=thing 2,thing 5", f"--out={out}")
  labels = [one["label"] for one in records(out)]
  assert labels == ["thing 2, or so", "thing 5, or so"] * 2


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--photos="], "--photos=FILE"),
    (["--units=thing"], "ambiguous"),
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
