"""The scan as people run it: killed, resumed, shared out, fed bad files."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grain  # noqa: F401  (its flags must outlive a script's)
import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.probing import images, top_patches
from jdeepvis.runs.store import Store

ROOT = Path(__file__).parents[2]
SCRIPT = scripts.Script("experiments.find_top_patches")
RENDER = scripts.Script("experiments.render_units")
NET = "--net=small_networks:classifier"
# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module")
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
# States every moment rather than every 20 seconds, and time to be killed in.
_EAGER = """
import functools, time
from experiments import find_top_patches, script
from jdeepvis.runs import scans
from jdeepvis.runs.store import Store
scans.scan_images = functools.partial(scans.scan_images, seconds=0)
save = Store.save
def slowly(*arguments):
  save(*arguments)
  time.sleep(0.2)
Store.save = slowly
script.run(find_top_patches.main, all_cores=True)
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
  """A tree of 70 small pictures, some of them broken."""
  folder = tmp_path_factory.mktemp("photos")
  rng = np.random.default_rng(0)
  for number in range(70):
    path = folder / f"class_{number % 3}" / f"{number:02d}.png"
    path.parent.mkdir(exist_ok=True)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
    small.resize((40, 36)).save(path)
  (folder / "class_1" / "37.png").write_bytes(b"")
  (folder / "class_2" / "38.png").write_text("no picture")
  return folder


def results(out):
  """Every file of a tree that is a result, by name."""
  return {
    str(path.relative_to(out)): path.read_bytes()
    for path in sorted(out.rglob("*"))
    if path.is_file()
    and ".scan" not in path.parts
    and path.name != "manifest.json"
  }


def test_from_a_folder_to_a_tree(photos, tmp_path, capsys):
  out = tmp_path / "out"
  SCRIPT.run(
    NET, f"--images={photos}", f"--out={out}", "--bottom=2",
    "--views=deconv,gradient", "--layers=conv2,output",
  )  # fmt: skip
  reported = capsys.readouterr().out
  assert "Skipped 2, each of which is no picture that can be read" in reported
  assert (
    "21 units on 68 images" in reported and str(out / "index.html") in reported
  )
  assert (out / "skipped.txt").read_text().splitlines() == [
    "class_1/37.png: is no picture that can be read",
    "class_2/38.png: is no picture that can be read",
  ]
  network = small_networks.classifier()
  listing = images.list_images(photos)
  good = [
    name for name in listing.names if "37" not in name and "38" not in name
  ]
  pixels = np.stack(
    [preprocess(read_picture(photos / name), network.input) for name in good]
  )
  blobs = network(pixels)
  for layer, folder in (("conv2", "conv2"), ("scores", "scores")):
    values = np.asarray(blobs[layer])
    for unit in range(values.shape[-1]):
      maps = values[..., unit].reshape(68, -1)
      info = json.loads(
        (out / folder / f"unit_{unit:04d}" / "info.json").read_text()
      )
      order = np.argsort(-maps.max(1), kind="stable")[:9]
      fires = [i for i in order if maps[i].max() != 0]
      assert info["fires_in"] == (maps.max(1) > 0).sum()
      assert sum(count for *_, count in info["histogram"]) == 68
      assert [reported["image"] for reported in info["top"]] == [
        good[i] for i in fires
      ]
      np.testing.assert_allclose(
        [reported["score"] for reported in info["top"]],
        maps.max(1)[fires],
        atol=1e-4,
      )
      assert info["views"] == ["deconv", "backprop"]
      assert len(info["bottom"]) == 2
      for rank in range(len(fires)):
        for view in ("maxim", "deconv", "backprop"):
          path = out / folder / f"unit_{unit:04d}" / f"{view}_{rank:03d}.png"
          assert path.exists()
  info = json.loads((out / "scores/unit_0003/info.json").read_text())
  assert info["label"] == "thing 3, or so"
  # The whole picture is what a class sees, in its own colours.
  best = np.asarray(Image.open(out / "scores/unit_0003/maxim_000.png"))
  seen = preprocess(
    read_picture(photos / info["top"][0]["image"]), network.input
  )
  np.testing.assert_allclose(best, seen + network.input.mean, atol=1)
  assert (out / "index.html").exists() and (out / "conv2/units.js").exists()


def test_killed_and_started_again_gives_the_same_tree(photos, tmp_path):
  """A real kill -9, once a state lies there."""
  flags = [NET, f"--images={photos}", "--layers=conv2", "--bottom=1"]
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  with subprocess.Popen(
    [sys.executable, "-c", _EAGER, *flags, f"--out={killed}"],
    cwd=ROOT, env=ENV, stderr=subprocess.DEVNULL,
  ) as process:  # fmt: skip
    deadline = time.monotonic() + 120
    store = Store(killed / ".scan")
    while not store.path.exists():
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
  assert 0 < store.load()["seen"] < 70
  for out in (killed, whole):
    done = subprocess.run(
      [sys.executable, "-m", "experiments.find_top_patches", *flags,
       f"--out={out}"],
      cwd=ROOT, env=ENV, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # It went on from there, rather than from the start.
    assert ("| 0/70 " in done.stderr) == (out == whole)
  assert results(killed) == results(whole)


def test_two_processes_find_what_one_does(photos, tmp_path):
  flags = [NET, f"--images={photos}", "--layers=conv1,output", "--bottom=1"]
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  one, two = tmp_path / "one", tmp_path / "two"
  command = [sys.executable, "-m", "experiments.find_top_patches", *flags]
  shared = [
    subprocess.Popen(
      [
        *command,
        f"--out={two}",
        f"--coordinator=127.0.0.1:{port}",
        "--processes=2",
        f"--process={number}",
      ],
      cwd=ROOT,
      env=ENV,
      stderr=subprocess.PIPE,
      text=True,
    )
    for number in range(2)
  ]
  for process in shared:
    _, reported = process.communicate(timeout=120)
    assert process.returncode == 0, reported
  subprocess.run([*command, f"--out={one}"], cwd=ROOT, env=ENV, check=True)
  assert results(one) == results(two)


def test_renderings_go_into_the_same_tree(photos, tmp_path):
  tree = tmp_path / "tree"
  render = "--units=2,5", "--steps=2", "--seeds=2", "--recipe=none"
  RENDER.run(
    NET,
    *render,
    f"--tree={tree}",
    "--layer=conv2",
    f"--out={tmp_path / 'low'}",
  )
  SCRIPT.run(
    NET, f"--images={photos}", f"--out={tree}",
    "--layers=conv2,output",
  )  # fmt: skip
  RENDER.run(NET, *render, f"--tree={tree}", f"--out={tmp_path / 'high'}")
  for layer, count in (("conv2", 12), ("scores", 9)):
    info = json.loads((tree / layer / "unit_0005/info.json").read_text())
    assert [one["seed"] for one in info["rendered"]] == [0, 1]
    assert len(info["top"]) == 9
    assert (tree / layer / "unit_0005" / "opt_none_1.png").exists()
    original = tree / "regularized_opt" / layer
    assert (original / f"{layer}_0005_montage.jpg").exists()
    with Image.open(original / "whole_layer.jpg") as sheet:
      width, height = sheet.size
    side = int(np.ceil(np.sqrt(count)))
    assert width == height and width % side == 0
    units = (tree / layer / "units.js").read_text()
    assert units.count("opt_none_0.png") == 2
  assert len(json.loads((tree / "manifest.json").read_text())["records"]) == 2
  with pytest.raises(SystemExit) as stop:
    RENDER.run(
      "--net=small_networks:judge", *render, f"--tree={tree}",
      f"--out={tmp_path / 'other'}",
    )  # fmt: skip
  assert "was made with net=" in stop.value.code


WRONG = [
  (["--views=deconf"], ["'deconf'; nearest: deconv"]),
  (["--layers=conv7"], ["'conv7'", "nearest: conv"]),
  (["--images=gone"], ["'gone' is neither a folder"]),
  (["--net=caffenot"], ["'caffenot'"]),
  (["--k=0"], ["--k=0"]),
  (["--processes=2"], ["--coordinator=HOST:PORT"]),
  (["--images="], ["--images=FOLDER"]),
]


@pytest.mark.parametrize(
  ("arguments", "reported"), WRONG, ids=[" ".join(case[0]) for case in WRONG]
)
def test_wrong_arguments_are_one_sentence(
  photos, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(NET, f"--images={photos}", f"--out={out}", *arguments)
  sentence = stop.value.code
  assert sentence.startswith("error: ") and "\n" not in sentence
  assert all(words in sentence for words in reported)
  assert not out.exists()


def test_an_image_that_went_away_is_named(monkeypatch, tmp_path):
  folder = tmp_path / "photos"
  folder.mkdir()
  for name in ("a.png", "b.png"):
    Image.new("RGB", (9, 9), "red").save(folder / name)
  save = Store.save

  def save_and_lose(store, found):
    save(store, found)
    (folder / "b.png").unlink()

  monkeypatch.setattr(Store, "save", save_and_lose)
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(
      NET, f"--images={folder}", "--layers=output",
      f"--out={tmp_path / 'out'}",
    )  # fmt: skip
  assert "b.png' is missing now" in stop.value.code


def test_an_image_that_was_replaced_is_told(monkeypatch, tmp_path, capsys):
  folder, out = tmp_path / "photos", tmp_path / "out"
  folder.mkdir()
  rng = np.random.default_rng(0)
  names = ("a.png", "b.png")
  for name in names:
    Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(
      folder / name
    )
  save = Store.save

  def save_and_replace(store, found):
    save(store, found)
    Image.new("RGB", (40, 40), "red").save(folder / "b.png")

  monkeypatch.setattr(Store, "save", save_and_replace)
  arguments = NET, f"--images={folder}", "--layers=output", f"--out={out}"
  SCRIPT.run(*arguments)
  reported = [
    one
    for info in (out / "scores").glob("*/info.json")
    for one in json.loads(info.read_text())["top"]
  ]
  changed = [one["image"] for one in reported if "recomputed" in one]
  assert changed and set(changed) == {"b.png"}
  warning = f"the values of {len(changed)} patches are more than 0.1"
  assert warning in capsys.readouterr().out
  # A later run, which makes no patch, says so too.
  SCRIPT.run(*arguments)
  assert warning in capsys.readouterr().out


def test_missing_packages_are_one_sentence(monkeypatch, photos, tmp_path):
  monkeypatch.setitem(sys.modules, "grain", None)
  with pytest.raises(SystemExit) as stop:
    SCRIPT.run(NET, f"--images={photos}", f"--out={tmp_path}")
  assert "grain: pip install 'jdeepvis[probe]'" in stop.value.code


def test_other_settings_are_refused(photos, tmp_path):
  base = NET, f"--images={photos}", f"--out={tmp_path / 'out'}", "--views="
  SCRIPT.run(*base, "--layers=output", "--k=2")
  for other in ("--k=3", "--layers=conv1", "--net=small_networks:judge"):
    with pytest.raises(SystemExit) as stop:
      SCRIPT.run(*base, "--layers=output", "--k=2", other)
    assert "was made with" in stop.value.code


def test_views_are_added_to_a_finished_scan(monkeypatch, photos, tmp_path):
  net, looked_at = "--net=small_networks:own", f"--images={photos}"
  one, other = tmp_path / "one", tmp_path / "other"
  SCRIPT.run(net, looked_at, f"--out={one}", "--views=deconv")
  before = results(one)
  looks = []
  monkeypatch.setattr(
    top_patches, "look", lambda *x, **more: looks.append(x) or 1 / 0
  )
  SCRIPT.run(net, looked_at, f"--out={one}", "--views=gradient")
  monkeypatch.undo()
  assert not looks
  after = results(one)
  assert all(
    after[name] == data for name, data in before.items() if ".png" in name
  )
  info = json.loads(after["conv/unit_0000/info.json"])
  assert info["views"] == ["deconv", "backprop"]
  # What a unit of 5 x 5 pixels sees, not the whole image.
  with Image.open(one / "conv/unit_0000/maxim_000.png") as patch:
    assert patch.size == (5, 5)
  SCRIPT.run(net, looked_at, f"--out={other}", "--views=deconv,gradient")
  assert results(other).keys() == after.keys()
  for name, data in results(other).items():
    if not name.endswith((".html", ".js")):
      assert after[name] == data, name


def test_a_view_that_the_network_cannot_have_is_refused(photos, tmp_path):
  out = tmp_path / "out"
  arguments = "--net=small_networks:gelu", f"--images={photos}", f"--out={out}"
  assert "has no ReLU" in scripts.refusal(SCRIPT.run, *arguments)
  assert not out.exists()
  SCRIPT.run(*arguments, "--views=gradient", "--layers=scores", "--k=2")
  assert "has no ReLU" in scripts.refusal(
    SCRIPT.run, *arguments, "--views=guided", "--layers=scores", "--k=2"
  )
