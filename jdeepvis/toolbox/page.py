"""One page's side of the server: its state, its newest frame, its updates."""

import asyncio
import contextlib
import io
import json
from concurrent.futures import Executor
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from jdeepvis.display.files import to_json
from jdeepvis.toolbox.backend import Backend, Look
from jdeepvis.toolbox.events import reduce
from jdeepvis.toolbox.inputs import MAX_BYTES
from jdeepvis.toolbox.panels import question
from jdeepvis.toolbox.state import State, share
from jdeepvis.toolbox.wire import Packer, pack_file
from jdeepvis.types import JdeepvisError

_MAX_TEXT = 4096  # characters
_LEFT, _MALFORMED, _TOO_BIG, _FAILED = 1000, 1008, 1009, 1011


class Page:
  """Talks to one browser page until either side ends it.

  Only what is newest counts: while one update is computed, later frames take
  each other's place, and are never queued.
  """

  def __init__(
    self,
    backend: Backend,
    socket: WebSocket,
    worker: Executor,
    painter: Executor,
  ):
    self._backend = backend
    self._socket = socket
    self._worker, self._painter = worker, painter
    self._state = State(catalogue=backend.catalogue)
    self._frame: bytes | None = None
    self._heard = self._frames = self._shown_frames = self._updates = 0
    self._pinned = None
    self._look: Look | None = None
    self._changed = asyncio.Event()
    self._sending = asyncio.Lock()
    self._painting: asyncio.Task | None = None
    self._pack = Packer()

  async def run(self) -> None:
    """Serves the page."""
    self._changed.set()
    tasks = [
      asyncio.create_task(work) for work in (self._listen(), self._show())
    ]
    try:
      await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
      for task in tasks:
        if task.done():
          task.result()
    except JdeepvisError as error:
      await self._close(_MALFORMED, str(error))
    except WebSocketDisconnect:
      pass
    except Exception:
      await self._close(_FAILED, "The server failed at this.")
      raise
    finally:
      # An update under way ends with its thread; nobody waits for it.
      for task in tasks:
        task.cancel()

  async def _listen(self) -> None:
    while not self._state.closed:
      message = await self._socket.receive()
      if message["type"] == "websocket.disconnect":
        return
      if (data := message.get("bytes")) is not None:
        if not self._take(data):
          await self._close(_TOO_BIG, "The image is too large.")
          return
      else:
        await self._obey(message["text"])
    await self._close(_LEFT, "left")

  def _take(self, frame: bytes) -> bool:
    """Keeps a frame, in place of the one before; False if it is too large."""
    if len(frame) > MAX_BYTES:
      return False
    if self._state.source != "files" and not self._state.frozen:
      self._frame = frame
      self._frames += 1
      self._changed.set()
    return True

  async def _obey(self, text: str) -> None:
    self._heard += 1
    event = _parse(text)
    if event.get("type") == "save":
      await self._save()
      return
    before, self._state = self._state, reduce(self._state, event)
    if self._state.source != before.source:
      self._frame = None
    if self._state.rendering and self._painting is None:
      self._painting = asyncio.create_task(self._paint(self._state))
    self._changed.set()

  async def _show(self) -> None:
    while True:
      await self._changed.wait()
      self._changed.clear()
      state, frame = self._state, self._frame
      heard, number = self._heard, self._frames
      if not state.pinned:
        self._pinned = None
      elif self._pinned is None and self._look:
        self._pinned = self._look.scene.image
      if not self._backend.engine.knows(question(state)[0]):
        await self._notify(note=f"Preparing {state.shown.name} …")
      try:
        look = await self._in(
          self._worker, self._backend.look, state, frame, self._pinned
        )
      except JdeepvisError as error:
        if frame is not None and state.source != "files":
          raise
        await self._notify(problem=str(error))
        continue
      self._look = look
      event = {"type": "shown", "units": look.panels.facts["order"]}
      if self._state.layer == state.layer:
        self._state = reduce(self._state, event)
      # Of the state that was looked at: a later one may be elsewhere.
      head = self._head(reduce(state, event), look, number)
      await self._send(self._pack(look.panels, {"heard": heard, **head}))

  def _head(self, state: State, look: Look, number: int) -> dict[str, Any]:
    dropped = max(0, number - self._shown_frames - 1)
    self._shown_frames = number
    self._updates += 1
    layer, unit, _ = state.sent_from
    names = self._backend.names
    return {
      "state": _plain(state),
      "share": share(state),
      "layer": state.shown.name,
      "from": f"{layer.name} {unit}",
      "columns": state.columns,
      "file": names[state.image] if names else "",
      "frame": number,
      "updates": self._updates,
      "dropped": dropped,
      "milliseconds": look.milliseconds,
      "sprites": state.pattern and bool(self._backend.sprites(state.shown)),
      "pictures": [
        {"kind": file.kind, "caption": file.caption}
        for file in self._backend.unit_files(state.shown, state.unit)
      ],
    }

  async def _paint(self, state: State) -> None:
    """Renders a picture in the background, and says how far it is."""
    loop = asyncio.get_running_loop()

    def report(done: float) -> None:
      asyncio.run_coroutine_threadsafe(self._notify(progress=done), loop)

    try:
      await self._notify(progress=0.0)
      await self._in(self._painter, self._backend.render, state, report)
    except JdeepvisError as error:
      await self._notify(problem=str(error))
    except Exception:
      await self._notify(problem="The server failed at this picture.")
      raise
    finally:
      self._painting = None
      self._state = reduce(self._state, {"type": "rendered"})
      self._changed.set()

  async def _save(self) -> None:
    """Sends what the network said last, as an archive of arrays."""
    if self._look:
      await self._send(await self._in(self._worker, _archive, self._look))

  async def _notify(self, **news: Any) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
      async with self._sending:
        await self._socket.send_text(to_json(news))

  async def _send(self, data: bytes) -> None:
    async with self._sending:
      await self._socket.send_bytes(data)

  async def _close(self, code: int, reason: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
      await self._socket.close(code, _short(reason))

  @staticmethod
  async def _in(pool: Executor, function, *args):
    return await asyncio.get_running_loop().run_in_executor(
      pool, function, *args
    )


def _parse(text: str) -> dict[str, Any]:
  if len(text) > _MAX_TEXT:
    raise JdeepvisError(f"An event may have {_MAX_TEXT} characters.")
  try:
    event = json.loads(text)
  except (ValueError, RecursionError):
    event = None
  if not isinstance(event, dict):
    raise JdeepvisError("An event is an object in JSON.")
  return event


def _plain(state: State) -> dict[str, Any]:
  fields = {name: getattr(state, name) for name in state.__dataclass_fields__}
  del fields["catalogue"], fields["order"]
  return fields


def _archive(look: Look) -> bytes:
  answer = look.scene.answer
  arrays = {"image": look.scene.image, **answer._asdict()}
  file = io.BytesIO()
  np.savez(file, **{k: v for k, v in arrays.items() if v is not None})
  return pack_file(file.getvalue())


def _short(reason: str) -> str:
  """As much as a close frame can hold, 123 bytes."""
  return reason.encode()[:120].decode(errors="ignore")
