"""The script that grades pictures of hidden units."""

import csv
import json
import re

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

import jdeepvis
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.probing.extremes import extreme_patches
from jdeepvis.runs import renders
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.transforms import scale_to_rms

SCRIPT = scripts.Script("experiments.grade_units")
SHORT = make_recipe(scale_to_rms, 20.0, steps=2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """Three units for and against, two seeds each, and photographs."""
  path = tmp_path_factory.mktemp("units")
  network = small_networks.classifier()
  for name, layer, direction in (
    ("for", "conv2", 1),
    ("against", "conv2/pre", -1),
  ):
    settings = {
      "net": "small_networks:classifier",
      "weights_sha256": weights_sha256(network.params),
      "direction": direction,
    }
    wanted = [
      Request(layer, unit, seed, "ours", SHORT, direction=direction)
      for unit in (5, 0, 3)
      for seed in (0, 1)
    ]
    folder = PictureFolder.open(path / name, settings)
    for _ in renders.render_folder(folder, network, wanted):
      pass
  (path / "photos").mkdir()
  photos = np.random.default_rng(0).integers(0, 256, (8, 33, 33, 3), np.uint8)
  for number, pixels in enumerate(photos):
    Image.fromarray(pixels).save(path / "photos" / f"{number}.png")
  return path, photos


def arguments(path, *more):
  return [
    f"--manifest={path / 'for' / 'manifest.json'}",
    f"--against={path / 'against' / 'manifest.json'}",
    f"--photos={path / 'photos'}",
    "--judge=small_networks:judge",
    "--judge_layers=conv1,pool10",
    "--pairs=2",
    "--references=2",
    *more,
  ]


def seen(path, folder, units):
  """The judge's features of a folder's files."""
  records = jdeepvis.open_atlas(path / folder).records
  rows = []
  for unit in units:
    files = [one["file"] for one in records if one["unit"] == unit]
    pictures = [jdeepvis.read_picture(path / folder / one) for one in files]
    rows.append(
      jdeepvis.perceptual_features(small_networks.judge(), pictures, "conv1")
    )
  return np.stack(rows)


def test_the_table_is_that_of_the_same_choices_by_hand(folders, capsys):
  path, photos = folders
  SCRIPT.run(*arguments(path))
  with open(path / "for" / "grades.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
  kinds = [(one["judge_layer"], one["shown"]) for one in rows]
  assert kinds == [
    (layer, kind)
    for layer in ("conv1", "pool10")
    for kind in ("natural", "synthetic", "both")
  ]
  units = [0, 3, 5]
  found = extreme_patches(
    small_networks.classifier(), list(photos), "conv2", units, count=4
  )
  strong, weak = (
    np.stack(
      [
        jdeepvis.perceptual_features(
          small_networks.judge(), list(patches), "conv1"
        )
        for patches in group
      ]
    )
    for group in (found.strong, found.weak)
  )
  queries, patches = (strong[:, :2], weak[:, :2]), (strong[:, 2:], weak[:, 2:])
  pictures = [seen(path, folder, units) for folder in ("for", "against")]
  natural = jdeepvis.two_choices(*queries, *patches)
  synthetic = jdeepvis.two_choices(*queries, *pictures)
  both = jdeepvis.two_choices(
    *queries, *map(np.hstack, zip(pictures, patches, strict=True))
  )
  for row, made in zip(rows, (natural, synthetic, both), strict=False):
    assert float(row["share"]) == made.share
    assert float(row["error"]) == made.error
  apart = [np.linalg.norm(one[0] - one[1]) for one in pictures[0]]
  assert float(rows[1]["distance"]) == pytest.approx(np.mean(apart), rel=1e-4)
  report = json.loads((path / "for" / "grades.json").read_text())
  assert (report["photos"], report["pairs"]) == (8, 2)
  shares = synthetic.right.mean(axis=1, dtype=float)
  by_unit = dict(zip("035", shares, strict=True))
  assert report["grades"][1]["by_unit"] == by_unit
  assert "share" in capsys.readouterr().out


@pytest.mark.parametrize(
  ("more", "reported"),
  [
    ("--judge=", "--judge is missing"),
    ("--judge=small_networks:classifier", "made the pictures"),
    ("--judge_layers=conv7", "no layer 'conv7'"),
    ("--references=7", "18 or more; there are 8"),
    ("--photos=missing", "no photographs in 'missing'"),
  ],
)
def test_wrong_arguments_are_one_sentence(folders, more, reported):
  sentence = scripts.refusal(SCRIPT.run, *arguments(folders[0], more))
  assert re.search(reported, sentence)


def test_two_folders_must_be_of_the_same_units(folders):
  path, _ = folders
  same = f"--against={path / 'for' / 'manifest.json'}"
  sentence = scripts.refusal(SCRIPT.run, *arguments(path, same))
  assert "not made with --direction=-1" in sentence
