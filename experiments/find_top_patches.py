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

import collections
import contextlib
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import jax
from absl import flags
from jax.experimental import multihost_utils
from PIL import Image

from experiments import script
from jdeepvis.display.folder import only_run
from jdeepvis.display.progress import show_progress
from jdeepvis.display.unit_page import write_page
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.networks.names import find_layer, nearest
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import images, scan, top_patches
from jdeepvis.probing.backprop import RULES, require_rule
from jdeepvis.runs import patches, scans
from jdeepvis.runs.versions import versions
from jdeepvis.types import JdeepvisError

_NET, _OUT = script.define("net", "out")
_IMAGES = flags.DEFINE_string(
  "images", None, "A folder of images, or a text file with one a line."
)
_ROOT = flags.DEFINE_string(
  "root", None, "The folder that the names in a list of images are relative to."
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
  layers = _layers(network)
  for view in views:
    require_rule(network, view)
  leads = jax.process_index() == 0
  with only_run(_OUT.value) if leads else contextlib.nullcontext():
    tree = _open(network, listing, layers, views) if leads else None
    # The result's last bits depend on it: chosen once for a tree.
    batch = tree.settle("images per device", scan.per_device) if tree else 0
    found = scans.scan_images(
      Path(_OUT.value) / ".scan",
      network,
      layers,
      listing,
      k=_K.value,
      bottom=_BOTTOM.value,
      per_device=int(multihost_utils.broadcast_one_to_all(batch)),
      workers=_WORKERS.value,
    )
    if tree:
      made = patches.write_patches(
        tree,
        network,
        layers,
        found.survey,
        listing,
        rules=views,
        batch=scan.per_device(),
      )
      units = sum(network.shapes[layer][-1] for layer in layers)
      _write(tree, listing, found, units, made)


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


def _open(
  network: Network,
  listing: images.ImageList,
  layers: Sequence[str],
  views: Sequence[str],
) -> UnitTree:
  tree = UnitTree.open(
    _OUT.value,
    script.network_settings(network),
    versions=versions(),
  )
  tree.settle("images", lambda: str(listing.root))
  pinned = {
    "images_sha256": listing.sha256,
    "k": _K.value,
    "bottom": _BOTTOM.value,
    "layers": layers,
  }
  for name, value in pinned.items():
    tree.pin(name, value)
  tree.note("views", views)
  return tree


def _write(
  tree: UnitTree,
  listing: images.ImageList,
  found: scan.Found,
  units: int,
  made: Iterable[patches.Written],
) -> None:
  skipped = [
    f"{images.spell(name)}: {images.FAULTS[fault]}"
    for name, fault in zip(listing.names, found.faults, strict=True)
    if fault
  ]
  text = "".join(f"{line}\n" for line in skipped)
  (tree.path / "skipped.txt").write_text(text, encoding="utf-8")
  bar = show_progress(
    made, lambda one: one.units, total=units, unit="unit", title="Patches"
  )
  changed = sum(one.recomputed for one in bar)
  write_page(tree, title=f"Units of {_NET.value}")
  reasons = collections.Counter(images.FAULTS[x] for x in found.faults if x)
  for reason, count in reasons.items():
    print(f"Skipped {count}, each of which {reason}: see skipped.txt.")
  if changed:
    print(
      f"Warning: the values of {changed} patches are more than 0.1 from what "
      "the scan saw; were files replaced since? See 'recomputed' in info.json."
    )
  print(
    f"\n{units} units on {found.seen - len(skipped)} images. Look at\n"
    f"  {tree.path / 'index.html'}"
  )


if __name__ == "__main__":
  script.run(main, all_cores=True)
