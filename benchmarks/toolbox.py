"""What the toolbox adds to the bare forward pass.

  python -m benchmarks.toolbox

From a webcam frame's bytes to the message with the shown layer's tiles, beside
the jitted forward pass to that layer on an image that is there already; with
classes, beside the pass to the classes. Rounds are interleaved and medians
taken. Then whole round trips over a websocket, with one page and with four.
"""

import asyncio
import io
import json
import multiprocessing
import os
import statistics
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import jax
import numpy as np
import uvicorn
import websockets
from PIL import Image

from benchmarks.timing import interleave
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network, third_party
from jdeepvis.probing.images import list_images
from jdeepvis.toolbox.desk import Desk
from jdeepvis.toolbox.events import reduce
from jdeepvis.toolbox.inputs import decode, prepare
from jdeepvis.toolbox.server import build_app
from jdeepvis.toolbox.state import State
from jdeepvis.toolbox.wire import Packer

_ROUNDS = 30
_SECONDS = 10
_LAYERS = ("conv1", "fire5/expand3x3", "fire9/concat")


def main() -> None:
  """Prints both tables."""
  network = load_network("squeezenet1.1")
  frames = _frames(network)
  print("| work | toolbox | rival | ratio | goal |\n|---|---|---|---|---|")
  for row in rows():
    print("| " + " | ".join(row) + " |", flush=True)
  print("\n| pages | updates/s, each | round trip, ms: median | 90 % | 99 % |")
  print("|---|---|---|---|---|")
  for pages in (1, 4):
    print("| " + " | ".join(_round_trips(network, frames, pages)) + " |")
  print(f"\nLoad of the machine: {os.getloadavg()[0]:.1f}.")


def rows() -> Iterator[list[str]]:
  """One row for each layer, without classes and with them."""
  network = load_network("squeezenet1.1")
  frames = _frames(network)
  desk = Desk(network, list_images(third_party() / "photos"))
  image = prepare(decode(frames[0]), network.input, "square")
  for layer in _LAYERS:
    for labels in (False, True):
      values = {"layer": layer, "source": "webcam", "show_labels": labels}
      event = {"type": "set", "values": values}
      state = reduce(State(house=desk.house), event)
      seconds = interleave(
        {
          "ours": _update(desk, state, frames),
          "bare": _bare(network, image, "prob" if labels else layer),
        },
        rounds=_ROUNDS,
      )
      yield [
        f"Toolbox, frame to tiles of {layer}{', classes' * labels}, ms",
        f"{1e3 * seconds['ours']:.1f}",
        f"bare pass {1e3 * seconds['bare']:.1f}",
        f"{seconds['ours'] / seconds['bare']:.2f} times as long",
        "at most 1.5",
      ]


def _frames(network: Network) -> list[bytes]:
  """What the page sends of a webcam: JPEGs, the input high, 4:3."""
  side = network.input.shape[0]
  photo = Image.open(third_party() / "photos" / "coffee.jpg")
  photo = photo.resize((side * 4 // 3, side))
  files = []
  for quality in range(88, 96):  # no two alike
    file = io.BytesIO()
    photo.save(file, "jpeg", quality=quality)
    files.append(file.getvalue())
  return files


def _update(desk: Desk, state: State, frames: list[bytes]):
  number = 0
  pack = Packer()

  def work():
    nonlocal number
    number += 1
    look = desk.look(state, frames[number % len(frames)], None)
    return len(pack(look.panels, {}))

  return work


def _bare(network: Network, image: np.ndarray, blob: str):
  params = jax.device_put(network.params)
  images = jax.device_put(image[None])
  run = jax.jit(lambda params, x: network.apply(params, x, until=blob)[blob])
  return lambda: run(params, images)


def _round_trips(network: Network, frames: list[bytes], pages: int):
  app = build_app(network)
  config = uvicorn.Config(
    app, port=0, log_level="warning", ws="websockets-sansio"
  )
  server = uvicorn.Server(config)
  thread = threading.Thread(target=server.run)
  thread.start()
  while not server.started:
    time.sleep(0.05)
  port = server.servers[0].sockets[0].getsockname()[1]
  # Pages are other processes in life, too.
  with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
    taken = pool.submit(_visit, port, frames, pages).result()
  server.should_exit = True
  thread.join()
  trips = sorted(1e3 * trip for one in taken for trip in one)
  rates = [len(one) / _SECONDS for one in taken]
  cuts = statistics.quantiles(trips, n=100)
  return [
    str(pages),
    f"{min(rates):.1f} to {max(rates):.1f}",
    *(f"{cuts[share - 1]:.0f}" for share in (50, 90, 99)),
  ]


def _visit(port: int, frames: list[bytes], pages: int) -> list[list[float]]:
  """Seconds of each round trip, page by page."""
  return asyncio.run(_talk(port, frames, pages))


async def _talk(port: int, frames: list[bytes], pages: int):
  async def page():
    address = f"ws://127.0.0.1:{port}/live"
    origin = f"http://127.0.0.1:{port}"
    trips = []
    async with websockets.connect(
      address, origin=origin, max_size=None, compression=None
    ) as socket:
      values = {"layer": "fire5/expand3x3", "source": "webcam"}
      await socket.send(json.dumps({"type": "set", "values": values}))
      end = time.perf_counter() + _SECONDS + 5
      number = 0
      while (began := time.perf_counter()) < end:
        number += 1
        await socket.send(frames[number % len(frames)])
        await _await_frame(socket, number)
        if began > end - _SECONDS:
          trips.append(time.perf_counter() - began)
    return trips

  return await asyncio.gather(*(page() for _ in range(pages)))


async def _await_frame(socket, number: int) -> None:
  """Waits for the update that has a frame in it."""
  while True:
    data = await socket.recv()
    if isinstance(data, bytes):
      (length,) = struct.unpack_from("<I", data)
      if json.loads(data[4 : 4 + length])["frame"] == number:
        return


if __name__ == "__main__":
  main()
