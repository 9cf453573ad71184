"""What every script does: parse, run, and fail in one sentence."""

import collections
import contextlib
import functools
import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags
from tqdm import tqdm

import jdeepvis
from jdeepvis import atlas
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.convert import weights_sha256
from jdeepvis.networks.download import cache_folder
from jdeepvis.networks.names import imported, nearest
from jdeepvis.networks.network import Network
from jdeepvis.synthesis import assembly, parameterisations, recipes
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.batch import Ascent
from jdeepvis.synthesis.recipe_records import is_ours, to_plain
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.requests import Request, ascent, asked
from jdeepvis.synthesis.score import bind
from jdeepvis.types import AnyArray, Image, ImageParams, JdeepvisError
from jdeepvis.upgrade import upgrade_folder

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


class RecipeFlags:
  """The flags of every script that makes pictures by recipes.

  A function of one's own is `package.module:function@STRENGTH`, and behind it
  may stand `,every=4`, `,end=0.1` and further numbers that it takes.
  """

  def __init__(self, default: str | None, more: str = ""):
    """Defines the flags.

    Args:
      default: the recipe where none is named.
      more: to be said of --recipe besides the recipes' names.
    """
    names = ", ".join(recipes.RECIPES)
    self._names = flags.DEFINE_list(
      "recipe", default, f"One or several of {names}.{more}"
    )
    self._priors = flags.DEFINE_multi_string(
      "prior", [], "A prior of one's own: package.module:function@STRENGTH."
    )
    self._augmentations = flags.DEFINE_multi_string(
      "augment",
      [],
      "Likewise a function (key, image, strength).",
    )
    self._parameterisation = flags.DEFINE_string(
      "parameterise", None, "pixels, fourier, maco or package.module:function."
    )
    self._steps = flags.DEFINE_integer(
      "steps", None, "Steps; each recipe has its own.", lower_bound=1
    )
    self._keep = flags.DEFINE_enum(
      "keep", None, ["best", "last"], "Which image; each recipe has its own."
    )

  @property
  def names(self) -> list[str]:
    """The recipes that are asked for."""
    return self._names.value or []

  @property
  def steps(self) -> int | None:
    """Steps that all of them shall have."""
    return self._steps.value

  @property
  def changed(self) -> str | None:
    """A flag other than --steps that changes the named recipes."""
    flags_ = self._priors, self._augmentations, self._parameterisation
    given = [flag.name for flag in (*flags_, self._keep) if flag.value]
    return given[0] if given else None

  def made(
    self, names: Sequence[str] | None = None, steps: int | None = None
  ) -> dict[str, Recipe]:
    """The recipes by what they are called in files.

    Args:
      names: recipes, by default those of the flag.
      steps: of each, by default those of the flag.

    Raises:
      JdeepvisError: there is no such recipe or function.
    """
    return dict(map(functools.partial(self._make, steps), names or self.names))

  def _make(self, steps: int | None, name: str) -> tuple[str, Recipe]:
    recipe, called = recipes.recipe(name), name
    for text in self._priors.value:
      entry = _own_entry(text, "prior")
      recipe = recipe.with_prior(**entry)
      called += f"+{entry['name']}"
    for text in self._augmentations.value:
      entry = _own_entry(text, "augment")
      recipe = recipe.with_augmentation(**entry)
      called += f"+{entry['name']}"
    if (function := self._parameterisation.value) is not None:
      if ":" in function:
        found = own_function(function, "parameterise", ("spec",))
      else:
        found = parameterisations.find_parameterisation(function)
      recipe = recipe.replace(parameterisation=found)
      called += f"+{function.rpartition(':')[2]}"
    changes = {"steps": steps or self._steps.value, "keep": self._keep.value}
    changes = {name: value for name, value in changes.items() if value}
    return called, recipe.replace(**changes)


def own_function(
  name: str, flag: str, takes: Sequence[str], options: Iterable[str] = ()
) -> Callable:
  """The function that `package.module:function` behind a flag stands for.

  Args:
    name: a module and a function in it.
    flag: the flag's name, for the message.
    takes: what it is called with, in order.
    options: keywords that it is called with too.

  Raises:
    JdeepvisError: there is no such function, or it does not take that.
  """
  function = imported(name, f"function for --{flag}:")
  try:
    signature = inspect.signature(function)
    handed = assembly.EXTRAS if flag == "prior" else ()
    handed = [extra for extra in handed if extra in signature.parameters]
    signature.bind(*takes, **dict.fromkeys([*options, *handed]))
  except (TypeError, ValueError):
    raise JdeepvisError(
      f"--{flag}={name} is no function of ({', '.join([*takes, *options])})."
    ) from None
  return function


def try_out(network: Network, requests: Iterable[Request]) -> None:
  """Refuses what cannot be made before there is a folder for it.

  Functions of one's own are traced for a step: what fails in them fails here,
  before a folder is held to their source.

  Raises:
    JdeepvisError: the network does not have what is asked, or an objective
      gives more than one number.
  """
  for request in {one.program: one for one in requests}.values():
    of = asked(network, request)
    made = ascent(request, of)
    score = bind(of.network, made.objective)
    entries = [entry.function for entry in request.recipe.entries]
    functions = [*entries, request.recipe.parameterisation]
    if request.objective is None and all(map(is_ours, functions)):
      continue
    image = jax.ShapeDtypeStruct(of.network.input.shape, np.float32)
    value, _ = jax.eval_shape(score, None, image)
    if value.shape:
      raise JdeepvisError(
        f"The objective {request.layer!r} gives an array of shape "
        f"{list(value.shape)}, not one number."
      )
    jax.eval_shape(functools.partial(_step, made, of.network), image)


def _step(made: Ascent, network: Network, image: Image) -> ImageParams:
  spec, recipe = network.input, made.recipe
  state, _ = ascend(
    made.key,
    assembly.augmented(recipe, bind(network, made.objective), spec),
    assembly.optimizer(recipe, spec),
    assembly.encode(recipe, image, spec),
    steps=1,
  )
  return state.image


def _own_entry(text: str, flag: str) -> dict[str, Any]:
  """Parses `package.module:function@0.3,every=4` to `with_prior`'s arguments.

  Raises:
    JdeepvisError: it is not of this form, or there is no such function.
  """
  name, _, numbers = text.partition("@")
  strength, *more = (numbers or "1").split(",")
  entry: dict[str, Any] = {}
  try:
    entry["strength"] = float(strength)
    for item in more:
      key, _, value = item.partition("=")
      entry[key] = int(value) if key == "every" else float(value)
    fine = entry.get("every", 1) >= 1
  except ValueError:
    fine = False
  if not fine:
    raise JdeepvisError(
      f"--{flag}={text} is not package.module:function@STRENGTH, behind which "
      "may stand every=, end= and further numbers, such as @0.3,every=4."
    )
  takes, ours = ("key", "image", "strength"), {"strength"}
  if flag == "prior":
    takes, ours = takes[1:], {"strength", "every", "end"}
  own = [key for key in entry if key not in ours]
  entry["function"] = own_function(name, flag, takes, own)
  return {**entry, "name": name.rpartition(":")[2]}


def render(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  initial: str | AnyArray = "noise",
) -> None:
  """Renders what is missing, behind a progress bar."""
  steps = atlas.count_image_steps(folder, requests)
  with tqdm(
    total=steps, unit="step", desc="Rendering", dynamic_ncols=True
  ) as bar:
    for news in atlas.render_atlas(folder, network, requests, initial=initial):
      bar.set_postfix(score=f"{news.score:.1f}", refresh=False)
      bar.update(news.image_steps)


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


def open_folder(
  path: str | None,
  settings: Mapping[str, Any],
  made: Mapping[str, Recipe] | None = None,
) -> PictureFolder:
  """The folder for a script's pictures, begun or gone on with.

  Args:
    path: from --out.
    settings: what all its pictures share; plain values.
    made: the recipes by name, which must be what they were.

  Raises:
    JdeepvisError: the folder holds something else, or was made otherwise.
  """
  upgrade_folder(path)
  folder = PictureFolder.open(path, settings, versions=versions())
  for name, recipe in (made or {}).items():
    folder.pin(f"recipe {name}", to_plain(recipe))
  return folder


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
