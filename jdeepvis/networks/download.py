"""Downloads with checksums, whole or not at all."""

import contextlib
import fcntl
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from jdeepvis.networks.caffe.arrays import brief
from jdeepvis.networks.published import Published
from jdeepvis.types import JdeepvisError
from jdeepvis.version import __version__

_CHUNK = 1 << 18


def fetch(
  source: Published,
  folder: Path,
  report: Callable[[int], None],
  *,
  patience: float | int = 30,
) -> Path:
  """Downloads a file and checks it.

  A partial download stays in the folder, as `<name>.part`, and is resumed: at
  once if anything came, else by the next call. From a server that does not
  serve parts it begins again. A file with another checksum is removed.

  Args:
    source: what to fetch. One process at a time (see `alone`).
    folder: where to put it.
    report: called with the number of bytes that are there, now and then.
    patience: seconds without a byte, after which the connection is broken.

  Returns:
    The file, with the checksum that was published.

  Raises:
    JdeepvisError: nothing comes from the address, or another file.
  """
  path = folder / source.file
  part = folder / f"{source.file}.part"
  if path.exists():
    path.replace(part)  # whole, but not yet used: checked again below
  part.touch()
  while (there := part.stat().st_size) < source.size:
    _receive(source, part, report, patience)
    if part.stat().st_size <= there:
      raise JdeepvisError(
        f"The download of {source.url} broke off at {there / 1e6:.1f} of "
        f"{source.size / 1e6:.1f} MB; the same command goes on from there."
      )
  if not source.fits(part):
    part.unlink()
    raise JdeepvisError(
      f"What came from {source.url} has not the {source.algorithm} "
      f"{source.checksum} that was published; it is removed, and the same "
      "command begins again."
    )
  return part.replace(path)


def cache_folder(name: str) -> Path:
  """This user's folder for what can be made again.

  The environment variable XDG_CACHE_HOME names another place than `~/.cache`.
  """
  home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
  return Path(home) / "jdeepvis" / name


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
  """Waits until no other process is in here with the same path.

  Args:
    path: a file that is made for this and stays.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    yield


def _receive(
  source: Published,
  part: Path,
  report: Callable[[int], None],
  patience: float | int,
) -> None:
  """Adds to the part what comes before the connection breaks."""
  with _open(source, part.stat().st_size, patience) as response:
    _check(source, response)
    mode = "ab" if response.status == http.HTTPStatus.PARTIAL_CONTENT else "wb"
    with open(part, mode) as file:
      while (left := source.size - file.tell()) > 0:
        try:
          data = response.read1(min(left, _CHUNK))
        except (OSError, http.client.HTTPException):
          return
        if not data:
          return
        if not file.tell() and data.lstrip().startswith(b"<"):
          raise _page(source)
        file.write(data)
        report(file.tell())


def _open(
  source: Published, start: int, patience: float | int
) -> http.client.HTTPResponse:
  headers = {"User-Agent": f"jdeepvis/{__version__}"}
  if start:
    # Of the same version or not: the checksum says whether the parts fit.
    headers["Range"] = f"bytes={start}-"
  request = urllib.request.Request(source.url, headers=headers)
  opener = urllib.request.build_opener(_Redirects)
  try:
    return opener.open(request, timeout=patience)
  except urllib.error.HTTPError as error:
    error.close()
    raise JdeepvisError(
      f"{source.url} answers {error.code} ({brief(error.reason)})."
    ) from error
  except (OSError, http.client.HTTPException) as error:
    reason = getattr(error, "reason", error)
    raise JdeepvisError(
      f"{source.url} cannot be reached: {brief(reason)}."
    ) from error


def _check(source: Published, response: http.client.HTTPResponse) -> None:
  """Refuses early what the checksum would refuse once all has come."""
  if response.headers.get_content_type() == "text/html":
    raise _page(source)
  part = response.headers.get("Content-Range", "").rpartition("/")[2]
  whole = part or response.headers.get("Content-Length", "")
  if whole.isdigit() and whole != str(source.size):
    raise JdeepvisError(
      f"{source.url} holds {brief(whole)} bytes, not the {source.size} that "
      "were published: it is another file now."
    )


def _page(source: Published) -> JdeepvisError:
  return JdeepvisError(
    f"{source.url} gives a page instead of the file; a browser shows whether "
    "the file has moved, or the network wants a login."
  )


class _Redirects(urllib.request.HTTPRedirectHandler):
  """Follows redirects to any host, but never from https to http."""

  def redirect_request(self, req, fp, code, msg, headers, newurl):
    old, new = (url.partition(":")[0].lower() for url in (req.full_url, newurl))
    if new != "https" and (new, old) != ("http", "http"):
      fp.close()
      raise JdeepvisError(
        f"{req.full_url} redirects to {brief(newurl)}, which is not encrypted; "
        "it is not followed."
      )
    return super().redirect_request(req, fp, code, msg, headers, newurl)
