"""Keeps what a scan has found, so that a run that is killed can go on."""

from pathlib import Path

from jax.experimental import multihost_utils

from jdeepvis.probing.scan import Found
from jdeepvis.probing.top_patches import Extremes, Survey, begin
from jdeepvis.types import JdeepvisError


class ScanStates:
  """Orbax checkpoints in one folder, which all processes must see.

  All processes make, save and close it together.
  """

  def __init__(self, folder: Path | str):
    import orbax.checkpoint as ocp

    self._args = ocp.args
    self._folder = Path(folder).resolve()
    self._folder.mkdir(parents=True, exist_ok=True)
    self._manager = ocp.CheckpointManager(
      self._folder,
      options=ocp.CheckpointManagerOptions(
        max_to_keep=1, enable_async_checkpointing=False
      ),
    )
    # Nobody saves before everybody has looked what there is.
    multihost_utils.sync_global_devices("scan states")

  def load(self) -> Found | None:
    """What the last run had found, if anything.

    Raises:
      JdeepvisError: it cannot be read.
    """
    seen = self._manager.latest_step()
    if seen is None:
      return None
    try:
      tree = self._manager.restore(seen, args=self._args.StandardRestore())
      top, histogram = Extremes(**tree["top"]), tree["histogram"]
      bottom = begin(len(histogram), 0).bottom
      if "bottom" in tree:
        bottom = Extremes(**tree["bottom"])
      return Found(seen, tree["faults"], Survey(top, bottom, histogram))
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise JdeepvisError(
        f"{str(self._folder)!r} is damaged; remove it, and the scan begins "
        "anew."
      ) from error

  def save(self, found: Found) -> None:
    """Keeps this in place of what was kept before; none of it is empty."""
    tree = {
      "faults": found.faults,
      "top": found.survey.top._asdict(),
      "bottom": found.survey.bottom._asdict(),
      "histogram": found.survey.histogram,
    }
    if not found.survey.bottom.score.size:  # what Orbax does not save
      del tree["bottom"]
    self._manager.save(found.seen, args=self._args.StandardSave(tree))

  def close(self) -> None:
    """Waits until all is written."""
    self._manager.close()
