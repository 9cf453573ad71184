"""A person's way through the toolbox, in a real browser."""

import base64
import contextlib
import io
import json
import threading
import time

import browser
import devtools
import numpy as np
import pytest
import toolbox_network
import uvicorn
from PIL import Image

from jdeepvis.display.unit_tree import PATCHES, UnitTree
from jdeepvis.synthesis import named_recipes
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.transforms import scale_to_rms
from jdeepvis.toolbox import server


@contextlib.contextmanager
def serving(app):
  """The application on a free port, in a thread of its own."""
  config = uvicorn.Config(
    app, port=0, log_level="warning", ws="websockets-sansio"
  )
  runner = uvicorn.Server(config)
  thread = threading.Thread(target=runner.run)
  thread.start()
  try:
    while not runner.started:
      time.sleep(0.05)
    (socket,) = runner.servers[0].sockets
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
  finally:
    runner.should_exit = True
    thread.join()


PICTURES = """(() => {
  const sums = [];
  for (const id of ["input", "tiles", "backward"]) {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(
      0, 0, canvas.width, canvas.height);
    sums.push(data.reduce((a, b, i) => (a * 31 + b * (i % 251)) % 1e9, 7));
  }
  return sums;
})()"""


def text(tab, name):
  return tab.ask(f"document.getElementById({name!r}).textContent")


def wait_for(tab, name, words):
  tab.wait(f"document.getElementById({name!r}).textContent.includes({words!r})")


@pytest.mark.slow
def test_a_walk_through_the_toolbox(tmp_path):
  browser.require()
  app = server.build_app(toolbox_network.network(), title="small net")
  with (
    serving(app) as address,
    devtools.open_tab(tmp_path / "profile") as tab,
  ):
    tab.visit(address)
    wait_for(tab, "status", "conv1 : 0")
    assert text(tab, "file") == "chelsea.jpg"
    assert tab.ask("document.title") == "small net · jdeepvis"
    cat = tab.ask(PICTURES)

    tab.press("e")
    wait_for(tab, "file", "coffee.jpg")
    coffee = tab.ask(PICTURES)
    assert cat[0] != coffee[0] and cat[1] != coffee[1]

    tab.press("l")
    wait_for(tab, "status", "conv1 : 1")
    tab.press("o", "o", "o")
    wait_for(tab, "status", "conv5 : 1")
    box = tab.ask(
      "(({left, top, width, height}) => [left + width / 2, top + height / 2])"
      "(document.getElementById('tiles').getBoundingClientRect())"
    )
    tab.click(*box)
    tab.wait(
      "!document.getElementById('status').textContent.includes('conv5 : 1 ')"
    )

    before = tab.ask(PICTURES)[2]
    tab.press("b")
    wait_for(tab, "status", "gradient from conv5")
    gradient = tab.ask(PICTURES)[2]
    assert gradient != before
    tab.press("b")
    wait_for(tab, "status", ", norm")
    assert tab.ask(PICTURES)[2] != gradient

    hash_before, status = tab.ask("location.hash"), text(tab, "status")
    assert "layer=conv5" in hash_before and "rule=gradient" in hash_before
    tab.call("Page.reload")
    wait_for(tab, "status", ", norm")
    assert text(tab, "status").split("·")[0] == status.split("·")[0]
    assert tab.ask("location.hash") == hash_before

    upload(tab, tmp_path)
    tab.press("c")
    wait_for(tab, "file", "webcam")
    wait_for(tab, "status", "frames/s")
    tab.press("c", "h")
    tab.wait("document.getElementById('help').open")
    tab.press("Escape")
    tab.wait("!document.getElementById('help').open")
    assert tab.complaints == []


def upload(tab, folder):
  red = folder / "red.png"
  file = io.BytesIO()
  Image.fromarray(np.full((50, 60, 3), (255, 0, 0), np.uint8)).save(file, "png")
  red.write_bytes(file.getvalue())
  tab.choose_file("#chooser", red)
  wait_for(tab, "file", "upload")
  tab.wait(
    "document.getElementById('input').getContext('2d')"
    ".getImageData(5, 5, 1, 1).data.join() === '255,0,0,255'"
  )


@contextlib.contextmanager
def open_toolbox(folder, **options):
  """A tab with the toolbox in it, which must not complain."""
  browser.require()
  app = server.build_app(toolbox_network.network(), **options)
  with serving(app) as address, devtools.open_tab(folder / "profile") as tab:
    tab.visit(address)
    wait_for(tab, "status", "conv1 : 0")
    yield tab
    assert tab.complaints == []


def picture(colour, size=(60, 50)):
  file = io.BytesIO()
  Image.new("RGB", size, colour).save(file, "png")
  return base64.b64encode(file.getvalue()).decode()


def hand_over(tab, kind, files):
  """Pastes or drops files, as a script in the page can do it.

  Args:
    tab: the page.
    kind: `paste` or `drop`.
    files: (name, type, base64) of each.
  """
  tab.ask(f"""(() => {{
    const data = new DataTransfer();
    for (const [name, type, text] of {json.dumps(files)}) {{
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt());
      data.items.add(new File([bytes], name, {{ type }}));
    }}
    const more = {{ bubbles: true, cancelable: true }};
    document.body.dispatchEvent({json.dumps(kind)} === "paste"
      ? new ClipboardEvent("paste", {{ ...more, clipboardData: data }})
      : new DragEvent({json.dumps(kind)}, {{ ...more, dataTransfer: data }}));
  }})()""")


def wait_for_colour(tab, *colour):
  tab.wait(
    "(() => { const [r, g, b] = document.getElementById('input')"
    ".getContext('2d').getImageData(27, 27, 1, 1).data;"
    f"return Math.hypot(r - {colour[0]}, g - {colour[1]}, b - {colour[2]}) < 60"
    "})()"
  )


@pytest.mark.slow
def test_images_are_pasted_and_dropped(tmp_path):
  with open_toolbox(tmp_path) as tab:
    hand_over(tab, "paste", [("red.png", "image/png", picture("red"))])
    wait_for(tab, "file", "upload")
    wait_for_colour(tab, 255, 0, 0)
    hand_over(tab, "dragover", [])
    tab.wait("!document.getElementById('drop').hidden")
    hand_over(tab, "drop", [("blue.png", "image/png", picture("blue"))])
    wait_for_colour(tab, 0, 0, 255)
    tab.wait("document.getElementById('drop').hidden")
    hand_over(tab, "drop", [("notes.txt", "text/plain", "aGVsbG8=")])
    wait_for(tab, "note", "notes.txt is no image that this browser can read.")
    wait_for_colour(tab, 0, 0, 255)


# What a browser can play, it can make: a second of green in WebM.
VIDEO = """(async () => {
  const canvas = document.createElement("canvas");
  canvas.width = 96; canvas.height = 64;
  const context = canvas.getContext("2d");
  const recorder = new MediaRecorder(
    canvas.captureStream(20), { mimeType: "video/webm" });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start();
  for (let i = 0; i < 20; i++) {
    context.fillStyle = i % 2 ? "#00ff00" : "#00fe00";
    context.fillRect(0, 0, 96, 64);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
})()"""


def frames_shown(tab):
  return int(tab.ask("document.documentElement.dataset.frame"))


@pytest.mark.slow
def test_a_video_takes_the_webcams_place_and_a_picture_the_videos(tmp_path):
  with open_toolbox(tmp_path) as tab:
    video = tab.ask(VIDEO)
    tab.press("c")
    wait_for(tab, "status", "frames/s")
    hand_over(tab, "drop", [("green.webm", "video/webm", video)])
    wait_for_colour(tab, 0, 255, 0)
    assert text(tab, "file") == "upload"
    shown = frames_shown(tab)
    tab.wait(f"document.documentElement.dataset.frame > {shown + 5}")
    tab.press("f")
    tab.wait(
      "document.querySelector('[data-pressed=frozen]').ariaPressed === 'true'"
    )
    hand_over(tab, "paste", [("red.png", "image/png", picture("red"))])
    wait_for_colour(tab, 255, 0, 0)
    shown = frames_shown(tab)
    time.sleep(0.5)
    assert frames_shown(tab) == shown, "the video still sends frames"
    hand_over(tab, "drop", [("bad.webm", "video/webm", "AAAA")])
    wait_for(tab, "note", "bad.webm is no video that this browser can read.")
    wait_for(tab, "file", ".jpg")


# Counts the webcam's open tracks, wherever they were asked for.
WATCH = """(() => {
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  window.tracks = [];
  mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    tracks.push(...stream.getTracks());
    return stream;
  };
})()"""
LIVE = "tracks.filter((track) => track.readyState === 'live').length"


@pytest.mark.slow
def test_a_webcam_that_is_not_shown_is_off(tmp_path):
  with open_toolbox(tmp_path) as tab:
    tab.ask(WATCH)
    tab.press("c")
    wait_for(tab, "status", "frames/s")
    assert tab.ask(LIVE) == 1
    hand_over(tab, "paste", [("red.png", "image/png", picture("red"))])
    wait_for_colour(tab, 255, 0, 0)
    time.sleep(0.5)
    wait_for_colour(tab, 255, 0, 0)
    assert tab.ask(LIVE) == 0
    tab.press("c", "c", "c", "c")  # faster than it opens
    time.sleep(0.5)
    wait_for(tab, "file", ".jpg")
    tab.wait(f"{LIVE} === 0")


@pytest.mark.slow
def test_a_picture_is_rendered_while_the_page_goes_on(tmp_path, monkeypatch):
  recipe = make_recipe(scale_to_rms, 4.0, steps=400)
  monkeypatch.setattr(named_recipes, "recipe", lambda name: recipe)
  with open_toolbox(tmp_path) as tab:
    tab.ask(
      "window.shares = []; new MutationObserver(() => shares.push("
      "document.getElementById('progress').value)).observe("
      "document.getElementById('progress'), { attributes: true })"
    )
    tab.press("r")
    tab.wait("!document.getElementById('progress').hidden")
    tab.press("e")
    wait_for(tab, "file", "coffee.jpg")
    tab.wait("document.querySelector('#pictures figcaption') !== null")
    tab.wait("document.querySelector('#pictures img').naturalWidth > 0")
    tab.wait("document.getElementById('progress').hidden")
    assert "seed 0" in tab.ask(
      "document.querySelector('#pictures figcaption').textContent"
    )
    shares = tab.ask("shares")
    assert len(set(shares)) > 2 and shares == sorted(shares)
    tab.press("l")
    tab.wait("!document.querySelector('#pictures img')")


@pytest.mark.slow
def test_the_trees_pictures_of_a_unit_are_shown(tmp_path):
  tree = UnitTree(tmp_path / "tree", {"records": []})
  patches = [np.full((9, 9, 3), 80 * rank, np.uint8) for rank in range(3)]
  facts = [{"score": 5.0 - rank, "image": f"{rank}.jpg"} for rank in range(3)]
  for layer in ("conv1", "conv5"):
    tree.add_patches(layer, 1, {PATCHES: patches, "deconv": patches}, facts)
    tree.add_info(layer, 1, {"top": facts, "views": ["deconv"]})
  sprites = tree.path / "regularized_opt" / "conv1" / "whole_layer.jpg"
  sprites.parent.mkdir(parents=True)
  Image.new("RGB", (20, 20), "red").save(sprites)
  images = (
    "Array.from(document.querySelectorAll('#pictures img'),"
    " (image) => [image.alt, image.naturalWidth])"
  )
  with open_toolbox(tmp_path, units=tree.path) as tab:
    wait_for(tab, "pictures", "No pictures of this unit")
    tab.press("l")
    tab.wait(f"{images}.filter(([_, width]) => width === 9).length === 6")
    assert tab.ask(images)[0] == ["patches 5 in 0.jpg", 9]
    tab.press("9")
    tab.wait(f"{images}.length === 0")
    tab.press("9", "s")
    middle = (
      "document.getElementById('tiles').getContext('2d').getImageData("
      "document.getElementById('tiles').width / 2 + 40, 90, 1, 1).data"
    )
    tab.wait(f"{middle}[0] > 200 && {middle}[1] < 60")
    tab.press("o", "o", "o")  # conv5 has patches but no picture of all
    wait_for(tab, "status", "conv5 : 1")
    wait_for(tab, "note", "There are no pictures of this whole layer")
    tab.wait(f"{images}.length === 6")


def saved(folder, name):
  """A file that the browser saved, once it is whole."""
  path, end = folder / name, time.monotonic() + 30
  while not path.exists():
    assert time.monotonic() < end, f"{list(folder.iterdir())}"
    time.sleep(0.05)
  return path


@pytest.mark.slow
def test_the_view_and_the_activations_are_saved(tmp_path):
  downloads = tmp_path / "downloads"
  downloads.mkdir()
  with open_toolbox(tmp_path) as tab:
    tab.call(
      "Browser.setDownloadBehavior",
      behavior="allow",
      downloadPath=str(downloads),
    )
    tab.press("l", "b")
    wait_for(tab, "status", "gradient from conv1 1")
    tab.press("S")
    view = Image.open(saved(downloads, "conv1_1.png")).convert("RGB")
    width, height = tab.ask(
      "(({ width, height }) => [width, height])"
      "(document.getElementById('tiles'))"
    )
    assert view.size == (width + height // 2, height)
    pixels = np.asarray(view)
    quarters = [
      pixels[: height // 2, : height // 2],
      pixels[height // 2 :, : height // 2],
      pixels[:, height // 2 :],
    ]
    assert all(quarter.std() > 5 for quarter in quarters)
    tab.press("N")
    with np.load(saved(downloads, "conv1_1.npz")) as arrays:
      assert arrays["values"].shape == toolbox_network.network().shapes["conv1"]
      assert arrays["signal"].shape == arrays["image"].shape == (55, 55, 3)
