"""Scores of a folder of pictures against a second look by hand."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks import zoo
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.pictures import preprocess
from jdeepvis.runs import renders
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.transforms import scale_to_rms

SCRIPT = scripts.Script("experiments.score_pictures")
JUDGE = "--net=small_networks:judge"
SHORT = make_recipe(scale_to_rms, 20.0, steps=3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
  """Three classes twice by one recipe, two by another, a hidden unit."""
  path = tmp_path_factory.mktemp("pictures")
  network = small_networks.classifier()
  settings = {
    "net": "small_networks:classifier",
    "weights_sha256": weights_sha256(network.params),
  }
  wanted = [
    *[("scores", unit, seed, "ours") for unit in (0, 3, 8) for seed in (0, 1)],
    *[("scores", unit, 0, "other") for unit in (3, 7)],
    ("conv2", 2, 0, "ours"),
  ]
  folder = PictureFolder.open(path, settings)
  requests = [Request(*one, SHORT) for one in wanted]
  for _ in renders.render_folder(folder, network, requests):
    pass
  return path


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(*arguments)


def ranks(path, records):
  """Asked one by one, straight from the files."""
  network = small_networks.judge()
  for record in records:
    with Image.open(path / record["file"]) as image:
      centred = preprocess(np.asarray(image), network.input)[None]
    probabilities = network(centred)["prob"].reshape(-1)
    yield 1 + int(np.sum(probabilities > probabilities[record["unit"]]))


def test_the_table_says_what_a_second_look_says(
  script, pictures, tmp_path, capsys
):
  path = shutil.copytree(pictures, tmp_path / "copy")
  photos = zoo.third_party() / "photos"
  script(f"--manifest={path / 'manifest.json'}", JUDGE, f"--photos={photos}")
  scores = json.loads((path / "scores.json").read_text())
  records = json.loads((path / "manifest.json").read_text())["records"]
  classes = [record for record in records if record["layer"] == "scores"]
  assert len(scores["pictures"]) == len(classes) == 8
  reported = {record["file"]: record["rank"] for record in scores["pictures"]}
  expected = dict(
    zip([one["file"] for one in classes], ranks(path, classes), strict=True)
  )
  assert reported == expected
  assert len(set(reported.values())) > 1
  for name, row in zip(("ours", "other"), scores["recipes"], strict=False):
    group = [record for record in classes if record["recipe"] == name]
    places = [expected[record["file"]] for record in group]
    assert row["recipe"] == name and row["pictures"] == len(group)
    assert row["top1"] == np.mean([place == 1 for place in places])
    assert row["top5"] == np.mean([place <= 5 for place in places])
    assert row["median_rank"] == np.median(places)
    own = np.mean([record["probability"] for record in group])
    assert row["probability"] == pytest.approx(own)
    assert 0 < row["under_augmentation"] < 1
    # Only where a class has several seeds is there a diversity.
    assert (row["diversity"] or 0) > 0 if name == "ours" else True
    assert row["spectrum_distance"] > 0 and row["colour_distance"] > 0
  assert scores["recipes"][1]["diversity"] is None
  row = scores["recipes"][2]
  assert (row["recipe"], row["pictures"]) == ("(photos)", 4)
  assert row["spectrum_distance"] == pytest.approx(0)
  assert row["colour_distance"] == pytest.approx(0, abs=1e-4)
  with open(path / "scores.csv", encoding="utf-8", newline="") as file:
    table = list(csv.DictReader(file))
  assert [one["recipe"] for one in table] == ["ours", "other", "(photos)"]
  assert float(table[0]["top5"]) == scores["recipes"][0]["top5"]
  printed = capsys.readouterr().out
  assert "median_rank" in printed and "scores.csv" in printed
  assert not list(path.glob(".scores*"))


def test_hidden_units_are_compared_with_the_best_photograph(
  script, pictures, tmp_path, capsys
):
  path = shutil.copytree(pictures, tmp_path / "copy")
  random = np.random.default_rng(0)
  photos = random.integers(0, 256, (3, 30, 40, 3), np.uint8)
  (tmp_path / "photos").mkdir()
  for number, photo in enumerate(photos):
    Image.fromarray(photo).save(tmp_path / "photos" / f"{number}.png")
  script(
    f"--manifest={path / 'manifest.json'}", f"--photos={tmp_path / 'photos'}"
  )
  network = small_networks.classifier()
  centred = np.stack([preprocess(photo, network.input) for photo in photos])
  values = network(centred)["conv2"]
  most = float(np.max(values[..., 2]))
  assert most > 0
  reported = json.loads((path / "hidden.json").read_text())
  (marked,), (row,) = reported["pictures"], reported["layers"]
  assert marked["best_photo"] == pytest.approx(most, rel=1e-4)
  assert marked["ratio"] == pytest.approx(marked["activation"] / most)
  assert (row["layer"], row["recipe"]) == ("conv2", "ours")
  assert (row["pictures"], row["failed"], row["silent"]) == (1, 0, 0)
  assert row["median_ratio"] == marked["ratio"]
  assert row["above_photos"] == float(marked["ratio"] > 1)
  assert "median_ratio" in capsys.readouterr().out
  assert not (path / "scores.json").exists()


def test_a_picture_that_failed_counts(script, pictures, tmp_path):
  """No number is no recognition, not a picture less."""
  path = shutil.copytree(pictures, tmp_path / "copy")
  manifest = json.loads((path / "manifest.json").read_text())
  for record in manifest["records"]:
    if record["recipe"] == "other":
      record.update(probability=None, status="nan")
  (path / "manifest.json").write_text(json.dumps(manifest))
  script(f"--manifest={path / 'manifest.json'}", JUDGE)
  row = json.loads((path / "scores.json").read_text())["recipes"][1]
  assert row["pictures"] == 2 and row["probability"] == 0
  assert "colour_distance" not in row


def test_faint_pictures_are_judged_as_they_are_or_stretched(
  script, pictures, tmp_path
):
  path = shutil.copytree(pictures, tmp_path / "copy")
  manifest = json.loads((path / "manifest.json").read_text())
  first, second = manifest["records"][0], manifest["records"][2]
  first["preview"] = second["file"]
  (path / "manifest.json").write_text(json.dumps(manifest))
  reported = {}
  for flag in ("--nostretched", "--stretched"):
    script(f"--manifest={path / 'manifest.json'}", JUDGE, flag)
    scores = json.loads((path / "scores.json").read_text())
    reported[flag] = scores["pictures"][0]["judge_probability"]
  network = small_networks.judge()
  for flag, file in (
    ("--nostretched", first["file"]),
    ("--stretched", second["file"]),
  ):
    with Image.open(path / file) as image:
      centred = preprocess(np.asarray(image), network.input)[None]
    probabilities = network(centred)["prob"].reshape(-1)
    expected = float(probabilities[first["unit"]])
    assert reported[flag] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    ([], "a --net would judge"),
    (["--net=small_networks:classifier"], "made the pictures"),
    (["--net=squeezenet1.1"], "9 classes.*has 1000"),
    (["--net=squeezenot"], "'squeezenot'"),
    (["--net=missing.prototxt"], "missing.prototxt"),
    ([JUDGE, "--photos=missing"], "no photographs in 'missing'"),
    ([JUDGE, "--manifest=missing.json"], "missing.json"),
    ([JUDGE, "--manifest="], "--manifest is missing"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, pictures, arguments, reported
):
  sentence = scripts.refusal(
    script, f"--manifest={pictures / 'manifest.json'}", *arguments
  )
  assert re.search(reported, sentence)
  assert not (pictures / "scores.json").exists()


@pytest.mark.parametrize(
  ("change", "reported"),
  [
    (lambda m: m["settings"].update(weights_sha256="0"), "put the old ones"),
    (lambda m: m["records"].clear(), "pictures of 0 class units"),
  ],
)
def test_foreign_manifests_are_refused(
  script, pictures, tmp_path, change, reported
):
  manifest = json.loads((pictures / "manifest.json").read_text())
  change(manifest)
  (tmp_path / "manifest.json").write_text(json.dumps(manifest))
  with pytest.raises(SystemExit, match=reported):
    script(f"--manifest={tmp_path / 'manifest.json'}", JUDGE)
