"""What an unfinished run has reached, kept so that it can go on."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdeepvis.display.files import atomic
from jdeepvis.types import JdeepvisError


class Store:
  """The arrays that one run keeps between processes, in `checkpoint.npz`.

  The file appears whole or not at all, whenever a process is killed. Of several
  processes the first one writes; all read, so that all must see the folder.

  >>> import tempfile, numpy as np
  >>> store = Store(tempfile.mkdtemp())
  >>> store.load()
  {}
  >>> store.save({"step": 3, "history": {"score": np.zeros(2)}})
  >>> store.load()["history"]
  {'score': array([0., 0.])}

  Attributes:
    path: where the file is.
  """

  def __init__(self, folder: Path | str):
    self.path = Path(folder) / "checkpoint.npz"

  def load(self) -> dict[str, Any]:
    """What was saved last, dicts of arrays; empty where nothing was.

    Raises:
      JdeepvisError: the file is damaged, or an earlier version of this program
        kept something else here.
    """
    try:
      with open(self.path, "rb") as file, np.load(file) as arrays:
        return _nested(dict(arrays))
    except FileNotFoundError:
      # Orbax, which kept scans and archives before, has a folder for each step.
      steps = self.path.parent.glob("*/*")
      if any(path.parent.name.isdigit() for path in steps):
        raise _misfit(self.path.parent) from None
      return {}
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile):
      raise self.misfit() from None

  def save(self, tree: Mapping[str, Any]) -> None:
    """Keeps arrays, in dicts nested at will, in place of what was kept."""
    if jax.process_index() == 0:
      with atomic(self.path) as path:
        np.savez(path, **dict(_flat(tree)))

  def clear(self) -> None:
    """Forgets what was kept."""
    self.path.unlink(missing_ok=True)

  def misfit(self) -> JdeepvisError:
    """The error where what was kept is not what the run can go on from."""
    return _misfit(self.path)


def _flat(tree: Mapping[str, Any], prefix: str = ""):
  for name, value in tree.items():
    if isinstance(value, Mapping):
      yield from _flat(value, f"{prefix}{name}/")
    else:
      yield f"{prefix}{name}", value


def _nested(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
  tree: dict[str, Any] = {}
  for path, array in arrays.items():
    *groups, name = path.split("/")
    node = tree
    for group in groups:
      node = node.setdefault(group, {})
    node[name] = array
  return tree


def _misfit(path: Path) -> JdeepvisError:
  return JdeepvisError(
    f"{str(path)!r} is damaged or of an earlier version; remove it, and what "
    "it held is made again."
  )
