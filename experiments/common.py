"""What every script does: parse, run, and fail in one sentence."""

import os
import sys
from collections.abc import Callable

import jax
from absl import app

from jdeepvis.types import JdeepvisError


def run(main: Callable[[], None]) -> None:
  """Runs a script's `main` once its flags are parsed.

  Bad input ends with one sentence on standard error and exit status 1.
  """

  def guarded(argv):
    if argv[1:]:
      _fail(f"Unknown argument {argv[1]!r}; flags begin with --.")
    try:
      main()
    except JdeepvisError as error:
      _fail(str(error))
    except KeyboardInterrupt:
      sys.exit("\nStopped; the same command goes on from here.")

  app.run(guarded)


def use_all_cores() -> None:
  """Makes each core a device of its own, before JAX starts: it is faster.

  A GPU or TPU, where there is one, is used as it is.
  """
  cores = len(os.sched_getaffinity(0))
  jax.config.update("jax_num_cpu_devices", cores)


def _fail(sentence: str) -> None:
  sys.exit(f"error: {sentence}")
