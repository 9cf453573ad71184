"""Downloads from a server on loopback, which does what servers do."""

import functools
import hashlib
import http.client
import itertools
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from networks.file_server import PAGE, serving

import jdeepvis
from jdeepvis.networks import convert, download, weights, zoo
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.download import cache_folder, fetch
from jdeepvis.networks.published import PUBLISHED, Published
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.types import JdeepvisError

_CONTENT = np.random.default_rng(0).bytes(700_000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
  monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture
def server():
  with serving(_CONTENT) as running:
    yield running


def _source(server, content=_CONTENT, **changes):
  source = Published(
    server.url(),
    len(content),
    "sha256",
    hashlib.sha256(content).hexdigest(),
    "free",
  )
  return source._replace(**changes)


def _refused(source, folder):
  with pytest.raises(JdeepvisError) as raised:
    fetch(source, folder, lambda _: None)
  sentence = str(raised.value)
  assert source.url in sentence and sentence.endswith(".")
  assert "\n" not in sentence
  return sentence


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_is_told_of(server, tmp_path):
  told = []
  path = fetch(_source(server), tmp_path, told.append)
  assert path == tmp_path / "weights.bin" and path.read_bytes() == _CONTENT
  assert _names(tmp_path) == ["weights.bin"]
  assert told == sorted(told) and told[-1] == len(_CONTENT)
  assert server.asked == [None]


def test_without_a_length_the_published_one_counts(server, tmp_path):
  server.length = False
  path = fetch(_source(server), tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT


def test_a_line_that_breaks_again_and_again(server, tmp_path):
  server.breaks_after = 300_000
  path = fetch(_source(server), tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT
  first, *others = server.asked
  assert first is None and len(others) >= 2
  starts = [int(asked[len("bytes=") : -1]) for asked in others]
  assert starts == sorted(starts) and 0 < starts[0] <= 300_000
  assert starts[-1] < len(_CONTENT)


@pytest.mark.parametrize(
  "error", [ConnectionResetError, TimeoutError, http.client.IncompleteRead(b"")]
)
def test_errors_of_a_line_that_breaks(server, tmp_path, monkeypatch, error):
  read, calls = http.client.HTTPResponse.read1, itertools.count(1)

  def read_for_a_while(response, size):
    if next(calls) % 3 == 0:
      raise error
    return read(response, min(size, 100_000))

  monkeypatch.setattr(http.client.HTTPResponse, "read1", read_for_a_while)
  path = fetch(_source(server), tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT and len(server.asked) > 1


def test_a_later_call_goes_on(server, tmp_path):
  part = tmp_path / "weights.bin.part"
  part.write_bytes(_CONTENT[:123_456])
  path = fetch(_source(server), tmp_path, lambda _: None)
  assert server.asked == ["bytes=123456-"]
  assert path.read_bytes() == _CONTENT and not part.exists()


def test_a_server_without_parts_begins_again(server, tmp_path):
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  server.ranges = False
  path = fetch(_source(server), tmp_path, lambda _: None)
  assert server.asked == ["bytes=1000-"] and path.read_bytes() == _CONTENT
  # One that always breaks at the same place does not go round for ever.
  path.unlink()
  server.breaks_after = 1000
  assert "broke off at 0.0 of 0.7 MB" in _refused(_source(server), tmp_path)
  assert (tmp_path / "weights.bin.part").read_bytes() == _CONTENT[:1000]


def test_silence_is_a_broken_line(server, tmp_path, monkeypatch):
  monkeypatch.setattr(download, "_PATIENCE", 0.2)
  server.breaks_after, server.hangs = 0, True
  assert "broke off at 0.0" in _refused(_source(server), tmp_path)
  server.done.set()
  server.breaks_after = None
  fetch(_source(server), tmp_path, lambda _: None)


@pytest.mark.parametrize("there", [0, 5000, len(_CONTENT)])
def test_another_checksum_is_never_trusted(server, tmp_path, there):
  source = _source(server, checksum="0" * 64)
  (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:there])
  sentence = _refused(source, tmp_path)
  assert "sha256 " + "0" * 64 in sentence and "removed" in sentence
  assert _names(tmp_path) == []


def test_a_part_of_another_file_is_found_out(server, tmp_path):
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  assert "removed" in _refused(_source(server), tmp_path)
  assert fetch(_source(server), tmp_path, lambda _: None).exists()


def test_a_file_that_has_come_is_not_fetched_again(server, tmp_path):
  path = fetch(_source(server), tmp_path, lambda _: None)
  fetch(_source(server), tmp_path, lambda _: None)
  assert len(server.asked) == 1
  path.write_bytes(b"x" * len(_CONTENT))
  assert "removed" in _refused(_source(server), tmp_path)
  assert _names(tmp_path) == []


def test_another_size_is_refused_before_it_comes(server, tmp_path):
  source = _source(server, size=len(_CONTENT) + 1)
  assert "700000 bytes, not the 700001" in _refused(source, tmp_path)
  (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:10])
  assert "700000 bytes, not the 700001" in _refused(source, tmp_path)


def test_no_more_is_read_than_was_published(server, tmp_path):
  server.length = False
  source = _source(server, _CONTENT[:1000])
  path = fetch(source, tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT[:1000]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", None])
def test_a_page_instead_of_the_file(server, tmp_path, kind):
  server.content, server.kind, server.length = PAGE, kind, kind is not None
  assert "gives a page instead" in _refused(_source(server), tmp_path)
  # Nothing of the page stays, to be taken for a beginning.
  assert (tmp_path / "weights.bin.part").read_bytes() == b""


@pytest.mark.parametrize("status", [404, 403, 500])
def test_what_a_server_answers_is_told(server, tmp_path, status):
  server.status = status
  assert f"answers {status} (" in _refused(_source(server), tmp_path)


def test_nobody_there(server, tmp_path):
  source = _source(server)
  server.server_close()
  source = source._replace(url="http://127.0.0.1:1/weights.bin")
  assert "cannot be reached: " in _refused(source, tmp_path)


def test_redirects_to_another_host(server, tmp_path):
  with serving(b"") as first:
    first.location = server.url(host="localhost")
    (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:1000])
    source = _source(server, url=first.url())
    path = fetch(source, tmp_path, lambda _: None)
    assert path.read_bytes() == _CONTENT
    assert first.asked == server.asked == ["bytes=1000-"]
    # In a circle, to another protocol.
    first.location = "/again"
    for location, told in (
      (first.url(file="x"), "answers 302"),
      ("ftp://localhost/x", "not encrypted"),
      ("file:///etc/passwd", "not allowed"),
    ):
      first.location = location
      path.unlink(missing_ok=True)
      assert told in _refused(source, tmp_path)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_encrypted_line_stays_encrypted(
  server, tmp_path, monkeypatch, scheme
):
  """What is called https here is plain: where it leads is what counts."""
  monkeypatch.setattr(
    urllib.request.HTTPSHandler,
    "https_open",
    lambda self, request: self.do_open(http.client.HTTPConnection, request),
  )
  with serving(b"") as first:
    first.location = server.url().replace("http", scheme)
    source = _source(server, url=first.url().replace("http", "https"))
    if scheme == "http":
      assert "not encrypted" in _refused(source, tmp_path)
      assert len(first.asked) == 1 and server.asked == []
    else:
      fetch(source, tmp_path, lambda _: None)
      assert server.asked == [None]


def test_every_published_record_is_complete():
  for name, source in PUBLISHED.items():
    assert source.url.startswith("http") and source.size > 4_000_000, name
    length = 2 * hashlib.new(source.algorithm).digest_size
    assert len(source.checksum) == length and int(source.checksum, 16), name
    # torchvision's own word for it: the name has the first eight digits.
    if "download.pytorch.org" in source.url:
      assert f"-{source.checksum[:8]}.pth" in source.url


def test_the_table_of_the_docs_tells_each_of_them():
  page = Path(__file__).parents[2] / "docs" / "weights.md"
  rows = {
    line.split("`")[1]: line
    for line in page.read_text().splitlines()
    if line.startswith("| `")
  }
  assert rows.keys() >= PUBLISHED.keys()
  for name, source in PUBLISHED.items():
    for told in (
      f"| {source.url} |",
      f"| {source.size / 1e6:.0f} |",
      f"| {source.licence} |",
      f"| {source.algorithm} `{source.checksum}` |",
    ):
      assert told in rows[name], name
    assert ("bundled" in rows[name]) == (name in zoo.BUNDLED)


@pytest.fixture
def small(server, monkeypatch, tmp_path, caffe_files):
  """SqueezeNet 1.0, narrow, as its authors would publish it on loopback."""
  module = functools.partial(SqueezeNet, version="1.0", width=1 / 16)
  known = ARCHITECTURES["squeezenet1.0"]._replace(module=module)
  blobs = {
    layer: [
      np.transpose(leaves["kernel"], (3, 2, 0, 1))[:, ::-1]
      if layer == "conv1"
      else np.transpose(leaves["kernel"], (3, 2, 0, 1)),
      leaves["bias"],
    ]
    for layer, leaves in convert.random_weights(
      module().layers(), known.input.shape
    ).items()
  }
  file = caffe_files.blobs(blobs, "squeezenet_v1.0")
  server.content = file.read_bytes()
  source = _source(server, server.content, url=server.url(file=file.name))
  changed = {**ARCHITECTURES, "squeezenet1.0": known._replace(published=source)}
  for place in (zoo, convert, weights):
    monkeypatch.setattr(place, "ARCHITECTURES", changed)
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", str(tmp_path / "kept"))
  return file


def test_a_network_by_name(small, server, tmp_path, capsys):
  with pytest.raises(JdeepvisError, match="download=True"):
    jdeepvis.load_network("squeezenet1.0")
  assert server.asked == [] and not (tmp_path / "kept").exists()
  network = jdeepvis.load_network("squeezenet1.0", download=True)
  expected = convert.read_architecture("squeezenet1.0", small)
  for layer, leaves in expected.params.items():
    for leaf, values in leaves.items():
      np.testing.assert_array_equal(network.params[layer][leaf], values)
  assert network.labels == zoo.imagenet_labels()
  kept = ["squeezenet1.0.lock", "squeezenet1.0.safetensors"]
  assert _names(tmp_path / "kept") == kept
  assert "Downloading squeezenet1.0" in capsys.readouterr().err
  # From now on it is here, with the flag and without.
  for flag in (False, True):
    jdeepvis.load_network("squeezenet1.0", download=flag)
  assert len(server.asked) == 1


def test_two_at_once_do_not_spoil_each_other(small, server, tmp_path):
  server.breaks_after = len(server.content) // 3
  with ThreadPoolExecutor(4) as pool:
    paths = set(pool.map(zoo.download_network, ["squeezenet1.0"] * 4))
  assert paths == {tmp_path / "kept" / "squeezenet1.0.safetensors"}
  assert server.asked.count(None) == 1
  jdeepvis.load_network("squeezenet1.0")


def test_a_wrong_network_is_not_kept(small, server, tmp_path):
  content = server.content[:-40] + bytes(40)
  server.content = content
  with pytest.raises(JdeepvisError, match="removed"):
    jdeepvis.load_network("squeezenet1.0", download=True)
  assert _names(tmp_path / "kept") == ["squeezenet1.0.lock"]


def test_a_folder_that_cannot_be_written(small, monkeypatch):
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", "/proc/weights")
  with pytest.raises(JdeepvisError, match="JDEEPVIS_WEIGHTS names another"):
    jdeepvis.load_network("squeezenet1.0", download=True)


def test_only_names_are_downloaded():
  for name in ("cafenet", "net.safetensors", "net.prototxt", "a:b"):
    with pytest.raises(JdeepvisError, match="Nothing can be downloaded"):
      jdeepvis.load_network(name, download=True)
  with pytest.raises(JdeepvisError, match=r"download; nearest: caffenet"):
    zoo.download_network("cafenet")
  # What is bundled is not fetched.
  jdeepvis.load_network("squeezenet1.1", download=True)


def test_where_caches_are(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert cache_folder("weights") == tmp_path / "jdeepvis" / "weights"
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setenv("HOME", str(tmp_path))
  assert cache_folder("x") == tmp_path / ".cache" / "jdeepvis" / "x"
