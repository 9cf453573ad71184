"""Records: what they are called, what captions tell, what old ones become."""

import pytest

from jdeepvis.display import records
from jdeepvis.display.records import Record, caption, from_version_1, unit_title


def test_a_record_in_a_manifest_has_its_facts_beside_it():
  record = Record("a.png", "a cat", "ok", {"error": 0.5, "title": "no"})
  assert record.to_plain() == {
    "error": 0.5, "file": "a.png", "title": "a cat", "status": "ok",
  }  # fmt: skip


@pytest.mark.parametrize(
  ("unit", "label", "title"),
  [
    (7, None, "conv1 7"),
    (None, None, "conv1"),
    (1, "goldfish, Carassius auratus", "1 goldfish"),
  ],
)
def test_units_without_a_name_are_told_by_their_layer(unit, label, title):
  assert unit_title("conv1", unit, label) == title


@pytest.mark.parametrize(
  ("facts", "reported"),
  [
    ({"probability": 0.25, "activation": 9.0}, "probability 0.25"),
    ({"probability": None, "activation": 9.0, "score": 8.0}, "activation 9"),
    ({"probability": None, "activation": None, "score": 8.5}, "score 8.5"),
    ({"probability": None, "contrast": 18.3}, "contrast x18"),
  ],
)
def test_a_rendered_picture_tells_what_it_reached(facts, reported):
  facts = {"recipe": "none", "seed": 3, **facts}
  assert caption(facts) == f"none · seed 3 · {reported}"


def test_facts_go_by_their_own_names_whatever_they_are():
  facts = {
    "label": "tabby, tabby cat", "named_inside": True, "named_outside": False,
    "largest_loss": 0.123456, "largest_loss_at": [3, 40], "guide": None,
  }  # fmt: skip
  assert caption(facts, list(facts)) == (
    "tabby · named inside · not named outside · largest loss 0.1235 · "
    "largest loss at 3, 40"
  )
  nested = {"strengths": {"blur": 0.5}, "box": {"top": 3}, "share": 0.5}
  assert dict(records.flat(nested)) == {"blur": 0.5, "box top": 3, "share": 0.5}


OLD = {
  "layer": "fc8", "unit": 4, "label": "tabby, cat", "seed": 0,
  "recipe": "photo", "score_start": 0.25, "score_best": 0.5, "step_best": 0,
  "probability": None, "activation": 0.75, "seconds": 1.0, "status": "ok",
  "file": "a.png",
}  # fmt: skip


@pytest.mark.parametrize(
  ("facts", "title", "today", "gone"),
  [
    ({}, "4 tabby", {"recipe": "photo", "activation": 0.75}, "photograph"),
    ({"view": "b.png"}, "4 tabby", {"preview": "b.png"}, "view"),
    (
      {"error": 0.75, "unit": 7},
      "fc8",
      {"depth": 7, "photograph": "photo", "error": 0.75},
      "activation",
    ),
    (
      {"largest_loss": 0.5},
      "photo",
      {"value": 0.75, "photograph": "photo", "unit": 4},
      "score_start",
    ),
    (
      {"share": 0.5, "probability": 0.75},
      "photo",
      {"probability": 0.75, "photograph": "photo", "share": 0.5},
      "activation",
    ),
    (
      {"method": "fgsm targeted", "recipe": "a, b, fgsm targeted"},
      "a, b",
      {"probability_before": 0.25, "photograph": "a, b"},
      "activation",
    ),
    (
      {"steps": 3, "recipe": "none from mean"},
      "4 tabby",
      {"recipe": "none", "initial": "mean", "steps": 3},
      "photograph",
    ),
  ],
)
def test_records_of_version_0_1_get_todays_names(facts, title, today, gone):
  new = from_version_1({**OLD, **facts})
  assert new["title"] == title and gone not in new
  assert {name: new[name] for name in today} == today
  assert from_version_1(new) == new


def test_what_is_no_picture_is_left_alone():
  layer = {"layer": "conv1", "units": 96, "file": "conv1/units.js"}
  assert from_version_1(layer) == layer
