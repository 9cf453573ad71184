"""Pages on webcams over real websockets: round trips, rates, memory.

  python -m benchmarks.round_trips

Four pages with 10 frames a second each look at four layers for ten minutes.
Twice a minute it prints what memory the server's process holds, and in the end
each page's rate and round trips.
"""

import asyncio
import contextlib
import io
import json
import multiprocessing
import os
import resource
import statistics
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import uvicorn
import websockets
from PIL import Image

from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network, third_party
from jdeepvis.toolbox.server import build_app

_SECONDS = 10.0
_LONG = 600.0  # seconds
_PERIOD = 30.0  # seconds
_PACE = 10.0  # frames a second
_WARM = 5.0  # seconds; programs are compiled meanwhile
_FIRE5 = {"layer": "fire5/expand3x3"}
_VIEWS = (
  *({"layer": "conv1"}, {**_FIRE5, "rule": "gradient"}),
  *({"layer": "fire9/concat"}, {"layer": "prob"}),
)

Trips = list[float]
"""Seconds of each of a page's round trips."""


def main() -> None:
  """Prints both tables."""
  network = load_network("squeezenet1.1")
  print("| minute | memory, MB | load |\n|---|---|---|")
  began = time.monotonic()
  with _visiting(network, _VIEWS, _LONG, pace=_PACE) as visit:
    waiting = True
    while waiting:
      waiting = futures.wait([visit], _PERIOD).not_done
      minute, load = (time.monotonic() - began) / 60, os.getloadavg()[0]
      print(f"| {minute:.1f} | {_memory():.0f} | {load:.1f} |", flush=True)
  print("\n| page | updates/s | median, ms | 95 % | 99 % |")
  print("|---|---|---|---|---|")
  for view, trips in zip(_VIEWS, visit.result(), strict=True):
    page = [", ".join(view.values()), f"{len(trips) / _LONG:.1f}"]
    print("| " + " | ".join([*page, *_percentiles(trips)]) + " |")


def rows() -> Iterator[list[str]]:
  """One row for one page, one for four, as fast as they can."""
  network = load_network("squeezenet1.1")
  for pages in (1, 4):
    with _visiting(network, [_FIRE5] * pages, _SECONDS) as visit:
      taken = visit.result()
    rates = [len(trips) / _SECONDS for trips in taken]
    median, *rest = _percentiles([trip for trips in taken for trip in trips])
    yield [
      f"Toolbox, round trip, pages: {pages}, median, ms",
      median,
      "95 %, 99 %: " + ", ".join(rest),
      f"{min(rates):.0f} to {max(rates):.0f} updates/s a page",
      "report" if pages > 1 else "10 updates/s",
    ]


def frames(network: Network) -> list[bytes]:
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


@contextlib.contextmanager
def _visiting(
  network: Network,
  views: Sequence[Mapping[str, Any]],
  seconds: float,
  pace: float = float("inf"),
) -> Iterator[futures.Future[list[Trips]]]:
  """Serves a network to pages of another process, as browsers are."""
  config = uvicorn.Config(
    build_app(network), port=0, log_level="warning", ws="websockets-sansio"
  )
  server = uvicorn.Server(config)
  thread = threading.Thread(target=server.run)
  thread.start()
  while not server.started:
    time.sleep(0.05)
  port = server.servers[0].sockets[0].getsockname()[1]
  spawn = multiprocessing.get_context("spawn")
  try:
    with futures.ProcessPoolExecutor(1, spawn) as pool:
      yield pool.submit(_visit, port, frames(network), views, seconds, pace)
  finally:
    server.should_exit = True
    thread.join()


def _visit(port: int, files, views, seconds: float, pace: float) -> list[Trips]:
  async def visit():
    pages = (_page(port, files, view, seconds, pace) for view in views)
    return await asyncio.gather(*pages)

  return asyncio.run(visit())


async def _page(port: int, files, view, seconds: float, pace: float) -> Trips:
  trips = []
  async with websockets.connect(
    f"ws://127.0.0.1:{port}/live",
    origin=f"http://127.0.0.1:{port}",
    max_size=None,
    compression=None,
  ) as socket:
    values = {**view, "source": "webcam"}
    await socket.send(json.dumps({"type": "set", "values": values}))
    number, start = 0, time.perf_counter() + _WARM
    while (began := time.perf_counter()) < start + seconds:
      number += 1
      await socket.send(files[number % len(files)])
      await _await_frame(socket, number)
      now = time.perf_counter()
      if began > start:
        trips.append(now - began)
      await asyncio.sleep(max(0.0, 1 / pace - (now - began)))
  return trips


async def _await_frame(socket, number: int) -> None:
  """Waits for the update that has a frame in it."""
  while True:
    data = await socket.recv()
    if isinstance(data, bytes):
      (length,) = struct.unpack_from("<I", data)
      if json.loads(data[4 : 4 + length])["frame"] == number:
        return


def _percentiles(trips: Trips) -> list[str]:
  cuts = statistics.quantiles(trips, n=100)
  return [f"{1e3 * cuts[share - 1]:.0f}" for share in (50, 95, 99)]


def _memory() -> float:
  """What this process holds now, MB."""
  pages = int(Path("/proc/self/statm").read_text().split()[1])
  return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
  main()
