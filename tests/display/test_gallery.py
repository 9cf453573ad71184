import json
import re

import browser
import numpy as np
import pytest
from browser import Page

from jdeepvis.display import files, gallery
from jdeepvis.types import JdeepvisError

HOSTILE = "</script><script>window.hacked = 1</script><b>&amp;\u2028{{data}}"


def record(title="130 flamingo", status="ok", file="pictures/130.png", **facts):
  return {
    "layer": "fc8",
    "unit": 130,
    "label": "flamingo",
    "seed": 0,
    "recipe": "sharp",
    "score": 40.0,
    "file": file,
    "title": title,
    "status": status,
    **facts,
  }


RECORDS = [
  record(f"200 {HOSTILE}", unit=200, score=10.0, label=HOSTILE),
  record(seed=0),
  record(seed=1, score=50.0),
  record("fc8 9", unit=9, score=None, status="zero_gradient", label=None),
  record("conv3 130", layer="conv3", score=30.0, label=None),
]


@pytest.fixture(name="write")
def fixture_write(tmp_path):
  def write(records, width=4, **more):
    for each in records:
      pixels = np.zeros((4, width, 3), np.uint8)
      files.write_image(tmp_path / each.get("preview", each["file"]), pixels)
    path = tmp_path / "index.html"
    more = {"title": "", "settings": {}, **more}
    gallery.write_gallery(path, records, **more)
    return path

  return write


def test_the_page_holds_the_records(write):
  settings = {"steps": 500, "recipe": {"decay": 0.01, "note": HOSTILE}}
  path = write(RECORDS, title=HOSTILE, settings=settings)
  page = Page(path.read_text(encoding="utf-8"))
  data = json.loads(page.texts["data"])
  for one, reported in zip(RECORDS, data["records"], strict=True):
    own = {name: reported[name] for name in ("file", "title", "status")}
    assert {**reported["facts"], **own} == one
  assert data["records"][0]["caption"] == "sharp · seed 0 · score 10"
  assert data["settings"] == settings
  assert data["title"] == HOSTILE
  assert page.tags.count("script") == 2
  assert "b" not in page.tags and "{{" not in page.texts["summary"]


def test_numbers_json_lacks_become_null(write):
  path = write([record(status="nan", score=np.float32("nan"))])
  data = json.loads(Page(path.read_text()).texts["data"])
  assert data["records"][0]["facts"]["score"] is None


def test_the_page_asks_for_nothing_outside(write):
  text = write(RECORDS).read_text()
  assert not re.search(r"https?:|//\w+\.|@import|url\(", text)


def test_a_picture_that_cannot_be_read_is_named(write, tmp_path):
  path = write(RECORDS)
  before = path.read_text()
  (tmp_path / "pictures/130.png").write_bytes(b"junk")
  with pytest.raises(JdeepvisError, match=r"130\.png' is damaged"):
    gallery.write_gallery(path, RECORDS, title="", settings={})
  assert path.read_text() == before


@pytest.fixture(name="browse")
def fixture_browse(write, tmp_path):
  browser.require()

  def browse(records, address="", **more):
    path = write(records, title="A <i>run</i>", **more)
    return browser.visit(path.as_uri() + address, tmp_path / "profile")

  return browse


def test_the_browser_shows_every_picture_by_unit(browse):
  name = "a #1 & 100%?.png"
  page = browse([dict(each, file=f"pictures/{name}") for each in RECORDS])
  assert page.headings == [
    "130 flamingo",
    f"200 {HOSTILE}",
    "fc8 9",
    "conv3 130",
  ]
  assert page.tags.count("figure") == 5
  assert page.tags.count("script") == 2 and "i" not in page.tags
  assert page.sources == ["pictures/a%20%231%20%26%20100%25%3F.png"] * 5
  assert page.texts["summary"] == "5 pictures1 failed1 zero gradient"
  assert ["exactly zero" in text for text in page.captions] == [
    False,
    False,
    False,
    True,
    False,
  ]


def test_a_stretched_picture_tells_its_factor(browse):
  page = browse([record(contrast=18.3, preview="pictures/130_stretched.png")])
  assert page.captions == ["sharp · seed 0 · score 40 · contrast x18"]
  assert page.sources == ["pictures/130_stretched.png"]


def test_several_pictures_in_one_are_a_strip(browse):
  reported = "Red where it counts."
  page = browse(RECORDS, width=12, legend=reported)
  assert page.texts["legend"] == reported
  figures = [classes for classes in page.classes if "strip" in classes]
  assert len(figures) == 5
  assert not [x for x in browse(RECORDS, width=6).classes if "strip" in x]


@pytest.mark.parametrize(
  ("address", "captions"),
  [
    (
      "#find=FLAM&sort=highest+score",
      ["seed 1 · score 50score 50", "seed 0 · score 40score 40"],
    ),
    ("#find=200", ["seed 0 · score 10"]),
    ("#layer=conv3", ["seed 0 · score 30"]),
    ("#seed=1", ["seed 1 · score 50"]),
    (
      "#least+score=20&most+score=40",
      ["seed 0 · score 40", "seed 0 · score 30"],
    ),
    (
      "#status=ok&sort=lowest+unit&layer=fc8",
      [
        "seed 0 · score 40unit 130",
        "seed 1 · score 50unit 130",
        "seed 0 · score 10unit 200",
      ],
    ),
    ("#status=failed", ["seed 0"]),
    (
      "#least+blur=0.5&most+blur=2&sort=lowest+blur",
      ["seed 1 · score 50blur 1", "seed 0 · score 40blur 2"],
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
  reported = [text.removeprefix("sharp · ") for text in page.captions]
  assert [text.partition("The grad")[0] for text in reported] == captions
  assert page.texts["nothing"].startswith("Nothing matches")
  assert ("hidden" in page.attributes["nothing"]) == bool(captions)


def test_any_fact_is_sorted_and_filtered_by(browse):
  """Whatever a script calls its facts: nothing here knows their names."""
  several = [
    {
      "file": f"{i}.png", "title": f"photo {i}", "status": "ok",
      "error": error, "kept": i > 1, "method": ("fast", "slow")[i % 2],
    }
    for i, error in enumerate((0.5, 0.125, 0.25))
  ]  # fmt: skip
  captioned = ("method", "error")
  page = browse(several, "#sort=lowest+error", captioned=captioned)
  assert page.headings == ["photo 1", "photo 2", "photo 0"]
  page = browse(several, "#method=fast&most+error=0.3", captioned=captioned)
  assert page.captions == ["fast · error 0.25"]
  assert browse(several, "#kept=true").headings == ["photo 2"]


def many(count):
  """Records of one file, all units of two layers."""
  return [
    record(
      f"conv{i % 2} {i}", layer=f"conv{i % 2}", unit=i, score=float(i % 97),
      status="nan" if i == 5 else "ok",
    )
    for i in range(count)
  ]  # fmt: skip


def test_many_records_lie_beside_the_page(write, tmp_path):
  records = many(2500)
  data = json.loads(Page(write(records).read_text()).texts["data"])
  assert "records" not in data
  assert data["parts"] == [f"index/{number:04d}.js" for number in range(3)]
  found = []
  for part in data["parts"]:
    text = (tmp_path / part).read_text()
    assert text.startswith("receive(") and text.endswith(");\n")
    found += json.loads(text.removeprefix("receive(").removesuffix(");\n"))
  assert [one["title"] for one in found] == [one["title"] for one in records]
  # As many as fit into the page leave none beside it.
  data = json.loads(Page(write(records[:1000]).read_text()).texts["data"])
  assert len(data["records"]) == 1000 and "parts" not in data


def test_the_browser_draws_many_as_far_as_one_sees(browse):
  records = many(2500)
  page = browse(records)
  assert page.texts["summary"] == "2500 pictures1 failed1 nan"
  assert page.headings[0] == "conv0 0" and "2500 of 2500" in page.outputs
  assert 100 < len(page.headings) < 1500
  # All of them are searched and sorted, drawn or not.
  page = browse(records, "#find=2499")
  assert page.headings == ["conv1 2499"] and "1 of 2500" in page.outputs
  page = browse(records, "#sort=highest+score&layer=conv1&least+unit=2300")
  assert page.headings[0] == "conv1 2327" and "100 of 2500" in page.outputs
  page = browse(records, "#status=failed")
  assert page.headings == ["conv1 5"]


def test_a_shared_address_opens_a_picture(browse):
  page = browse(RECORDS, "#picture=pictures%2F130.png")
  assert page.texts["name"] == "130 flamingo · sharp · seed 0 · score 40"
  assert "recipesharpscore40" in page.texts["large"]
