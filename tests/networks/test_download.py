"""Downloads from a server on loopback, which does what servers do."""

import http.client
import itertools
import urllib.request

import numpy as np
import pytest
from networks.file_server import PAGE, serving, source_of

from jdeepvis.networks.download import cache_folder, fetch
from jdeepvis.types import JdeepvisError

_CONTENT = np.random.default_rng(0).bytes(700_000)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
  monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


@pytest.fixture
def server():
  with serving(_CONTENT) as running:
    yield running


def _refused(source, folder, **more):
  with pytest.raises(JdeepvisError) as raised:
    fetch(source, folder, lambda _: None, **more)
  sentence = str(raised.value)
  assert source.url in sentence and sentence.endswith(".")
  assert "\n" not in sentence
  return sentence


def _names(folder):
  return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_is_told_of(server, tmp_path):
  reported = []
  path = fetch(source_of(server), tmp_path, reported.append)
  assert path == tmp_path / "weights.bin" and path.read_bytes() == _CONTENT
  assert _names(tmp_path) == ["weights.bin"]
  assert reported == sorted(reported) and reported[-1] == len(_CONTENT)
  assert server.asked == [None]


def test_without_a_length_the_published_one_counts(server, tmp_path):
  server.length = False
  path = fetch(source_of(server), tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT


def test_a_line_that_breaks_again_and_again(server, tmp_path):
  server.breaks_after = 300_000
  path = fetch(source_of(server), tmp_path, lambda _: None)
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
  path = fetch(source_of(server), tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT and len(server.asked) > 1


def test_a_later_call_goes_on(server, tmp_path):
  part = tmp_path / "weights.bin.part"
  part.write_bytes(_CONTENT[:123_456])
  path = fetch(source_of(server), tmp_path, lambda _: None)
  assert server.asked == ["bytes=123456-"]
  assert path.read_bytes() == _CONTENT and not part.exists()


def test_a_server_without_parts_begins_again(server, tmp_path):
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  server.ranges = False
  path = fetch(source_of(server), tmp_path, lambda _: None)
  assert server.asked == ["bytes=1000-"] and path.read_bytes() == _CONTENT
  # One that always breaks at the same place does not go round for ever.
  path.unlink()
  server.breaks_after = 1000
  assert "broke off at 0.0 of 0.7 MB" in _refused(source_of(server), tmp_path)
  assert (tmp_path / "weights.bin.part").read_bytes() == _CONTENT[:1000]


def test_silence_is_a_broken_line(server, tmp_path):
  server.breaks_after, server.hangs = 0, True
  reported = _refused(source_of(server), tmp_path, patience=0.2)
  assert "broke off at 0.0" in reported
  server.done.set()
  server.breaks_after = None
  fetch(source_of(server), tmp_path, lambda _: None)


@pytest.mark.parametrize("there", [0, 5000, len(_CONTENT)])
def test_another_checksum_is_never_trusted(server, tmp_path, there):
  source = source_of(server, checksum="0" * 64)
  (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:there])
  sentence = _refused(source, tmp_path)
  assert "sha256 " + "0" * 64 in sentence and "removed" in sentence
  assert _names(tmp_path) == []


def test_a_part_of_another_file_is_found_out(server, tmp_path):
  (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
  assert "removed" in _refused(source_of(server), tmp_path)
  assert fetch(source_of(server), tmp_path, lambda _: None).exists()


def test_a_file_that_has_come_is_not_fetched_again(server, tmp_path):
  path = fetch(source_of(server), tmp_path, lambda _: None)
  fetch(source_of(server), tmp_path, lambda _: None)
  assert len(server.asked) == 1
  path.write_bytes(b"x" * len(_CONTENT))
  assert "removed" in _refused(source_of(server), tmp_path)
  assert _names(tmp_path) == []


def test_another_size_is_refused_before_it_comes(server, tmp_path):
  source = source_of(server, size=len(_CONTENT) + 1)
  assert "700000 bytes, not the 700001" in _refused(source, tmp_path)
  (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:10])
  assert "700000 bytes, not the 700001" in _refused(source, tmp_path)


def test_no_more_is_read_than_was_published(server, tmp_path):
  server.length = False
  source = source_of(server, _CONTENT[:1000])
  path = fetch(source, tmp_path, lambda _: None)
  assert path.read_bytes() == _CONTENT[:1000]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", None])
def test_a_page_instead_of_the_file(server, tmp_path, kind):
  source = source_of(server)
  server.content, server.kind, server.length = PAGE, kind, kind is not None
  assert "gives a page instead" in _refused(source, tmp_path)
  # Nothing of the page stays, to be taken for a beginning.
  assert (tmp_path / "weights.bin.part").read_bytes() == b""


@pytest.mark.parametrize("status", [404, 403, 500])
def test_what_a_server_answers_is_told(server, tmp_path, status):
  server.status = status
  assert f"answers {status} (" in _refused(source_of(server), tmp_path)


def test_nobody_there(server, tmp_path):
  source = source_of(server)
  server.server_close()
  source = source._replace(url="http://127.0.0.1:1/weights.bin")
  assert "cannot be reached: " in _refused(source, tmp_path)


def test_redirects_to_another_host(server, tmp_path):
  with serving(b"") as first:
    first.location = server.url(host="localhost")
    (tmp_path / "weights.bin.part").write_bytes(_CONTENT[:1000])
    source = source_of(server, url=first.url())
    path = fetch(source, tmp_path, lambda _: None)
    assert path.read_bytes() == _CONTENT
    assert first.asked == server.asked == ["bytes=1000-"]
    # In a circle, to another protocol.
    first.location = "/again"
    for location, reported in (
      (first.url(file="x"), "answers 302"),
      ("ftp://localhost/x", "not encrypted"),
      ("file:///etc/passwd", "not allowed"),
    ):
      first.location = location
      path.unlink(missing_ok=True)
      assert reported in _refused(source, tmp_path)


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
    source = source_of(server, url=first.url().replace("http", "https"))
    if scheme == "http":
      assert "not encrypted" in _refused(source, tmp_path)
      assert len(first.asked) == 1 and server.asked == []
    else:
      fetch(source, tmp_path, lambda _: None)
      assert server.asked == [None]


def test_where_caches_are(monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  assert cache_folder("weights") == tmp_path / "jdeepvis" / "weights"
  monkeypatch.delenv("XDG_CACHE_HOME")
  monkeypatch.setenv("HOME", str(tmp_path))
  assert cache_folder("x") == tmp_path / ".cache" / "jdeepvis" / "x"
