"""Keeps what a scan has found, so that a run that is killed can go on."""

from jdeepvis.checkpoints import Checkpoints
from jdeepvis.probing.scan import Found
from jdeepvis.probing.top_patches import Extremes, Survey, begin


class ScanStates(Checkpoints):
  """Checkpoints of a scan."""

  def load(self) -> Found | None:
    """What the last run had found, if anything.

    Raises:
      JdeepvisError: it cannot be read.
    """
    seen = self.step
    if seen is None:
      return None
    tree = super().load()
    try:
      top, histogram = Extremes(**tree["top"]), tree["histogram"]
      bottom = begin(len(histogram), 0).bottom
      if "bottom" in tree:
        bottom = Extremes(**tree["bottom"])
      return Found(seen, tree["faults"], Survey(top, bottom, histogram))
    except (KeyError, TypeError) as error:
      raise self.damaged() from error

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
    super().save(found.seen, tree)
