"""A scan of images for the top patches, saved and gone on with."""

import collections
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.experimental import multihost_utils

from jdeepvis.display.folder import only_run
from jdeepvis.display.progress import show_progress
from jdeepvis.display.unit_page import write_page
from jdeepvis.display.unit_tree import UnitTree
from jdeepvis.networks.network import Network
from jdeepvis.probing.backprop import require_rule
from jdeepvis.probing.images import FAULTS, ImageList, spell
from jdeepvis.probing.scan import Found, ScanProgress, per_device, scan
from jdeepvis.probing.top_patches import Extremes, Survey
from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store
from jdeepvis.runs.trees import write_patches
from jdeepvis.runs.versions import versions


class Filled(NamedTuple):
  """What `fill_tree` has done.

  Attributes:
    units: whose patches are there.
    images: that were looked at.
    skipped: how many files were not, by what is wrong with them.
    recomputed: patches whose values are not what the scan saw.
  """

  units: int
  images: int
  skipped: Mapping[str, int]
  recomputed: int


def fill_tree(
  path: Path | str,
  network: Network,
  settings: Mapping[str, Any],
  layers: Sequence[str],
  images: ImageList,
  *,
  k: int,
  bottom: int,
  rules: Sequence[str],
  workers: int,
  title: str,
) -> Filled | None:
  """Scans images for the top patches of units and writes a tree of them.

  Goes on where an earlier run stopped, and adds other views. Several processes
  call it together, and the first one writes; all must see the folder.

  Args:
    path: where the tree is, or shall be.
    network: any network.
    settings: what all in the tree shares; plain values.
    layers: whose units.
    images: the list, the same for all processes.
    k: patches to keep for each unit.
    bottom: how many of what inhibits it.
    rules: which backward views to make of each patch.
    workers: threads that decode images.
    title: of the page.

  Returns:
    What was done; None in other processes than the first.

  Raises:
    JdeepvisError: the folder holds something else or was made otherwise, an
      image can no longer be read, or the network cannot have a view.
  """
  for rule in rules:
    require_rule(network, rule)
  leads = jax.process_index() == 0
  with only_run(path) if leads else contextlib.nullcontext():
    tree = None
    if leads:
      tree = UnitTree.open(path, settings, versions=versions())
      tree.settle("images", lambda: str(images.root))
      tree.pin("images_sha256", images.sha256)
      tree.pin("k", k)
      tree.pin("bottom", bottom)
      tree.pin("layers", layers)
      tree.note("views", rules)
    # The result's last bits depend on it: chosen once for a tree.
    batch = tree.settle("images per device", per_device) if tree else 0
    found = scan_images(
      Path(path) / ".scan",
      network,
      layers,
      images,
      k=k,
      bottom=bottom,
      per_device=int(multihost_utils.broadcast_one_to_all(batch)),
      workers=workers,
    )
    if not tree:
      return None
    skipped = _write_skipped(tree, images, found)
    units = sum(network.shapes[layer][-1] for layer in layers)
    bar = show_progress(
      write_patches(
        tree,
        network,
        layers,
        found.survey,
        images,
        rules=rules,
        batch=per_device(),
      ),
      lambda one: one.units,
      total=units,
      unit="unit",
      title="Patches",
    )
    recomputed = sum(one.recomputed for one in bar)
    write_page(tree, title=title)
  return Filled(units, found.seen - sum(skipped.values()), skipped, recomputed)


def scan_images(
  folder: Path | str,
  network: Network,
  layers: Sequence[str],
  images: ImageList,
  *,
  seconds: float | int = 20,
  **more: Any,
) -> Found:
  """Looks at all images, behind a bar, going on where an earlier run stopped.

  Several processes call it together.

  Args:
    folder: where it keeps what it has found; all processes must see it.
    network: any network.
    layers: whose units.
    images: the list, the same for all processes.
    seconds: between two saves.
    **more: see `scan`.

  Raises:
    JdeepvisError: what was kept is damaged or of an earlier version.
  """
  store, total = Store(folder), len(images.names)
  found = _load(store)

  def save(progress: ScanProgress) -> None:
    nonlocal found
    found = progress.collect()
    top, bottom, histogram = found.survey
    store.save(
      {
        "seen": found.seen,
        "faults": found.faults,
        "top": top._asdict(),
        "bottom": bottom._asdict(),
        "histogram": histogram,
      }
    )

  rounds = scan(network, layers, images, resume=found, **more)
  for _ in show_progress(
    save_now_and_then(
      rounds, save, done=lambda now: now.seen == total, seconds=seconds
    ),
    lambda now: now.images,
    total=total,
    done=found.seen if found else 0,
    unit="image",
    title="Looking",
    hidden=jax.process_index() > 0,
  ):
    pass
  return found


def _write_skipped(
  tree: UnitTree, images: ImageList, found: Found
) -> Mapping[str, int]:
  """Lists the files with a fault in `skipped.txt`, and counts each fault."""
  faults = {
    name: FAULTS[fault]
    for name, fault in zip(images.names, found.faults, strict=True)
    if fault
  }
  lines = (f"{spell(name)}: {fault}\n" for name, fault in faults.items())
  path = tree.path / "skipped.txt"
  path.write_text("".join(lines), encoding="utf-8")
  return collections.Counter(faults.values())


def _load(store: Store) -> Found | None:
  if not (kept := store.load()):
    return None
  try:
    top, bottom = Extremes(**kept["top"]), Extremes(**kept["bottom"])
    survey = Survey(top, bottom, kept["histogram"])
    return Found(int(kept["seen"]), kept["faults"], survey)
  except (KeyError, TypeError) as error:
    raise store.misfit() from error
