r"""Finds the images, and the patches in them, that excite each unit most.

  python -m experiments.find_top_patches --images=photos --out=out/tree
  python -m experiments.find_top_patches --images=photos --out=out/tree \
    --layers=inception_3a/output,output --bottom=9 --views=deconv,guided

IMAGES is a folder, read however deep, or a text file with one image a line.
A run that is killed and started again goes on where it was, to the same bits;
with other --views it adds those.
Several processes, on one machine or on many that share --out, look together:
the same command for each with --coordinator=HOST:PORT --processes=N and its
own --process, 0 to N-1. Open OUT/index.html to look at what was found.
"""

import warnings
from pathlib import Path

import jax
from absl import flags
from PIL import Image

from experiments import script
from jdeepvis.networks.names import find_layer, nearest
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import images, top_patches
from jdeepvis.probing.backprop import RULES
from jdeepvis.runs import scans
from jdeepvis.types import JdeepvisError

_NET, _OUT, _ROOT = script.define("net", "out", "root")
_IMAGES = flags.DEFINE_string(
  "images", None, "A folder of images, or a text file with one a line."
)
_LAYERS = flags.DEFINE_list(
  "layers", "all", "Layers by their Caffe names; output: the class scores."
)
_K = flags.DEFINE_integer(
  "k", 9, "Patches to keep for each unit.", lower_bound=1
)
_BOTTOM = flags.DEFINE_integer(
  "bottom", 0, "Patches to keep of what inhibits each unit.", lower_bound=0
)
_VIEWS = flags.DEFINE_list(
  "views", "deconv", f"Backward views of each patch: {', '.join(RULES)}."
)
_WORKERS = flags.DEFINE_integer(
  "workers", 2, "Threads that decode images.", lower_bound=1
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "HOST:PORT of process 0, where there are several."
)
_PROCESSES = flags.DEFINE_integer("processes", 1, "How many.", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", 0, "Which this is.", lower_bound=0)


def main() -> None:
  """Flags to a scan, a scan to a tree of files."""
  # Pillow's limit of pixels shall refuse a file, not only warn.
  warnings.simplefilter("error", Image.DecompressionBombWarning)
  images.require_loaders()
  if not _IMAGES.value:
    raise JdeepvisError("Say what to look at: --images=FOLDER --out=FOLDER.")
  views = [view for view in _VIEWS.value if view]
  for view in views:
    if view not in RULES:
      raise JdeepvisError(f"There is no view {view!r}; {nearest(view, RULES)}.")
  listing = images.list_images(_IMAGES.value, _ROOT.value)
  if others := images.passed_over(listing):
    print(others)
  _connect()
  network = load_network(_NET.value)
  filled = scans.fill_tree(
    _OUT.value,
    network,
    script.network_settings(network),
    _layers(network),
    listing,
    k=_K.value,
    bottom=_BOTTOM.value,
    rules=views,
    workers=_WORKERS.value,
    title=f"Units of {_NET.value}",
  )
  if filled:
    _report(filled)


def _connect() -> None:
  if _PROCESSES.value > 1:
    if not _COORDINATOR.value:
      raise JdeepvisError("Several processes need --coordinator=HOST:PORT.")
    jax.distributed.initialize(
      _COORDINATOR.value, _PROCESSES.value, _PROCESS.value
    )


def _layers(network: Network) -> tuple[str, ...]:
  if _LAYERS.value == ["all"]:
    return top_patches.probed_layers(network)
  names = (find_layer(network, name) for name in _LAYERS.value)
  return tuple(dict.fromkeys(names))


def _report(filled: scans.Filled) -> None:
  for reason, count in filled.skipped.items():
    print(f"Skipped {count}, each of which {reason}: see skipped.txt.")
  if filled.recomputed:
    print(
      f"Warning: the values of {filled.recomputed} patches are more than 0.1 "
      "from what the scan saw; were files replaced since? See 'recomputed' in "
      "info.json."
    )
  print(
    f"\n{filled.units} units on {filled.images} images. Look at\n"
    f"  {Path(_OUT.value) / 'index.html'}"
  )


if __name__ == "__main__":
  script.run(main, all_cores=True)
