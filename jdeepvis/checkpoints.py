"""Arrays kept by Orbax, so that a run that is killed can go on."""

from pathlib import Path
from typing import Any

from jax.experimental import multihost_utils

from jdeepvis.types import JdeepvisError


class Checkpoints:
  """The latest of what was saved in one folder, which all processes must see.

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
    # No process saves before all have looked at what there is.
    multihost_utils.sync_global_devices("checkpoints")

  @property
  def step(self) -> int | None:
    """The step of the last run, if there was any."""
    return self._manager.latest_step()

  def load(self) -> Any:
    """What was saved last, nested dicts of arrays.

    Raises:
      JdeepvisError: it cannot be read.
    """
    try:
      return self._manager.restore(self.step, args=self._args.StandardRestore())
    except (OSError, ValueError, KeyError, TypeError) as error:
      raise self.damaged() from error

  def save(self, step: int, tree: Any) -> None:
    """Keeps this in place of what was kept before.

    Args:
      step: how far the run is; grows.
      tree: nested dicts of arrays, none of them empty.
    """
    self._manager.save(step, args=self._args.StandardSave(tree))

  def close(self) -> None:
    """Waits until all is written."""
    self._manager.close()

  def damaged(self) -> JdeepvisError:
    """The error where it holds something else than was saved."""
    return JdeepvisError(
      f"{str(self._folder)!r} is damaged; remove it, and the run begins anew."
    )


def require_orbax() -> None:
  """Says at once, not after minutes of work, that nothing can be kept.

  Raises:
    JdeepvisError: orbax-checkpoint is not installed.
  """
  try:
    import orbax.checkpoint  # noqa: F401
  except ImportError:
    raise JdeepvisError(
      "Keeping an archive needs orbax-checkpoint: pip install "
      "'jdeepvis[evolve]'."
    ) from None
