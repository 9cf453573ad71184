"""A person's way through the toolbox, in a real browser."""

import contextlib
import io
import threading
import time

import browser
import devtools
import numpy as np
import pytest
import toolbox_network
import uvicorn
from PIL import Image

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
