"""The toolbox's server: a page, its pictures, one websocket a page."""

import contextlib
import importlib.resources
import ipaddress
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from jdeepvis.display.files import to_json
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import third_party
from jdeepvis.probing.images import list_images
from jdeepvis.toolbox.backend import Backend, RenderedUnit
from jdeepvis.toolbox.guard import Guard
from jdeepvis.toolbox.inputs import MAX_BYTES
from jdeepvis.toolbox.keys import KEYS
from jdeepvis.toolbox.page import Page
from jdeepvis.toolbox.state import CHOICES
from jdeepvis.types import JdeepvisError

_TRY_LATER = 1013
_LOCAL = ("127.0.0.1", "localhost", "::1")
_TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
}


def serve(
  network: Network,
  *,
  host: str = "127.0.0.1",
  port: int = 8090,
  images: Path | str | None = None,
  root: Path | str | None = None,
  units: Path | str | None = None,
  title: str = "",
  allowed_hosts: Sequence[str] = (),
  certfile: str | None = None,
  keyfile: str | None = None,
  say: Callable[[str], object] = print,
) -> None:
  """Serves the toolbox until it is interrupted.

  Args:
    network: any network.
    host: where to listen; anything but loopback asks pages for a token.
    port: where to listen.
    images: a folder or a list of images; None takes the bundled photographs.
    root: the folder that the names in a list are relative to.
    units: a tree of units' pictures, ours or the original's.
    title: what the network is called.
    allowed_hosts: other names by which browsers reach this server.
    certfile: a certificate, which browsers want before they lend a webcam to
      any host but this machine.
    keyfile: its key.
    say: called with what people should know, the address first.

  Raises:
    JdeepvisError: there are no images or no such tree.
  """
  local = _is_local(host)
  token = None if local else secrets.token_urlsafe(16)
  app = build_app(
    network,
    images=images,
    root=root,
    units=units,
    title=title,
    hosts=(*_LOCAL, host, *allowed_hosts),
    token=token,
    secure=certfile is not None,
  )
  scheme = "https" if certfile else "http"
  name = f"[{host}]" if ":" in host else host
  say(f"{scheme}://{name}:{port}" + (f"/?token={token}" if token else ""))
  if not local and not certfile:
    say(
      "Browsers lend their webcam to this machine or over https only: give "
      f"--certfile and --keyfile, or listen on 127.0.0.1 and reach it by\n"
      f"  ssh -L {port}:127.0.0.1:{port} THIS_MACHINE"
    )
  uvicorn.run(
    app,
    host=host,
    port=port,
    ssl_certfile=certfile,
    ssl_keyfile=keyfile,
    ws="websockets-sansio",
    ws_max_size=MAX_BYTES,
    ws_per_message_deflate=False,
    proxy_headers=False,
    server_header=False,
    log_level="warning",
    timeout_graceful_shutdown=1,
  )


def build_app(
  network: Network,
  *,
  images: Path | str | None = None,
  root: Path | str | None = None,
  units: Path | str | None = None,
  title: str = "",
  hosts: Sequence[str] = _LOCAL,
  token: str | None = None,
  secure: bool = False,
  most_pages: int = 16,
) -> Guard:
  """The application that `serve` serves; see there.

  Args:
    network: any network.
    images: a folder or a list of images.
    root: the folder that the names in a list are relative to.
    units: a tree of units' pictures.
    title: what the network is called.
    hosts: names that a request may call this server by.
    token: what a browser must show first; None where all are welcome.
    secure: whether it is reached over https alone.
    most_pages: that may be open at once.
  """
  if units is not None and not Path(units).is_dir():
    raise JdeepvisError(f"There is no folder of units {str(units)!r}.")
  listing = list_images(images or third_party() / "photos", root)
  backend = Backend(network, listing, Path(units) if units else None)
  # One thread computes all updates in turn, another renders beside it.
  worker, painter = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
  pages: set[Page] = set()

  async def talk(socket: WebSocket) -> None:
    await socket.accept()
    if len(pages) >= most_pages:
      await socket.close(_TRY_LATER, f"{most_pages} pages are open already.")
      return
    page = Page(backend, socket, worker, painter)
    pages.add(page)
    try:
      await page.run()
    finally:
      pages.discard(page)

  async def picture(request: Request) -> Response:
    layer, unit, number = (
      request.path_params[name] for name in ("layer", "unit", "number")
    )
    layers = backend.catalogue.layers
    if layer < len(layers) and unit < layers[layer].units:
      files = backend.unit_files(layers[layer], unit)
      if number < len(files):
        found = files[number]
        if isinstance(found, RenderedUnit):
          return Response(found.png, media_type="image/png")
        return _file(found.path)
    return Response(status_code=404)

  async def sprites(request: Request) -> Response:
    place, layers = request.path_params["layer"], backend.catalogue.layers
    if place < len(layers):
      return _file(backend.sprites(layers[place]))
    return Response(status_code=404)

  about = to_json(_about(backend, title or network.output or "network"))

  async def about_page(request: Request) -> Response:
    return Response(about, media_type="application/json")

  @contextlib.asynccontextmanager
  async def lifespan(app):
    yield
    for pool in (worker, painter):
      pool.shutdown(wait=False, cancel_futures=True)

  app = Starlette(
    routes=[
      *_static_routes(),
      Route("/about.json", about_page),
      Route("/unit/{layer:int}/{unit:int}/{number:int}", picture),
      Route("/sprites/{layer:int}", sprites),
      WebSocketRoute("/live", talk),
    ],
    lifespan=lifespan,
  )
  return Guard(app, hosts=hosts, token=token, secure=secure)


def _about(backend: Backend, title: str) -> dict:
  """What a page needs to know once."""
  catalogue = backend.catalogue
  return {
    "title": title,
    "input": backend.engine.network.input.shape,
    "layers": [
      {"name": layer.name, "shape": layer.shape, "labels": layer.labels}
      for layer in catalogue.layers
    ],
    "files": backend.names,
    "recipes": catalogue.recipes,
    "has_graph": catalogue.has_graph,
    "choices": CHOICES,
    "keys": [{"names": key.names, "does": key.does} for key in KEYS],
  }


def _static_routes():
  """One route for each file that there is: no client's path is opened."""
  folder = importlib.resources.files(__package__) / "static"
  for file in folder.iterdir():
    kind = _TYPES.get(Path(file.name).suffix)
    if kind:
      path = "/" if file.name == "index.html" else f"/{file.name}"
      yield Route(path, _constant(file.read_bytes(), kind))


def _constant(body: bytes, kind: str):
  async def endpoint(request: Request) -> Response:
    return Response(body, media_type=kind)

  return endpoint


def _file(path: Path | None) -> Response:
  if path is None or not path.is_file():
    return Response(status_code=404)
  return FileResponse(path)


def _is_local(host: str) -> bool:
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == "localhost"
