"""Folders of pictures: begun, extended, resumed, never spoilt."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from jdeepvis.display import files, folder, manifest
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.manifest import picture_file, safe_name
from jdeepvis.runs.jobs import Made
from jdeepvis.types import JdeepvisError

SETTINGS = {"net": "tiny", "steps": None, "position": (1, 2)}


def made(
  unit, seed=0, layer="fc8", recipe="default", contrast=60, status="ok", **facts
):
  """A picture's file, and what `add` wants of it."""
  generator = np.random.default_rng([unit, seed])
  facts = {
    "layer": layer,
    "unit": unit,
    "seed": seed,
    "recipe": recipe,
    "probability": 0.9,
    "seconds": 1.5,
    **facts,
  }
  image = generator.normal(0, contrast, (6, 5, 3)).astype(np.float32)
  pixels = generator.integers(0, 256, (6, 5, 3), np.uint8)
  history = {
    "score": generator.normal(size=4).astype(np.float32),
    "is_largest": generator.integers(0, 2, 4).astype(bool),
  }
  file = picture_file(layer, unit, recipe, seed)
  title = f"{layer} {unit}"
  return file, Made(title, facts, pixels, image, history, status)


def add(pictures, *items):
  pictures.add(dict(items))


def facts(path):
  return json.loads((path / "manifest.json").read_text())


def contents(path):
  return {
    str(file.relative_to(path)): (file.read_bytes(), file.stat().st_mtime_ns)
    for file in sorted(path.rglob("*"))
    if file.is_file()
  }


def test_a_new_folder_has_its_manifest(tmp_path):
  path = tmp_path / "new" / "folder"
  pictures = PictureFolder.open(path, SETTINGS, versions={"jax": "1"})
  assert facts(path) == {
    "settings": {"net": "tiny", "steps": None, "position": [1, 2]},
    "versions": {"jax": "1"},
    "records": [],
  }
  assert "a.png" not in pictures
  assert [entry.name for entry in path.iterdir()] == ["manifest.json"]


def test_an_empty_folder_is_taken(tmp_path):
  PictureFolder.open(tmp_path, SETTINGS)
  assert facts(tmp_path)["records"] == []


def test_pictures_lie_where_their_records_say(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  first = made(130, contrast=1)
  second = made(7, seed=3, layer="fire5/expand3x3", contrast=1)
  add(pictures, first, second)
  assert first[0] == "fc8/unit_0130/default/seed_0.png"
  assert second[0] == "fire5-expand3x3/unit_0007/default/seed_3.png"
  for file, one in (first, second):
    assert file in pictures
    with Image.open(tmp_path / file) as image:
      np.testing.assert_array_equal(np.asarray(image), one.pixels)
  # Both are faint, so each has another picture to show in its stead.
  records = facts(tmp_path)["records"]
  for record in records:
    contrast, preview = record.pop("contrast"), record.pop("preview")
    assert contrast > 4
    assert preview == record["file"].replace(".png", "_stretched.png")
    assert (tmp_path / preview).exists()
  for record, (file, one) in zip(records, (first, second), strict=True):
    own = {"file": file, "title": one.title, "status": "ok"}
    assert record == {**one.facts, **own}


@pytest.mark.parametrize("channels", [1, 3])
def test_faint_pictures_are_stretched_too(tmp_path, channels):
  (file, faint), (other, strong) = made(1), made(2)
  generator = np.random.default_rng(0)
  image = generator.uniform(-10, 10, (40, 30, channels)).astype(np.float32)
  image[0, 0] = 10
  pixels = np.full((40, 30, channels), 7, np.uint8)
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  add(
    pictures,
    (file, faint._replace(pixels=pixels, image=image)),
    (other, strong._replace(pixels=pixels, image=5 * image)),
  )
  first, second = facts(tmp_path)["records"]
  assert second["file"] == other and "contrast" not in second
  assert not list(tmp_path.glob("fc8/unit_0002/*/*_stretched.png"))
  assert first["contrast"] == pytest.approx(12.75, rel=0.01)
  with Image.open(tmp_path / first["preview"]) as preview:
    seen = np.asarray(preview).reshape(image.shape).astype(float)
  np.testing.assert_allclose(seen, 127.5 + 12.75 * image, atol=2)
  with Image.open(tmp_path / first["file"]) as same:
    np.testing.assert_array_equal(
      np.asarray(same).reshape(pixels.shape), pixels
    )


def test_a_folder_is_extended_and_old_files_stay(tmp_path):
  add(PictureFolder.open(tmp_path, SETTINGS), made(1), made(2))
  before = contents(tmp_path)
  again = PictureFolder.open(tmp_path, SETTINGS, versions={"jax": "2"})
  assert made(2)[0] in again and made(3)[0] not in again
  add(again, made(3))
  records = facts(tmp_path)["records"]
  assert [record["unit"] for record in records] == [1, 2, 3]
  after = contents(tmp_path)
  for name in before:
    assert name == "manifest.json" or after[name] == before[name]


@pytest.mark.parametrize(
  ("change", "reported"),
  [
    ({"net": "other"}, ["net='tiny'", "'other'"]),
    ({"steps": 7}, ["steps=None", "7"]),
    ({"position": (2, 1)}, ["position=[1, 2]", "[2, 1]"]),
    ({"more": 1}, ["more=None", "1"]),
  ],
)
def test_other_settings_are_refused_by_name(tmp_path, change, reported):
  add(PictureFolder.open(tmp_path, SETTINGS), made(1))
  before = contents(tmp_path)
  with pytest.raises(JdeepvisError) as error:
    PictureFolder.open(tmp_path, {**SETTINGS, **change})
  assert all(word in str(error.value) for word in [str(tmp_path), *reported])
  assert contents(tmp_path) == before


def test_a_foreign_folder_is_refused_untouched(tmp_path):
  (tmp_path / "thesis.txt").write_text("years of work")
  before = contents(tmp_path)
  with pytest.raises(JdeepvisError, match="no folder of pictures"):
    PictureFolder.open(tmp_path, SETTINGS)
  assert contents(tmp_path) == before


def test_one_run_at_a_time(tmp_path):
  path = tmp_path / "pictures"
  with only_run(path):
    PictureFolder.open(path, SETTINGS)
    with (
      pytest.raises(JdeepvisError, match=r"^Another run writes to .*\.$"),
      only_run(path),
    ):
      pass
    with only_run(tmp_path):
      pass
  with only_run(path):
    assert [file.name for file in path.iterdir()] == ["manifest.json"]


def test_what_cannot_be_a_folder_is_one_sentence(tmp_path):
  (tmp_path / "file").write_text("years of work")
  for name in ("file", "file/below", "x" * 300):
    with pytest.raises(JdeepvisError) as error:
      PictureFolder.open(tmp_path / name, SETTINGS)
    assert name in str(error.value) and str(error.value).endswith(".")
  assert (tmp_path / "file").read_text() == "years of work"


@pytest.mark.parametrize(
  "content",
  [
    "",
    '{"settings": {"net": "ti',
    "[]",
    "null",
    '{"settings": 3, "records": []}',
    '{"settings": {}}',
    '{"settings": {}, "records": [{}]}',
    '{"settings": {}, "records": [{"file": 3}]}',
    '{"settings": {}, "records": 7}',
    '{"settings": {}, "records": [], "kept": []}',
    "\udcff",
  ],
)
def test_a_damaged_manifest_is_one_sentence(tmp_path, content):
  file = tmp_path / "manifest.json"
  file.write_bytes(content.encode(errors="surrogateescape"))
  before = contents(tmp_path)
  with pytest.raises(JdeepvisError, match=r"manifest\.json.*another folder\."):
    PictureFolder.open(tmp_path, {})
  assert contents(tmp_path) == before


def test_a_run_killed_before_its_manifest_can_begin_again(tmp_path):
  """What `files.atomic` leaves behind when it is killed."""
  with files.atomic(tmp_path / "manifest.json") as temporary:
    temporary.write_text("{")
    scrap = temporary.with_name(temporary.name + "2.json")
    scrap.write_text("{")
  (tmp_path / "manifest.json").unlink()
  PictureFolder.open(tmp_path, SETTINGS)
  assert facts(tmp_path)["records"] == []


def test_records_come_after_all_files(tmp_path, monkeypatch):
  """Whichever write fails, no record speaks of what is not there."""
  writes = []
  healthy = 99

  def spied(home, name):
    function = getattr(home, name)

    def write(*args, **more):
      if len(writes) == healthy:
        raise OSError("disk full")
      writes.append((name, args[0]))
      return function(*args, **more)

    return write

  pictures = PictureFolder.open(tmp_path, SETTINGS)
  for name in ("write_image", "atomic"):
    monkeypatch.setattr(folder, name, spied(folder, name))
  monkeypatch.setattr(manifest, "write_json", spied(manifest, "write_json"))
  # Two pictures, the two stretched, two archives, the manifest.
  for number in range(7):
    healthy = number
    writes.clear()
    with pytest.raises(OSError, match="disk full"):
      add(pictures, made(1, contrast=1), made(2, contrast=1))
    assert facts(tmp_path)["records"] == []
    for file in tmp_path.rglob("*.png"):
      Image.open(file).load()
    for file in tmp_path.rglob("*.npz"):
      np.load(file).close()
    pictures = PictureFolder.open(tmp_path, SETTINGS)
    assert made(1)[0] not in pictures
  healthy = 99
  writes.clear()
  add(pictures, made(1, contrast=1), made(2, contrast=1))
  assert len(writes) == 7 and writes[-1][0] == "write_json"
  pictures.finish("Test")
  with np.load(tmp_path / "images.npz") as images:
    assert len(images) == 2


def test_a_faint_picture_has_a_stretched_preview(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  image = made(1, contrast=0.5)[1].image
  add(pictures, made(1, contrast=0.5), made(2))
  faint, plain = facts(tmp_path)["records"]
  assert "preview" not in plain and faint["contrast"] > 10
  with Image.open(tmp_path / faint["preview"]) as preview:
    values = np.asarray(preview).astype(float)
  strong = np.abs(image) > 0.1
  assert np.all((values > 127.5)[strong] == (image > 0)[strong])
  assert np.abs(values - 127.5).max() > 120
  pictures.finish("Test")
  # Without it the picture is made again.
  (tmp_path / faint["preview"]).unlink()
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert faint["file"] not in again and plain["file"] in again
  again.finish("Test")


def test_a_removed_picture_is_made_again(tmp_path):
  add(PictureFolder.open(tmp_path, SETTINGS), made(1), made(2))
  file = made(1)[0]
  (tmp_path / file).unlink()
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert file not in again and made(2)[0] in again
  again.finish("Test")
  add(again, made(1))
  assert {r["unit"] for r in facts(tmp_path)["records"]} == {1, 2}


@pytest.mark.parametrize("archive", ["images.npz", "history.npz"])
def test_removed_arrays_are_made_again(tmp_path, archive):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  add(pictures, made(1))
  pictures.finish("Test")
  assert made(1)[0] in PictureFolder.open(tmp_path, SETTINGS)
  (tmp_path / archive).unlink()
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert made(1)[0] not in again
  add(again, made(1))
  again.finish("Test")
  assert len(np.load(tmp_path / archive)) == len(made(1)[1].history) ** (
    archive == "history.npz"
  )


@pytest.mark.parametrize("file", ["images.npz", "history.npz", made(1)[0]])
def test_damaged_files_are_named_and_left_alone(tmp_path, file):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  add(pictures, made(1))
  pictures.finish("Test")
  whole = (tmp_path / file).read_bytes()
  for content in (b"", b"junk", whole[:-30]):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(JdeepvisError, match=r"is damaged; .*\.$") as error:
      PictureFolder.open(tmp_path, SETTINGS).finish("Test")
    assert file in str(error.value)
    assert (tmp_path / file).read_bytes() == content


def test_arrays_of_two_runs_are_merged(tmp_path):
  runs = [[made(1), made(1, seed=1)], [made(2), made(3, layer="a/b")]]
  for run in runs:
    pictures = PictureFolder.open(tmp_path, SETTINGS)
    for item in run:
      add(pictures, item)
    pictures.finish("Test")
  expected = {
    file.removesuffix(".png"): one for run in runs for file, one in run
  }
  with np.load(tmp_path / "images.npz") as images:
    assert set(images) == set(expected)
    for name, one in expected.items():
      np.testing.assert_array_equal(images[name], one.image)
  with np.load(tmp_path / "history.npz") as histories:
    assert set(histories) == {
      f"{name}/{what}" for name in expected for what in ("score", "is_largest")
    }
    for name, one in expected.items():
      for what, rows in one.history.items():
        np.testing.assert_array_equal(histories[f"{name}/{what}"], rows)
        assert histories[f"{name}/{what}"].dtype == rows.dtype


def test_arrays_made_again_replace_their_forerunners(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  file, one = made(1)
  image = one.image
  add(pictures, (file, one), made(2))
  pictures.finish("Test")
  add(pictures, (file, one._replace(image=image + 1)))
  add(pictures, (file, one._replace(image=image + 2)))
  pictures.finish("Test")
  with np.load(tmp_path / "images.npz") as images:
    assert len(images) == 2
    np.testing.assert_array_equal(
      images["fc8/unit_0001/default/seed_0"], image + 2
    )
    np.testing.assert_array_equal(
      images["fc8/unit_0002/default/seed_0"], made(2)[1].image
    )


def test_a_finish_that_failed_can_be_done_again(tmp_path, monkeypatch):
  """Killed between the two archives, nothing is lost or doubled."""
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  add(pictures, made(1), made(2))
  merge = PictureFolder._merge

  def fail(self, name):
    if name == "history":
      raise KeyboardInterrupt
    merge(self, name)

  with monkeypatch.context() as patch:
    patch.setattr(PictureFolder, "_merge", fail)
    with pytest.raises(KeyboardInterrupt):
      pictures.finish("Test")
  PictureFolder.open(tmp_path, SETTINGS).finish("Test")
  with np.load(tmp_path / "images.npz") as images:
    assert len(images) == 2
  with np.load(tmp_path / "history.npz") as histories:
    assert len(histories) == 4


def test_finish_leaves_what_shows_all_and_no_scraps(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  add(pictures, made(1), made(1, seed=1), made(2, status="nan"))
  pictures.finish("A title")
  assert {entry.name for entry in tmp_path.iterdir()} == {
    "manifest.json",
    "index.html",
    "montage.png",
    "images.npz",
    "history.npz",
    "fc8",
  }
  assert (tmp_path / "fc8/unit_0001/montage.png").exists()
  page = (tmp_path / "index.html").read_text()
  assert "A title" in page and "fc8/unit_0002/default/seed_0.png" in page


def test_small_pictures_are_enlarged_as_far_as_there_is_room(
  tmp_path, monkeypatch
):
  """Each pixel becomes a square of whole pixels."""
  for largest, block in ((4096, 32), (99, 16)):
    monkeypatch.setattr(folder, "_LARGEST_SIDE", largest)
    pictures = PictureFolder.open(tmp_path / str(largest), SETTINGS)
    file, one = made(1)
    pixels = one.pixels
    add(pictures, (file, one._replace(image=100 * one.image)))
    pictures.finish("Test")
    with Image.open(tmp_path / str(largest) / "montage.png") as sheet:
      sheet = np.asarray(sheet)
    enlarged = pixels.repeat(block, 0).repeat(block, 1)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, enlarged.shape)
    found = (windows[..., ::block, ::block, :] == pixels).all((-3, -2, -1))
    place = np.argwhere(found).min(0)
    np.testing.assert_array_equal(windows[tuple(place)], enlarged)


def test_numbers_that_are_none_survive_another_run(tmp_path):
  """JSON has no NaN: the next run reads null and must still caption it."""
  nan = float("nan")
  facts = {"probability": nan, "activation": nan, "score": -np.inf}
  add(PictureFolder.open(tmp_path, SETTINGS), made(1, status="nan", **facts))
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert again.manifest["records"][0]["activation"] is None
  again.finish("Test")


def test_what_is_settled_stays(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  assert pictures.settle("batch", lambda: 4) == 4
  assert pictures.settle("batch", lambda: 1 / 0) == 4
  again = PictureFolder.open(tmp_path, SETTINGS)
  assert again.settle("batch", lambda: 8) == 4


def test_a_pinned_value_is_refused_when_it_changes(tmp_path):
  pictures = PictureFolder.open(tmp_path, SETTINGS)
  pictures.pin("recipe default", {"rate": 4.0, "window": (1, 2)})
  again = PictureFolder.open(tmp_path, SETTINGS)
  again.pin("recipe default", {"rate": 4.0, "window": (1, 2)})
  again.pin("recipe default", {"rate": 4.0, "window": (1, 2), "new": None})
  for changed, reported in (
    ({"rate": 5.0, "window": (1, 2)}, "rate=4.0, not 5.0;"),
    ({"rate": 4.0, "window": (1, 3)}, "window=[1, 2], not [1, 3];"),
    ({"rate": 4.0}, "window=[1, 2], not None;"),
  ):
    with pytest.raises(JdeepvisError) as error:
      again.pin("recipe default", changed)
    assert f"with recipe default: {reported}" in str(error.value)
  with pytest.raises(JdeepvisError, match=r"with recipe default=.*not 3;"):
    again.pin("recipe default", 3)


HOSTILE = ("fire2/concat", "fire2-concat", "a/b", "a-b", "a%2Fb", "a%2Db",
  "", ".", "..", "../..", "...", "/etc/passwd", ".unfinished", "a\\b", "a:b",
  "a?b", "a*b", "|", "<b>", "~", "%", "%25", "naïve", "層", "x y", "new\nline",
  "nul\0", '"quoted"', "'")  # fmt: skip


def test_hostile_layer_names_are_safe_and_apart(tmp_path):
  safe = [safe_name(name) for name in HOSTILE]
  assert len(set(safe)) == len(HOSTILE)
  for name in safe:
    assert re.fullmatch(r"[A-Za-z0-9_ +,=@%~-][A-Za-z0-9._ +,=@%~-]*", name)
  assert safe_name("fire2/concat") == "fire2-concat"
  assert safe_name("conv1_1.2") == "conv1_1.2"
  pictures = PictureFolder.open(tmp_path / "in", SETTINGS)
  add(pictures, *(made(1, layer=name) for name in HOSTILE))
  pictures.finish("Test")
  assert [entry.name for entry in tmp_path.iterdir()] == ["in"]
  inside = {entry.name for entry in (tmp_path / "in").iterdir()}
  assert inside >= set(safe)
