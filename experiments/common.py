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
from tqdm import tqdm

import jdeepvis
from jdeepvis import atlas
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.convert import weights_sha256
from jdeepvis.networks.download import cache_folder
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.batches import choose_batch
from jdeepvis.types import Image, JdeepvisError

# Operations that keep one device busy. A core is with a few small pictures,
# measured; a GPU would be with about 64 gradients of SqueezeNet.
_BUSY_CORE, _BUSY_ACCELERATOR = 20_000_000, 100_000_000_000

# What JAX reports when `sweep.climb` has been compiled.
_COMPILED = "/jax/core/compile/backend_compile_duration"
_CLIMB = "jit(_advance)"


def run(main: Callable[[], None]) -> None:
  """Runs a script's `main` once its flags are parsed.

  Bad input, or a file that the system refuses, ends with one sentence on
  standard error and exit status 1.
  """

  def guarded(argv):
    # Without this JAX tells of every kind of device it does not find.
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


def batch_for(network: Network, layer: str, wanted: int) -> int:
  """How many of the `wanted` pictures to render at once here and now."""
  devices = jax.local_devices()
  on_cpu = devices[0].platform == "cpu"
  return choose_batch(
    network,
    layer,
    wanted=wanted,
    free_bytes=_free_memory() if on_cpu else sum(map(_free_on, devices)),
    devices=len(devices),
    busy=_BUSY_CORE if on_cpu else _BUSY_ACCELERATOR,
  )


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
  for name, value in entries.items():
    if name == "jobs":
      continue
    if name not in flags.FLAGS:
      raise JdeepvisError(f"The config's entry {name!r} is no flag.")
    try:
      flags.FLAGS.set_default(name, as_typed(value))
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
  requests: Sequence[atlas.Request],
  start: Callable[[atlas.Request], Image],
) -> None:
  """Renders what is missing, behind a progress bar."""
  steps = atlas.count_image_steps(folder, requests)
  with tqdm(
    total=steps, unit="step", desc="Rendering", dynamic_ncols=True
  ) as bar:

    def report(news: atlas.Report) -> None:
      bar.set_postfix(score=f"{news.score:.1f}", refresh=False)
      bar.update(news.image_steps)

    atlas.render_atlas(
      folder,
      network,
      requests,
      batch=_batches(requests),
      start=start,
      report=report,
    )


def predict(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[atlas.Request],
  start: Callable[[atlas.Request], Image],
) -> None:
  """Says how long `render` will take, from its first few steps."""
  told = atlas.forecast(
    folder,
    network,
    requests,
    batch=_batches(requests),
    start=start,
  )
  print(
    f"Steps to go: {told.image_steps}; programs: {told.programs}; time: about "
    f"{told.seconds / 60:.1f} minutes.",
    flush=True,
  )


@contextlib.contextmanager
def count_programs() -> Iterator[list[float]]:
  """Lends a list that grows by one entry for each climb that is compiled."""
  seconds: list[float] = []

  def listen(event: str, duration: float, **facts: Any) -> None:
    if event == _COMPILED and facts.get("fun_name") == _CLIMB:
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
  told = ", ".join(
    f"{count} {status.replace('_', ' ')}" for status, count in statuses.items()
  )
  plural = "s" * (len(records) != 1)
  print(
    f"\n{len(records)} picture{plural} ({told}). Look at\n"
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


def _batches(
  requests: Sequence[atlas.Request],
) -> Callable[[Network, str], int]:
  """Batches for as many pictures of a layer as share a program, at most."""
  groups = collections.Counter(
    (request.layer, jax.tree.structure(request.recipe)) for request in requests
  )
  wanted: dict[str, int] = {}
  for (layer, _), count in groups.items():
    wanted[layer] = max(wanted.get(layer, 0), count)
  return lambda network, layer: batch_for(network, layer, wanted[layer])


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
    return flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    name = error.flagname
    _fail(f"There is no flag --{name}; {nearest(name, flags.FLAGS)}.")
  except flags.Error as error:
    # One of several, if several are wrong.
    told = str(error).splitlines()[0].rstrip(".")
    _fail(f"{told[0].upper()}{told[1:]}; --help lists the flags.")
  except Exception as error:  # a config is code, which can raise anything
    _fail(f"The config cannot be used: {repr(error)[:200]}.")


def _git_revision() -> str | None:
  folder = Path(__file__).parent
  command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
  try:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return done.stdout.strip()


def _free_memory() -> int:
  for line in Path("/proc/meminfo").read_text().splitlines():
    if line.startswith("MemAvailable:"):
      return int(line.split()[1]) * 1024
  return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_on(device: jax.Device) -> int:
  stats = device.memory_stats() or {}
  return stats.get("bytes_limit", 8 << 30) - stats.get("bytes_in_use", 0)


def _fail(sentence: str) -> NoReturn:
  sys.exit(f"error: {sentence}")
