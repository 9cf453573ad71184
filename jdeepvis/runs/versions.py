"""What made a result, for its manifest."""

import subprocess
from pathlib import Path

import jax

from jdeepvis.version import __version__


def versions() -> dict[str, str | None]:
  """Packages, git revision, and the kind of device."""
  import flax
  import numpy
  import optax

  return {
    "jdeepvis": __version__,
    "jax": jax.__version__,
    "flax": flax.__version__,
    "optax": optax.__version__,
    "numpy": numpy.__version__,
    "git": _git_revision(),
    "device": jax.local_devices()[0].device_kind,
  }


def _git_revision() -> str | None:
  folder = Path(__file__).parent
  command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
  try:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()
