"""The script from flags to table: resumed, extended, misled."""

import csv
import re

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas

SCRIPT = scripts.Script("experiments.fool_gradient")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def records(path):
  return open_atlas(path).records


def test_pictures_hold_what_their_records_say(script, tmp_path, capsys):
  asked = ["--units=0,3,8", "--confidence=0.2", f"--out={tmp_path}"]
  script(*asked, "--start=noise")
  first = {one["file"]: one for one in records(tmp_path)}
  assert len(first) == 3
  script(*asked)
  reported = records(tmp_path)
  assert len(reported) == 6
  # What was there is left alone, its time included.
  assert {one["file"]: one for one in reported if one["file"] in first} == first
  network = small_networks.classifier()
  for record in reported:
    with Image.open(tmp_path / record["file"]) as file:
      image = np.float32(file) - network.input.mean
    blobs = network(image[None])
    assert blobs["prob"].reshape(-1)[record["unit"]] >= 0.2
    assert record["probability"] == pytest.approx(record["confidence"])
    assert (record["status"], record["label"][:5]) == ("ok", "thing")
  with open(tmp_path / "steps.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
  assert [(row["recipe"], row["initial"]) for row in rows] == [
    ("none", "noise"),
    ("none", "mean"),
  ]
  for row in rows:
    steps = [
      one["steps"] for one in reported if one["initial"] == row["initial"]
    ]
    assert float(row["median_steps"]) == np.median(steps)
    assert max(steps) > 0
    assert int(row["most_steps"]) == max(steps)
    assert (row["classes"], row["fooled"]) == ("3", "3")
  assert "median_steps" in capsys.readouterr().out


def test_what_is_not_reached_is_told(script, tmp_path):
  script("--units=1", "--initial=mean", "--limit=2", f"--out={tmp_path}")
  (record,) = records(tmp_path)
  assert (record["status"], record["steps"]) == ("unconvinced", 1)
  assert record["confidence"] < 0.996


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--initial=middle"], "no initial image 'middle'.*noise, uniform, mean"),
    (["--units=9"], "units 0 to 8"),
    (["--recipe=nune"], "nearest: none"),
    (["--confidence=2"], "--confidence=2"),
    (["--limit=0"], "--limit=0"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  sentence = scripts.refusal(script, "--units=1", f"--out={out}", *arguments)
  assert re.search(reported, sentence)
  assert not out.exists()


def test_other_settings_are_refused(script, tmp_path):
  script("--units=1", "--initial=mean", "--limit=2", f"--out={tmp_path}")
  with pytest.raises(SystemExit, match="made with limit=2, not 3"):
    script("--units=1", "--limit=3", f"--out={tmp_path}")
