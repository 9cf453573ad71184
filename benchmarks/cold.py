"""The first picture from a cold process: compiled now, or found compiled."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator


def rows() -> Iterator[list[str]]:
  """One row: the cache empty, then full."""
  with tempfile.TemporaryDirectory() as folder:
    cold, warm = (_seconds(folder, name) for name in ("first", "second"))
  yield [
    "first picture from a cold process, 16 steps, s",
    f"{cold:.1f}",
    f"compiled before {warm:.1f}",
    f"{cold / warm:.1f} times the time",
    "-",
  ]


def _seconds(folder: str, name: str) -> float:
  command = [sys.executable, "-m", "experiments.render_units", "--steps=16"]
  command.append(f"--out={folder}/{name}")
  environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": f"{folder}/cache"}
  began = time.perf_counter()
  subprocess.run(command, env=environment, check=True, capture_output=True)
  return time.perf_counter() - began
