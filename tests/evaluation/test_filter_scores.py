"""Pictures of a first layer's units against their closed forms."""

import numpy as np
import pytest
import small_networks

from jdeepvis.display.files import write_image
from jdeepvis.display.folder import PictureFolder
from jdeepvis.evaluation import filter_scores
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.runs.renders import render_folder
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.transforms import scale_to_rms
from jdeepvis.types import JdeepvisError

UNITS = range(8)
# Decay holds the norm down, so that no value comes near its box.
BALL = make_recipe(scale_to_rms, 1.0, decay=0.02, steps=64, keep="last")
# Steps so large that every value ends at a side of its box.
BOX = make_recipe(scale_to_rms, 1e5, steps=32, keep="last")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  network = small_networks.features()
  folder = PictureFolder.open(tmp_path_factory.mktemp("out") / "pictures", {})
  requests = [
    Request("conv1", unit, 0, name, recipe)
    for name, recipe in (("ball", BALL), ("box", BOX))
    for unit in UNITS
  ]
  for _ in render_folder(folder, network, requests, initial="mean"):
    pass
  return folder


def kernel(unit):
  return small_networks.features().params["conv1"]["kernel"][..., unit]


@pytest.fixture(scope="module")
def marked(folder):
  return filter_scores.beside_filters(
    folder.path, folder.records, small_networks.features()
  )


def test_under_a_norm_the_picture_is_the_filter(marked):
  reported = [
    one["filter_correlation"] for one in marked if one["recipe"] == "ball"
  ]
  assert len(reported) == len(UNITS) and min(reported) > 0.999


def test_in_the_box_the_picture_is_its_corner(marked):
  mean = small_networks.features().input.mean
  for record in marked[len(UNITS) :]:
    k = kernel(record["unit"])
    corner = np.where(k > 0, 255, 0) - mean
    expected = np.vdot(corner, k) / np.linalg.norm(corner) / np.linalg.norm(k)
    assert record["filter_correlation"] == pytest.approx(expected, abs=1e-3)
    assert expected < 0.99


def test_a_row_sums_up_each_recipe(marked):
  ball, box = filter_scores.filter_table(marked)
  assert (ball["recipe"], box["recipe"]) == ("ball", "box")
  reported = np.array([one["filter_correlation"] for one in marked])
  for row, values in zip((ball, box), np.split(reported, 2), strict=True):
    assert row["pictures"] == len(UNITS) and row["layer"] == "conv1"
    assert row["median"] == pytest.approx(np.median(values))
    assert row["smallest"] == pytest.approx(values.min())
    assert row["above_0.9"] == np.sum(values > 0.9)


def test_the_opposite_is_told_and_what_shows_nothing_too(tmp_path):
  network = small_networks.features()
  images = {"against": -100 * kernel(2), "nothing": 0 * kernel(2)}
  records = []
  for name, image in images.items():
    image = image / (np.abs(image).max() or 1) * 90
    write_image(tmp_path / f"{name}.png", to_pixels(image, network.input))
    records.append(
      {"layer": "conv1", "unit": 2, "recipe": "r", "file": f"{name}.png"}
    )
  against, nothing = filter_scores.beside_filters(tmp_path, records, network)
  assert against["filter_correlation"] == pytest.approx(-1, abs=1e-3)
  assert np.isnan(nothing["filter_correlation"])
  (row,) = filter_scores.filter_table([against, nothing])
  assert row["median"] == row["smallest"] == against["filter_correlation"]


def test_what_is_no_picture_of_the_field_is_refused(folder, tmp_path):
  network = small_networks.features()
  write_image(tmp_path / "whole.png", np.zeros((33, 33, 3), np.uint8))
  record = {"layer": "conv1", "unit": 0, "recipe": "r", "file": "whole.png"}
  with pytest.raises(JdeepvisError, match=r"3 x 3 pixels.*canvas=field"):
    filter_scores.beside_filters(tmp_path, [record], network)
  deep = {**record, "layer": "conv2"}
  with pytest.raises(JdeepvisError, match="'conv2' are not linear"):
    filter_scores.beside_filters(tmp_path, [deep], network)
