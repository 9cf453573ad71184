"""A server on loopback that serves one file, well or badly."""

import contextlib
import hashlib
import http.server
import threading

from jdeepvis.networks.published import Published

PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"


class FileServer(http.server.ThreadingHTTPServer):
  """Serves `content` under every path, in the way its attributes say.

  Attributes:
    content: the file.
    ranges: whether it serves parts.
    length: whether it tells the length.
    breaks_after: bytes of each answer after which the line breaks, or None.
    hangs: whether it falls silent where it would break.
    status: what it answers.
    location: where it redirects to, or None.
    kind: the content type, or None.
    asked: the Range of each request so far, or None.
  """

  daemon_threads = True

  def __init__(self, content):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.content, self.asked = content, []
    self.ranges, self.length, self.hangs = True, True, False
    self.breaks_after = self.location = self.kind = None
    self.status = 200
    self.done = threading.Event()

  def url(self, host="127.0.0.1", file="weights.bin"):
    return f"http://{host}:{self.server_port}/{file}"

  def handle_error(self, request, client_address):
    """A line that breaks is what the test wants."""


class _Handler(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    server, asked = self.server, self.headers["Range"]
    server.asked.append(asked)
    if server.location and server.location != self.path:
      self.send_response(302)
      self.send_header("Location", server.location)
      self.end_headers()
      return
    content, whole = server.content, len(server.content)
    if server.ranges and asked:
      start = int(asked.removeprefix("bytes=").removesuffix("-"))
      content = content[start:]
      self.send_response(206)
      self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
    else:
      self.send_response(server.status)
    if server.length:
      self.send_header("Content-Length", str(len(content)))
    if server.kind:
      self.send_header("Content-Type", server.kind)
    self.end_headers()
    self.wfile.write(content[: server.breaks_after])
    if server.breaks_after is not None and server.hangs:
      server.done.wait(10)

  def log_message(self, *_):
    """Nothing: pytest shows what counts."""


@contextlib.contextmanager
def serving(content):
  """Lends a server that runs meanwhile."""
  with FileServer(content) as server:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
      yield server
    finally:
      server.done.set()
      server.shutdown()
      thread.join()


def source_of(server, content=None, **changes):
  """What its authors would say of the server's file."""
  content = server.content if content is None else content
  digest = hashlib.sha256(content).hexdigest()
  source = Published(server.url(), len(content), "sha256", digest, "free")
  return source._replace(**changes)
