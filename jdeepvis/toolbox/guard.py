"""Who may talk to the server, and what browsers may do with its answers."""

import hmac
import secrets
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

HEADERS = (
  (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' blob:; media-src blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ),
  (b"cache-control", b"no-store"),
  (b"cross-origin-opener-policy", b"same-origin"),
  (b"cross-origin-resource-policy", b"same-origin"),
  (b"referrer-policy", b"no-referrer"),
  (b"x-content-type-options", b"nosniff"),
)
"""Sent with every answer."""

_COOKIE = "jdeepvis"


class Guard:
  """An ASGI application in front of another, which lets few things through.

  Every request must name one of the hosts, so that a page elsewhere cannot
  rebind its own name to this machine; a websocket must come from a page of
  this very server. With a token, browsers must show it once, in the address,
  and get a cookie for it that no script can read.

  Attributes:
    token: what must be shown; None where all are welcome.
  """

  def __init__(
    self,
    app,
    *,
    hosts: Collection[str],
    token: str | None = None,
    secure: bool = False,
  ):
    self.token = token
    self._app = app
    self._hosts = {host.lower() for host in hosts}
    self._secure = secure
    self._pass = secrets.token_urlsafe(32)

  async def __call__(self, scope, receive, send):
    if scope["type"] == "lifespan":
      await self._app(scope, receive, send)
      return
    headers = {name.lower(): value for name, value in scope["headers"]}
    refusal = self._refusal(scope, headers)
    if scope["type"] == "websocket":
      if refusal or not self._known(headers):
        await send({"type": "websocket.close", "code": 1008})
      else:
        await self._app(scope, receive, send)
    elif refusal:
      await _answer(send, 403, refusal)
    elif self._known(headers):
      await self._app(scope, receive, _with_headers(send))
    elif self._shows_token(scope):
      await _answer(send, 303, "", self._welcome())
    else:
      await _answer(send, 401, "Open the address that the server printed.")

  def _refusal(self, scope, headers) -> str:
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if _hostname(host) not in self._hosts:
      return "This host is not among --allowed_hosts."
    if scope["type"] == "websocket":
      origin = headers.get(b"origin", b"").decode("latin-1").lower()
      scheme = "https" if scope["scheme"] == "wss" else "http"
      if origin != f"{scheme}://{host}":
        return "This page is not the server's own."
    return ""

  def _known(self, headers) -> bool:
    if self.token is None:
      return True
    try:
      cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
    except CookieError:
      return False
    shown = cookies[_COOKIE].value if _COOKIE in cookies else ""
    return hmac.compare_digest(shown.encode(), self._pass.encode())

  def _shows_token(self, scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    shown = query.get("token", [""])[0]
    return hmac.compare_digest(shown.encode(), self.token.encode())

  def _welcome(self):
    cookie = f"{_COOKIE}={self._pass}; Path=/; HttpOnly; SameSite=Strict"
    cookie += "; Secure" * self._secure
    return ((b"location", b"/"), (b"set-cookie", cookie.encode()))


def _hostname(host: str) -> str:
  try:
    return urlsplit(f"//{host}").hostname or ""
  except ValueError:
    return ""


def _with_headers(send):
  async def call(message):
    if message["type"] == "http.response.start":
      headers = [*message.get("headers", ()), *HEADERS]
      message = {**message, "headers": headers}
    await send(message)

  return call


async def _answer(send, status: int, text: str, headers=()):
  plain = (b"content-type", b"text/plain; charset=utf-8")
  await _with_headers(send)(
    {
      "type": "http.response.start",
      "status": status,
      "headers": [plain, *headers],
    }
  )
  await send({"type": "http.response.body", "body": text.encode()})
