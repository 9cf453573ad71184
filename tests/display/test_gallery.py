import json
import re

import browser
import numpy as np
import pytest
from browser import Page

from jdeepvis.display import files, gallery, presentation
from jdeepvis.types import JdeepvisError

HOSTILE = "</script><script>window.hacked = 1</script><b>&amp;\u2028{{data}}"


def record(**facts):
  return {
    "layer": "fc8",
    "unit": 130,
    "label": "flamingo",
    "seed": 0,
    "recipe": "sharp",
    "score_start": 0.5,
    "score_best": 40.0,
    "step_best": 499,
    "probability": 0.9,
    "activation": 41.0,
    "seconds": 1.5,
    "status": "ok",
    "file": "pictures/130.png",
    **facts,
  }


RECORDS = [
  record(unit=200, score_best=10.0, label=HOSTILE),
  record(seed=0, score_best=40.0),
  record(seed=1, score_best=50.0),
  record(unit=9, score_best=None, status="zero_gradient", label=None),
  record(layer="conv3", score_best=30.0, probability=None, label=None),
]


def test_the_page_holds_the_records(tmp_path):
  settings = {"steps": 500, "recipe": {"decay": 0.01, "note": HOSTILE}}
  path = tmp_path / "index.html"
  gallery.write_gallery(path, RECORDS, title=HOSTILE, settings=settings)
  page = Page(path.read_text(encoding="utf-8"))
  data = json.loads(page.texts["data"])
  assert data["records"] == RECORDS
  assert data["settings"] == settings
  assert data["title"] == HOSTILE
  assert page.tags.count("script") == 2
  assert "b" not in page.tags


def test_numbers_json_lacks_become_null(tmp_path):
  path = tmp_path / "index.html"
  broken = record(status="nan", score_best=np.float32("nan"))
  gallery.write_gallery(path, [broken], title="", settings={})
  data = json.loads(Page(path.read_text()).texts["data"])
  assert data["records"][0]["score_best"] is None


def test_the_page_asks_for_nothing_outside(tmp_path):
  path = tmp_path / "index.html"
  gallery.write_gallery(path, RECORDS, title="", settings={})
  assert not re.search(r"https?:|//\w+\.|@import|url\(", path.read_text())


def test_a_record_that_lacks_a_fact_is_refused(tmp_path):
  path = tmp_path / "index.html"
  incomplete = record()
  del incomplete["seed"]
  with pytest.raises(JdeepvisError, match=r"Record 1 .* 'seed'"):
    gallery.write_gallery(path, [record(), incomplete], title="", settings={})
  assert not path.exists()


@pytest.fixture(name="browse")
def fixture_browse(tmp_path):
  browser.require()

  def browse(records, address=""):
    path = tmp_path / "index.html"
    gallery.write_gallery(path, records, title="A <i>run</i>", settings={})
    return browser.visit(path.as_uri() + address, tmp_path / "profile")

  return browse


def test_the_browser_shows_every_picture_by_unit(browse, tmp_path):
  name = "a #1 & 100%?.png"
  files.write_image(tmp_path / "pictures" / name, np.zeros((4, 4, 3), np.uint8))
  records = [dict(each, file=f"pictures/{name}") for each in RECORDS]
  page = browse(records)
  assert [heading.strip() for heading in page.headings] == [
    "fc8 9",
    "fc8 130 flamingo",
    f"fc8 200 {HOSTILE}",
    "conv3 130",
  ]
  assert page.tags.count("figure") == 5
  assert page.tags.count("script") == 2 and "i" not in page.tags
  assert page.sources == ["pictures/a%20%231%20%26%20100%25%3F.png"] * 5
  assert page.texts["summary"] == "5 pictures of 4 units1 failed1 zero gradient"
  assert ["exactly zero" in text for text in page.captions] == [
    True,
    False,
    False,
    False,
    False,
  ]


def test_a_stretched_picture_tells_its_factor(browse):
  page = browse([record(contrast=18.3, view="pictures/130_stretched.png")])
  assert page.captions == ["sharp · seed 0 · contrast x18.3score 40"]


def test_a_picture_of_a_whole_layer_names_no_unit(browse, tmp_path):
  name = "pictures/whole.png"
  files.write_image(tmp_path / name, np.zeros((4, 4, 3), np.uint8))
  page = browse([record(unit=None, label=None, file=name)])
  assert [heading.strip() for heading in page.headings] == ["fc8"]
  facts = record(unit=None, label=None)
  assert presentation.caption(facts).splitlines()[0] == "fc8"


@pytest.mark.parametrize(
  ("address", "captions"),
  [
    ("#find=FLAM&sort=highest+score", ["seed 1score 50", "seed 0score 40"]),
    ("#find=200", ["seed 0score 10"]),
    ("#layer=conv3", ["seed 0score 30"]),
    ("#seed=1&recipe=sharp", ["seed 1score 50"]),
    (
      "#status=ok&sort=lowest+score",
      ["seed 0score 10", "seed 0score 30", "seed 0score 40", "seed 1score 50"],
    ),
    (
      "#least+blur=0.5&most+blur=2&sort=lowest+blur",
      ["seed 1blur 1", "seed 0blur 2"],
    ),
    ("#find=nobody", []),
  ],
)
def test_the_address_holds_the_view(browse, address, captions):
  blurs = {0: 3.0, 1: 2.0, 2: 1.0}
  records = [
    dict(each, strengths={"blur": blurs[i]} if i in blurs else {})
    for i, each in enumerate(RECORDS)
  ]
  page = browse(records, address)
  assert [text.removeprefix("sharp · ") for text in page.captions] == captions
  assert page.texts["nothing"].startswith("Nothing matches")
  assert ("hidden" in page.attributes["nothing"]) == bool(captions)
