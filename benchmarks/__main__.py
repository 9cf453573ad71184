"""Every goal of speed, measured: prints a table and writes it to results.md.

python -m benchmarks
"""

import datetime
import os
import platform
from pathlib import Path

import torch

from benchmarks import (
  cold,
  forward,
  gradients,
  own_models,
  rendering,
  rival,
  scan,
  store,
  toolbox,
)
from experiments import script
from jdeepvis.runs.versions import versions

_HEAD = "| work | jdeepvis | rival | ratio | goal |\n|---|---|---|---|---|"
_RESULTS = Path(__file__).parent / "results.md"


def main() -> None:
  """Runs all, a row at a time."""
  script.use_all_cores()
  rival.use_threads()
  print(_HEAD, flush=True)
  lines = []
  for part in (
    cold,
    rendering,
    gradients,
    own_models,
    forward,
    scan,
    toolbox,
    store,
  ):
    for row in part.rows():
      lines.append("| " + " | ".join(row) + " |")
      print(lines[-1], flush=True)
  _RESULTS.write_text(
    f"# What `make bench` measured\n\n{_machine()}\n\n{_HEAD}\n"
    + "\n".join(lines)
    + "\n"
  )


def _machine() -> str:
  made = versions() | {"torch": torch.__version__}
  found = ", ".join(f"{name} {version}" for name, version in made.items())
  load = os.getloadavg()[0]
  return (
    f"{datetime.date.today()}, {platform.machine()}, "
    f"{len(os.sched_getaffinity(0))} cores ({_processor()}), load {load:.1f} "
    f"at the end, this run's own two with it; Python "
    f"{platform.python_version()}, {found}.\n\n"
    "Medians of interleaved rounds on one machine in one run."
  )


def _processor() -> str:
  for line in Path("/proc/cpuinfo").read_text().splitlines():
    if line.startswith("model name"):
      return line.partition(":")[2].strip()
  return platform.processor()


if __name__ == "__main__":
  main()
