"""What scripts share: their common flags, and a run that fails in a sentence.

A script defines its flags, those that others have too by `define`, and hands
its `main` to `run`.
"""

import contextlib
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.download import cache_folder
from jdeepvis.networks.names import nearest
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import DEFAULT_NETWORK
from jdeepvis.runs.renders import open_folder
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import JdeepvisError

# The flags defined here are those of the script that asks for them.
flags.disclaim_key_flags()

# What version 0.1 called flags and their values; good for one version more.
_RENAMED = {"init": "initial", "start": "initial"}
_RENAMED_VALUES = {("canvas", "feature"): "field"}


class _Folder(flags.ArgumentParser):
  """Of an --out without which nothing is begun."""


class Pair(flags.ArgumentParser):
  """Of a flag with two numbers, `ROW,COLUMN` or the like, or one of words."""

  def __init__(self, form: str, *words: str, positive: bool = False):
    """Says what the numbers are, and whether they must be above 0."""
    self._form, self._words, self._positive = form, words, positive

  def parse(self, argument: Any) -> str | tuple[int, int]:
    """The word, or the two numbers."""
    if not isinstance(argument, str) or argument in self._words:
      return argument
    match = re.fullmatch(r"(-?\d+),(-?\d+)", argument)
    pair = match and (int(match[1]), int(match[2]))
    if not pair or (self._positive and min(pair) < 1):
      words = ", ".join(self._words)
      told = f"neither {words} nor" if words else "not"
      raise ValueError(f"{told} {self._form}")
    return pair


# How each is defined, its default, and its help.
_COMMON = {
  "net": (
    flags.DEFINE_string,
    DEFAULT_NETWORK,
    "A bundled network, a .safetensors or .onnx file, or "
    "package.module:factory.",
  ),
  "photos": (flags.DEFINE_string, None, "A photograph, or a folder of them."),
  "layer": (
    flags.DEFINE_string,
    "output",
    "A layer by its Caffe name; output: the class scores.",
  ),
  "units": (
    flags.DEFINE_string,
    "130",
    "Numbers, ranges (3-7), class names, all; commas between.",
  ),
  "seeds": (
    functools.partial(flags.DEFINE_integer, lower_bound=1),
    1,
    "How many pictures of each, from other noise.",
  ),
  "out": (
    functools.partial(flags.DEFINE, _Folder()),
    None,
    "The folder to write to.",
  ),
  "weights": (
    flags.DEFINE_string,
    None,
    "The .caffemodel of a --net that is a .prototxt.",
  ),
  "mean": (
    flags.DEFINE_string,
    None,
    "What a .prototxt's or .onnx file's net has subtracted: a file, or a "
    "number a channel in the net's order.",
  ),
  "scale": (
    flags.DEFINE_float,
    1.0,
    "What a .prototxt's or .onnx file's net has centred pixels multiplied by.",
  ),
  "bgr": (
    flags.DEFINE_bool,
    None,
    "The net takes blue, green, red; by default a .prototxt's does, an .onnx "
    "file's does not.",
  ),
  "size": (
    functools.partial(flags.DEFINE, Pair("HEIGHT,WIDTH", positive=True)),
    None,
    "HEIGHT,WIDTH of the images, in place of the file's.",
  ),
  "root": (
    flags.DEFINE_string,
    None,
    "The folder that the names in a list of images are relative to.",
  ),
  "plots": (flags.DEFINE_bool, True, "Draw plots, which needs matplotlib."),
  "config": (
    config_flags.DEFINE_config_file,
    None,
    "Flags from a file; see configs/.",
  ),
}


def define(*names: str) -> list[flags.FlagHolder]:
  """Defines flags that several scripts have; `run` demands --out.

  Args:
    names: of those in `_COMMON`, which has their defaults and help.
  """
  found = [(name, *_COMMON[name]) for name in names]
  return [kind(name, default, text) for name, kind, default, text in found]


def run(main: Callable[[], None], *, all_cores: bool = False) -> None:
  """Runs a script.

  Bad input, or a file that the system refuses, ends with one sentence on
  standard error and exit status 1.

  Args:
    main: called once all flags have their values.
    all_cores: see `use_all_cores`.
  """
  # Without this JAX reports every kind of device it does not find.
  logging.set_verbosity(logging.WARNING)
  if all_cores:
    use_all_cores()
  # A later process uses what this one compiles. JAX only warns of a folder that
  # cannot be written.
  if jax.config.jax_compilation_cache_dir is None:
    folder = str(cache_folder("programs"))
    jax.config.update("jax_compilation_cache_dir", folder)
  app.run(lambda argv: call(main), flags_parser=parse)


def use_all_cores() -> None:
  """Makes each core a device, which is faster where a CPU makes many pictures.

  To be called before JAX starts; a GPU or TPU is used as it is.
  """
  jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def parse(argv: Sequence[str]) -> list[str]:
  """Gives the flags their values; ends the process where one is wrong.

  Args:
    argv: the program and its arguments.

  Returns:
    The program.
  """
  try:
    program, *rest = flags.FLAGS([_rewritten(text) for text in argv])
  except flags.UnrecognizedFlagError as error:
    name = error.flagname
    _fail(f"There is no flag --{name}; {nearest(name, flags.FLAGS)}.")
  except flags.Error as error:
    # One of several, if several are wrong.
    first = str(error).splitlines()[0].rstrip(".")
    _fail(f"{first[0].upper()}{first[1:]}; --help lists the flags.")
  except Exception as error:  # a config is code, which can raise anything
    _fail(f"The config cannot be used: {repr(error)[:200]}.")
  if rest:
    _fail(f"Unknown argument {rest[0]!r}; flags begin with --.")
  return [program]


def call(main: Callable[[], None]) -> None:
  """`run` after `parse`: the config's flags, then `main`, then its errors."""
  try:
    known = flags.FLAGS
    if "config" in known:
      _take_flags_from_config()
    demanded = "out" in known and isinstance(known["out"].parser, _Folder)
    if demanded and not known.out:
      raise JdeepvisError("Say where the pictures go: --out=FOLDER.")
    main()
  except JdeepvisError as error:
    _fail(str(error))
  except OSError as error:
    _fail(f"The system refuses {error.filename!r}: {error.strerror}.")
  except KeyboardInterrupt:
    sys.exit("\nStopped; the same command goes on from here.")


@contextlib.contextmanager
def picture_folder(
  network: Network,
  settings: Mapping[str, Any],
  *,
  recipes: Mapping[str, Recipe] | None = None,
  **page: Any,
) -> Iterator[PictureFolder]:
  """The folder --out, of this run alone, and its page in the end.

  Args:
    network: that of --net.
    settings: what else all its pictures share; plain values.
    recipes: by the names they have in files.
    **page: what the page is like, see `PictureFolder.finish`.

  Raises:
    JdeepvisError: the folder holds something else, or was made otherwise.
  """
  with only_run(flags.FLAGS.out):
    settings = network_settings(network) | settings
    folder = open_folder(flags.FLAGS.out, settings, recipes or {})
    yield folder
    folder.finish(**page)


def network_settings(network: Network) -> dict[str, str]:
  """What all that is in a folder shares: the network of --net."""
  return {
    "net": flags.FLAGS.net,
    "weights_sha256": weights_sha256(network.params),
  }


def as_typed(value: Any) -> str | None:
  """A config's value as one would type it after the flag."""
  if isinstance(value, list | tuple):
    return ",".join(map(str, value))
  return None if value is None else str(value)


def _take_flags_from_config() -> None:
  try:
    entries = dict(flags.FLAGS.config or {})
  except OSError:
    path = config_flags.get_config_filename(flags.FLAGS["config"])
    raise JdeepvisError(f"There is no config file {path!r}.") from None
  entries.pop("jobs", None)  # the script's own
  for entry, value in entries.items():
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


def _fail(sentence: str) -> NoReturn:
  sys.exit(f"error: {sentence}")
