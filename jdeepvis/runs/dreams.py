"""A dream of many octaves, saved after each and gone on with."""

from pathlib import Path
from typing import Any

import numpy as np

from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store
from jdeepvis.synthesis.dream import Dream, Plan, octaves


def resume_dream(
  folder: Path | str, name: str, *given: Any, plan: Plan, **more: Any
) -> Dream:
  """`dream`, going on from the last octave where it was interrupted.

  Args:
    folder: where it keeps what it has reached.
    name: tells this dream from others that the folder may have been left with.
    *given: score, image and spec, as for `dream`.
    plan: sizes and steps.
    **more: the key.

  Raises:
    JdeepvisError: what was kept is damaged or of an earlier version.
  """
  store, since = Store(folder), None
  kept = store.load()
  if kept and kept.pop("files").tolist() == [name]:
    if kept.keys() != set(Dream._fields):
      raise store.misfit()
    since = Dream(**kept)
  *_, last = save_now_and_then(
    octaves(*given, plan, since=since, **more),
    lambda made: store.save({"files": np.array([name]), **made._asdict()}),
    done=lambda made: made.octave == plan.octaves,
    seconds=0,
  )
  return last
