"""What the toolbox adds to the bare forward pass.

  python -m benchmarks.toolbox

From a webcam frame's bytes to the message with the shown layer's tiles, beside
the jitted forward pass to that layer on an image that is there already; with
classes, beside the pass to the classes. Rounds are interleaved and medians
taken. Then whole round trips over a websocket, with one page and with four; see
`round_trips` for longer ones.
"""

import os
from collections.abc import Iterator

import jax
import numpy as np

from benchmarks import round_trips
from benchmarks.timing import interleave
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.networks.zoo import load_network, third_party
from jdeepvis.probing.images import list_images
from jdeepvis.toolbox.backend import Backend
from jdeepvis.toolbox.events import reduce
from jdeepvis.toolbox.inputs import decode
from jdeepvis.toolbox.state import State
from jdeepvis.toolbox.wire import Packer

_ROUNDS = 30
_LAYERS = ("conv1", "fire5/expand3x3", "fire9/concat")


def main() -> None:
  """Prints the table."""
  print("| work | toolbox | rival | ratio | goal |\n|---|---|---|---|---|")
  for row in rows():
    print("| " + " | ".join(row) + " |", flush=True)
  print(f"\nLoad of the machine: {os.getloadavg()[0]:.1f}.")


def rows() -> Iterator[list[str]]:
  """Each layer, without classes and with them; then round trips."""
  network = load_network("squeezenet1.1")
  frames = round_trips.frames(network)
  backend = Backend(network, list_images(third_party() / "photos"))
  image = preprocess(decode(frames[0]), network.input, mode="square")
  for layer in _LAYERS:
    for labels in (False, True):
      values = {"layer": layer, "source": "webcam", "show_labels": labels}
      event = {"type": "set", "values": values}
      state = reduce(State(catalogue=backend.catalogue), event)
      seconds = interleave(
        {
          "ours": _update(backend, state, frames),
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
  yield from round_trips.rows()


def _update(backend: Backend, state: State, frames: list[bytes]):
  number = 0
  pack = Packer()

  def work():
    nonlocal number
    number += 1
    look = backend.look(state, frames[number % len(frames)], None)
    return len(pack(look.panels, {}))

  return work


def _bare(network: Network, image: np.ndarray, blob: str):
  network, images = jax.device_put((network, image[None]))
  run = jax.jit(lambda network, images: network(images, until=blob)[blob])
  return lambda: run(network, images)


if __name__ == "__main__":
  main()
