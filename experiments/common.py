"""What every script does: parse, run, and fail in one sentence."""

import collections
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import app, flags, logging
from ml_collections import config_flags

import jdeepvis
from jdeepvis import atlas
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.convert import weights_sha256
from jdeepvis.networks.download import cache_folder
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.render import show_progress
from jdeepvis.synthesis.requests import Request
from jdeepvis.types import AnyArray, JdeepvisError

# The flags defined here are those of the script that asks for them.
flags.disclaim_key_flags()

# What JAX reports when a program of gradient ascent has been compiled.
_COMPILED = "/jax/core/compile/backend_compile_duration"
_ASCENT = "jit(_advance)"

# What version 0.1 called flags and their values; good for one version more.
_RENAMED = {"init": "initial"}
_RENAMED_VALUES = {("canvas", "feature"): "field"}


def run(main: Callable[[], None]) -> None:
  """Runs a script's `main` once its flags are parsed.

  Bad input, or a file that the system refuses, ends with one sentence on
  standard error and exit status 1.
  """

  def guarded(argv):
    # Without this JAX reports every kind of device it does not find.
    logging.set_verbosity(logging.WARNING)
    _keep_programs()
    if argv[1:]:
      _fail(f"Unknown argument {argv[1]!r}; flags begin with --.")
    try:
      main()
    except JdeepvisError as error:
      _fail(str(error))
    except OSError as error:
      _fail(f"The system refuses {error.filename!r}: {error.strerror}.")
    except KeyboardInterrupt:
      sys.exit("\nStopped; the same command goes on from here.")

  app.run(guarded, flags_parser=_parse)


def use_all_cores() -> None:
  """Makes each core a device of its own, which is faster on a CPU.

  To be called before JAX starts; a GPU or TPU is used as it is.
  """
  jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def take_flags_from(config: flags.FlagHolder) -> Mapping[str, Any]:
  """Lets a config file set every flag that the command line does not.

  Args:
    config: the flag that names the file.

  Returns:
    What the file holds; `jobs` in it is the script's own.

  Raises:
    JdeepvisError: there is no such file, or an entry is no flag of the script
      or no value for it.
  """
  try:
    entries = dict(config.value or {})
  except OSError:
    path = config_flags.get_config_filename(flags.FLAGS[config.name])
    raise JdeepvisError(f"There is no config file {path!r}.") from None
  for entry, value in entries.items():
    if entry == "jobs":
      continue
    name, value = _today(entry, value)
    if name not in flags.FLAGS:
      raise JdeepvisError(f"The config's entry {name!r} is no flag.")
    # A flag that may be given several times: commas part no two of them.
    several = isinstance(flags.FLAGS[name], flags.MultiFlag)
    listed = several and isinstance(value, list | tuple)
    try:
      flags.FLAGS.set_default(
        name, list(map(as_typed, value)) if listed else as_typed(value)
      )
    except flags.Error as error:
      raise JdeepvisError(
        f"The config's entry {name!r} is wrong: {error}."
      ) from error
  return entries


def as_typed(value: Any) -> str | None:
  """A config's value as one would type it after the flag."""
  if isinstance(value, list | tuple):
    return ",".join(map(str, value))
  return None if value is None else str(value)


def as_size(entries: Sequence[str] | None) -> tuple[int, int] | None:
  """A --size flag's height and width, pixels.

  Raises:
    JdeepvisError: they are not two.
  """
  if entries is None:
    return None
  try:
    height, width = map(int, entries)
  except ValueError:
    raise JdeepvisError(
      f"--size={','.join(entries)} is not HEIGHT,WIDTH."
    ) from None
  return height, width


def as_position(entries: Sequence[str] | None) -> tuple[int, int] | None:
  """A --position flag's two numbers.

  Raises:
    JdeepvisError: they are not two.
  """
  if entries is None:
    return None
  try:
    row, column = map(int, entries)
  except ValueError:
    raise JdeepvisError(
      f"--position={','.join(entries)} is not ROW,COLUMN."
    ) from None
  return row, column


def render(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  initial: str | AnyArray = "noise",
) -> None:
  """Renders what is missing, behind a progress bar."""
  steps = atlas.count_image_steps(folder, requests)
  news = atlas.render_atlas(folder, network, requests, initial=initial)
  for _ in show_progress(news, steps):
    pass


def predict(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  initial: str | AnyArray = "noise",
) -> None:
  """Says how long `render` will take, from its first few steps."""
  left = atlas.forecast(folder, network, requests, initial=initial)
  print(
    f"Steps to go: {left.image_steps}; programs: {left.programs}; time: about "
    f"{left.seconds / 60:.1f} minutes.",
    flush=True,
  )


@contextlib.contextmanager
def count_programs() -> Iterator[list[float]]:
  """Lends a list that grows by one for each ascent program compiled."""
  seconds: list[float] = []

  def listen(event: str, duration: float, **facts: Any) -> None:
    if event == _COMPILED and facts.get("fun_name") == _ASCENT:
      seconds.append(duration)

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    yield seconds
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
  """Prints rows with the same keys, columns aligned."""
  cells = [
    list(rows[0]),
    *([_cell(one) for one in row.values()] for row in rows),
  ]
  widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
  for line in cells:
    numbers = map(str.rjust, line[1:], widths[1:])
    print(line[0].ljust(widths[0]), *numbers, sep="  ")


def print_results(folder: PictureFolder) -> None:
  """Says how many pictures there are, how many failed, where to look."""
  records = folder.manifest["records"]
  statuses = collections.Counter(record["status"] for record in records)
  counts = ", ".join(
    f"{count} {status.replace('_', ' ')}" for status, count in statuses.items()
  )
  plural = "s" * (len(records) != 1)
  print(
    f"\n{len(records)} picture{plural} ({counts}). Look at\n"
    f"  {folder.path / 'index.html'}\n"
    f"  {folder.path / 'montage.png'}"
  )


def network_settings(net: str, network: Network) -> dict[str, str]:
  """What all that is in a folder shares: the network."""
  return {"net": net, "weights_sha256": weights_sha256(network.params)}


def versions() -> dict[str, str | None]:
  """What made a result: packages, git revision, kind of device."""
  import flax
  import numpy
  import optax

  return {
    "jdeepvis": jdeepvis.__version__,
    "jax": jax.__version__,
    "flax": flax.__version__,
    "optax": optax.__version__,
    "numpy": numpy.__version__,
    "git": _git_revision(),
    "device": jax.local_devices()[0].device_kind,
  }


def _cell(value: Any) -> str:
  if value is None:
    return "-"
  return f"{value:.4g}" if isinstance(value, float) else str(value)


def _keep_programs() -> None:
  """Lets a later process use what this one compiles.

  JAX_COMPILATION_CACHE_DIR names another folder than the user's own. JAX only
  warns of a folder that cannot be written.
  """
  if jax.config.jax_compilation_cache_dir is None:
    folder = str(cache_folder("programs"))
    jax.config.update("jax_compilation_cache_dir", folder)


def _parse(argv: Sequence[str]) -> list[str]:
  try:
    return flags.FLAGS([_rewritten(text) for text in argv])
  except flags.UnrecognizedFlagError as error:
    name = error.flagname
    _fail(f"There is no flag --{name}; {nearest(name, flags.FLAGS)}.")
  except flags.Error as error:
    # One of several, if several are wrong.
    first = str(error).splitlines()[0].rstrip(".")
    _fail(f"{first[0].upper()}{first[1:]}; --help lists the flags.")
  except Exception as error:  # a config is code, which can raise anything
    _fail(f"The config cannot be used: {repr(error)[:200]}.")


def _rewritten(argument: str) -> str:
  """A command line's argument with today's names."""
  if not argument.startswith("--"):
    return argument
  name, equals, value = argument[2:].partition("=")
  name, value = _today(name, value)
  return f"--{name}{equals}{value}"


def _today(name: str, value: Any) -> tuple[str, Any]:
  new = _RENAMED.get(name, name)
  now = value
  if isinstance(value, str):
    now = _RENAMED_VALUES.get((new, value), value)
  if isinstance(value, str) and value.startswith("~"):
    # No shell knows a path's ~ behind --flag=.
    value = now = os.path.expanduser(value)
  if (new, now) != (name, value):
    print(f"--{name}={value} is written --{new}={now} now.", file=sys.stderr)
  return new, now


def _git_revision() -> str | None:
  folder = Path(__file__).parent
  command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
  try:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()


def _fail(sentence: str) -> NoReturn:
  sys.exit(f"error: {sentence}")
