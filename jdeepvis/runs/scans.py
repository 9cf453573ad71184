"""A scan of images for the top patches, saved and gone on with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jdeepvis.display.progress import show_progress
from jdeepvis.networks.network import Network
from jdeepvis.probing.images import ImageList
from jdeepvis.probing.scan import Found, ScanProgress, scan
from jdeepvis.probing.top_patches import Extremes, Survey
from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store


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


def _load(store: Store) -> Found | None:
  if not (kept := store.load()):
    return None
  try:
    top, bottom = Extremes(**kept["top"]), Extremes(**kept["bottom"])
    survey = Survey(top, bottom, kept["histogram"])
    return Found(int(kept["seen"]), kept["faults"], survey)
  except (KeyError, TypeError) as error:
    raise store.misfit() from error
