"""The server over real websocket messages, the hostile ones included."""

import contextlib
import io
import json
import struct
import threading
import zlib

import numpy as np
import pytest
import small_networks
import toolbox_network
from PIL import Image
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

import jdeepvis
from jdeepvis.synthesis import named_recipes
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.transforms import scale_to_rms
from jdeepvis.toolbox import page, server
from jdeepvis.toolbox.inputs import MAX_BYTES
from jdeepvis.types import JdeepvisError

HERE = "http://127.0.0.1:8090"
LIVE = "ws://127.0.0.1:8090/live"


class Talk:
  """One page's websocket as its script uses it."""

  def __init__(self, socket):
    self._socket = socket
    self.arrays, self.news = {}, []

  def send(self, event):
    if isinstance(event, bytes):
      self._socket.send_bytes(event)
    elif isinstance(event, str):
      self._socket.send_text(event)
    else:
      self._socket.send_text(json.dumps(event))

  def set(self, **values):
    self.send({"type": "set", "values": values})

  def update(self, wanted=lambda head: True):
    """The first update of which something is true."""
    while True:
      message = self._socket.receive()
      if message["type"] == "websocket.close":
        raise WebSocketDisconnect(message["code"], message["reason"])
      if (data := message.get("bytes")) is None:
        self.news.append(json.loads(message["text"]))
        continue
      (length,) = struct.unpack_from("<I", data)
      if not length:
        return data[4:]
      head = json.loads(data[4 : 4 + length])
      offset = 4 + length
      for entry in head["arrays"]:
        if not entry["same"]:
          size = int(np.prod(entry["shape"]))
          flat = np.frombuffer(data, np.uint8, size, offset)
          self.arrays[entry["name"]] = flat.reshape(entry["shape"])
          offset += size
      assert offset == len(data)
      if wanted(head):
        return head


@pytest.fixture(name="client", scope="module")
def fixture_client(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images")
  for seed in range(3):
    (folder / f"{seed}.png").write_bytes(png(seed))
  (folder / "3.png").write_bytes(b"no picture")
  app = server.build_app(toolbox_network.network(), images=folder)
  with TestClient(app, base_url=HERE) as client:
    yield client


@pytest.fixture(name="open_page")
def fixture_open_page(client):
  @contextlib.contextmanager
  def open_page():
    headers = {"origin": HERE}
    with client.websocket_connect(LIVE, headers=headers) as socket:
      yield Talk(socket)

  return open_page


@pytest.fixture(name="talk")
def fixture_talk(open_page):
  with open_page() as talk:
    yield talk


def png(seed, size=(60, 50)):
  pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, "png")
  return file.getvalue()


def test_a_page_gets_the_first_layer_at_once(talk):
  head = talk.update()
  assert head["layer"] == "conv1" and head["file"] == "0.png"
  assert talk.arrays["input"].shape == (55, 55, 3)
  assert talk.arrays["tiles"].shape == (26, 26, 4)
  assert "backward" not in talk.arrays
  assert len(head["panels"]["classes"]) == 5
  assert talk.news[0] == {"note": "Preparing conv1 …"}


def test_events_change_what_is_seen_and_the_same_is_not_sent_again(talk):
  talk.update()
  talk.set(unit=2)
  head = talk.update()
  assert head["state"]["unit"] == 2
  assert all(entry["same"] for entry in head["arrays"])
  before = talk.arrays["tiles"]
  talk.send({"type": "key", "key": "e"})
  head = talk.update(lambda head: head["file"] == "1.png")
  assert not any(entry["same"] for entry in head["arrays"])
  assert (talk.arrays["tiles"] != before).any()


def test_uploads_are_shown_and_ignored_where_files_are(talk):
  talk.update()
  talk.send(png(9))
  talk.set(source="upload", fit="stretch")
  talk.send(png(7))
  head = talk.update(lambda head: head["frame"])
  assert head["frame"] == 1
  image = Image.open(io.BytesIO(png(7))).resize(
    (55, 55), Image.Resampling.BILINEAR
  )
  np.testing.assert_array_equal(talk.arrays["input"], np.asarray(image))


def test_a_webcams_contrast_is_stretched(talk):
  grey = np.uint8(np.linspace(100, 150, 64).reshape(8, 8))
  file = io.BytesIO()
  Image.fromarray(grey).save(file, "png")
  talk.set(source="webcam")
  talk.send(file.getvalue())
  talk.update(lambda head: head["frame"])
  assert (talk.arrays["input"].min(), talk.arrays["input"].max()) == (0, 255)


def test_frozen_frames_pass_by(talk):
  talk.set(source="webcam")
  talk.send(png(1))
  talk.update(lambda head: head["frame"] == 1)
  talk.set(frozen=True)
  talk.send(png(2))
  talk.set(unit=1)
  head = talk.update(lambda head: head["state"]["unit"] == 1)
  assert head["frame"] == 1


def test_a_pinned_image_is_compared_with(talk):
  talk.update()
  talk.set(pinned=True)
  head = talk.update(lambda head: head["panels"]["signed"])
  assert (talk.arrays["tiles"] == 128).all()
  talk.send({"type": "key", "key": "e"})
  head = talk.update(lambda head: head["file"] == "1.png")
  assert head["panels"]["signed"] and "pinned_value" in head["panels"]
  assert (talk.arrays["tiles"] != 128).any()


def test_activations_are_saved(talk):
  talk.update()
  talk.send({"type": "save"})
  with np.load(io.BytesIO(talk.update())) as arrays:
    assert arrays["values"].shape == (26, 26, 4)
    assert arrays["probabilities"].shape == (10,)


def test_a_broken_file_of_the_servers_is_told_and_the_page_goes_on(talk):
  talk.update()
  talk.set(image=3)
  talk.set(image=1)
  talk.update(lambda head: head["file"] == "1.png")
  problem = "'3.png' is no JPEG, PNG or WebP image that can be read."
  assert {"problem": problem} in talk.news


def test_only_the_newest_frame_is_computed(open_page, monkeypatch):
  gate, seen = threading.Semaphore(0), []
  look = page.Backend.look

  def slow(self, state, frame, pinned):
    gate.acquire()
    seen.append(frame)
    return look(self, state, frame, pinned)

  monkeypatch.setattr(page.Backend, "look", slow)
  with open_page() as talk:
    talk.set(source="webcam")
    frames = [png(seed) for seed in range(6)]
    for frame in frames:
      talk.send(frame)
    talk.send({"type": "save"})  # after it all frames have come in
    gate.release(8)
    head = talk.update(lambda head: head["frame"] == 6)
  assert head["dropped"] >= 4
  assert seen[-1] == frames[-1] and len(seen) <= 3


def bomb():
  """A PNG of 100,000 pixels squared in a few bytes."""

  def chunk(name, data):
    return (
      struct.pack(">I", len(data))
      + name
      + data
      + struct.pack(">I", zlib.crc32(name + data))
    )

  head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
  body = zlib.compress(bytes(1000))
  return (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", head)
    + chunk(b"IDAT", body)
    + chunk(b"IEND", b"")
  )


@pytest.mark.parametrize(
  ("messages", "code", "reason"),
  [
    (["no json"], 1008, "JSON"),
    (["[1]"], 1008, "JSON"),
    (["[" * 4000], 1008, "JSON"),
    (["x" * 5000], 1008, "characters"),
    ([{"type": "key", "key": 7}], 1008, "no event"),
    ([{"type": "set", "values": {"layer": "../x"}}], 1008, "no layer"),
    ([{"type": "set", "values": {"image": 4}}], 1008, "cannot have"),
    (["upload", b"GIF89a no such image"], 1008, "no JPEG"),
    (["upload", b""], 1008, "no JPEG"),
    (["upload", png(0)[:400]], 1008, "no JPEG"),
    (["upload", bomb()], 1008, "pixels"),
    ([bytes(MAX_BYTES + 1)], 1009, "too large"),
    ([{"type": "key", "key": "q"}], 1000, "left"),
  ],
)
def test_hostile_messages_close_their_connection_alone(
  open_page, messages, code, reason
):
  with open_page() as other:
    other.update()
    with open_page() as talk:
      talk.update()
      for message in messages:
        if message == "upload":
          talk.set(source="upload")
        else:
          talk.send(message)
      with pytest.raises(WebSocketDisconnect) as closed:
        talk.update(lambda head: False)
    assert closed.value.code == code
    assert reason in closed.value.reason
    other.set(unit=1)
    assert other.update()["state"]["unit"] == 1


@pytest.mark.parametrize(
  "origin",
  [None, "null", "http://evil.example", "https://127.0.0.1:8090", HERE + "0"],
)
def test_only_its_own_pages_may_open_a_websocket(client, origin):
  headers = {"origin": origin} if origin else {}
  with (
    pytest.raises(WebSocketDisconnect),
    client.websocket_connect(LIVE, headers=headers),
  ):
    pass


def test_other_hosts_are_refused(client):
  for host in ("evil.example", "127.0.0.1.evil.example:8090", "[", ""):
    assert client.get("/", headers={"host": host}).status_code == 403
  assert client.get("/", headers={"host": "localhost:1"}).status_code == 200


def test_every_answer_says_what_a_page_may_do(client):
  for path in ("/", "/main.js", "/about.json", "/nothing"):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
  "path",
  [
    "/../server.py",
    "/%2e%2e/server.py",
    "/static/../server.py",
    "/unit/0/0/0",
    "/unit/99/0/0",
    "/unit/0/99/0",
    "/unit/0/-1/0",
    "/unit/..%2f/0/0",
    "/sprites/0",
    "/sprites/99",
  ],
)
def test_nothing_else_is_served(client, path):
  assert client.get(path).status_code == 404


def test_a_token_is_swapped_for_a_cookie():
  app = server.build_app(
    toolbox_network.network(), hosts=("box",), token="secret", secure=True
  )
  with TestClient(
    app, base_url="https://box", follow_redirects=False
  ) as client:
    assert client.get("/").status_code == 401
    assert client.get("/?token=guess").status_code == 401
    with (
      pytest.raises(WebSocketDisconnect),
      client.websocket_connect(
        "wss://box/live", headers={"origin": "https://box"}
      ),
    ):
      pass
    answer = client.get("/?token=secret")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Secure"):
      assert word in cookie
    assert "secret" not in cookie
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"cookie": "jdeepvis=x"}).status_code == 401


def test_too_many_pages_are_turned_away():
  app = server.build_app(toolbox_network.network(), most_pages=1)
  headers = {"origin": HERE}
  with (
    TestClient(app, base_url=HERE) as client,
    client.websocket_connect(LIVE, headers=headers) as first,
  ):
    Talk(first).update()
    with client.websocket_connect(LIVE, headers=headers) as second:
      with pytest.raises(WebSocketDisconnect) as closed:
        Talk(second).update()
      assert closed.value.code == 1013


def test_a_picture_is_rendered_beside_the_updates(
  open_page, client, monkeypatch
):
  recipe = make_recipe(scale_to_rms, 4.0, steps=4)
  monkeypatch.setattr(named_recipes, "recipe", lambda name: recipe)
  with open_page() as talk:
    talk.set(recipe="none", unit=2, picture_seed=5)
    talk.send({"type": "key", "key": "r"})
    head = talk.update(lambda head: head["pictures"])
    (picture,) = head["pictures"]
    assert picture["kind"] == "rendered"
    assert picture["caption"].startswith("none, seed 5")
    assert not head["state"]["rendering"]
    assert {"progress": 1.0} in talk.news
    answer = client.get("/unit/0/2/0")
  assert answer.headers["content-type"] == "image/png"
  assert Image.open(io.BytesIO(answer.content)).size == (5, 5)


def test_a_network_without_classes_has_its_layers_and_pictures(monkeypatch):
  recipe = make_recipe(scale_to_rms, 4.0, steps=4, log_prob_weight=1.0)
  monkeypatch.setattr(named_recipes, "recipe", lambda name: recipe)
  app = server.build_app(small_networks.features())
  with TestClient(app, base_url=HERE) as client:
    about = client.get("/about.json").json()
    assert [one["name"] for one in about["layers"]] == [
      *("conv1", "pool1", "conv2"),
    ]
    assert not any(one["labels"] for one in about["layers"])
    headers = {"origin": HERE}
    with client.websocket_connect(LIVE, headers=headers) as socket:
      talk = Talk(socket)
      talk.set(layer="conv2", unit=7, rule="gradient", show_labels=True)
      head = talk.update(lambda head: head["layer"] == "conv2")
      assert "classes" not in head["panels"]
      assert talk.arrays["tiles"].shape[-1] == 12
      assert talk.arrays["backward"].shape == (33, 33, 3)
      talk.send({"type": "key", "key": "8"})
      talk.send({"type": "key", "key": "r"})
      head = talk.update(lambda head: head["pictures"])
      assert not any("problem" in news for news in talk.news)
    answer = client.get("/unit/2/7/0")
  field = jdeepvis.receptive_field(small_networks.features(), "conv2")
  picture = Image.open(io.BytesIO(answer.content))
  assert picture.size == field.size


def test_a_missing_tree_is_refused(tmp_path):
  with pytest.raises(JdeepvisError, match="no folder of units"):
    server.build_app(toolbox_network.network(), units=tmp_path / "tree")


@pytest.mark.parametrize(
  ("host", "local"),
  [
    ("127.0.0.1", True),
    ("::1", True),
    ("localhost", True),
    ("0.0.0.0", False),
    ("box", False),
  ],
)
def test_other_hosts_ask_for_a_token(monkeypatch, host, local):
  said, ran = [], {}
  monkeypatch.setattr(
    server.uvicorn, "run", lambda app, **more: ran.update(more, app=app)
  )
  server.serve(toolbox_network.network(), host=host, say=said.append)
  assert ("token=" in said[0]) == (not local)
  assert ("ssh -L 8090:" in said[-1]) == (not local)
  assert (ran["app"].token is None) == local
  assert ran["host"] == host
