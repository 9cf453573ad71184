"""Pictures of many units, rendered into a folder that can be resumed."""

import hashlib
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.manifest import picture_file
from jdeepvis.display.records import Record
from jdeepvis.networks.convert import weights_sha256
from jdeepvis.networks.network import Network
from jdeepvis.synthesis import batch
from jdeepvis.synthesis.recipe_records import to_plain
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.render import News, Pictures, run, show_progress
from jdeepvis.synthesis.requests import Request
from jdeepvis.types import AnyArray
from jdeepvis.upgrade import upgrade_folder

_SECONDS_BETWEEN_CHECKPOINTS = 20
_SETTLED = "pictures per device, {}"


def file_of(request: Request) -> str:
  """Where a request's picture goes, within its folder."""
  unit = request.unit or 0
  return picture_file(request.layer, unit, request.recipe_name, request.seed)


def count_image_steps(
  folder: PictureFolder, requests: Sequence[Request]
) -> int:
  """The work that is left: steps of all pictures not yet in the folder."""
  missing = _missing(folder, requests)
  left = sum(request.recipe.steps for request in missing)
  files, arrays = folder.load_checkpoint()
  begun = [x for x in map(file_of, missing) if x in files]
  done = int(arrays["step"]) if begun and begun == files else 0
  return left - len(begun) * done


def open_folder(
  path: Path | str,
  settings: Mapping[str, Any],
  recipes: Mapping[str, Recipe],
  **more: Any,
) -> PictureFolder:
  """A folder for pictures, begun or gone on with.

  Args:
    path: where it is, or shall be.
    settings: what all its pictures share; plain values.
    recipes: by the names they have in files; they must be what they were.
    **more: further entries of a new manifest.

  Raises:
    JdeepvisError: the folder holds something else, or was made otherwise.
  """
  upgrade_folder(path)
  folder = PictureFolder.open(path, settings, **more)
  for name, recipe in recipes.items():
    folder.pin(f"recipe {name}", to_plain(recipe))
  return folder


def write_folder(
  path: Path | str, pictures: Pictures, *, title: str = "Pictures"
) -> Path:
  """Writes pictures into a folder with a page, as they are finished.

  What the folder has already is not made again, so that a call that was
  interrupted goes on where it was, and other units, seeds, recipes and
  strengths extend it. It is the same folder as `experiments.render_units`
  makes: PNG files, arrays, montages and a manifest.

  >>> import tempfile, jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> recipe = jdeepvis.recipe("default").replace(steps=4)
  >>> pictures = jdeepvis.render_many(network, "conv1:0-1", recipe)
  >>> page = jdeepvis.write_folder(tempfile.mkdtemp(), pictures)
  >>> page.name
  'index.html'

  Args:
    path: the folder; made where it is missing.
    pictures: what `render_many` returned.
    title: of the page.

  Returns:
    The page, to be opened in a browser.

  Raises:
    JdeepvisError: the folder holds something else, or pictures of another
      network, initial image or recipe.
  """
  settings = {
    "net": pictures.network.name,
    "weights_sha256": weights_sha256(pictures.network.params),
    "initial": _digest(pictures.initial),
  }
  made = {one.recipe_name: one.recipe for one in pictures.requests}
  with only_run(path):
    folder = open_folder(path, settings, made)
    steps = count_image_steps(folder, pictures.requests)
    news = render_atlas(
      folder, pictures.network, pictures.requests, initial=pictures.initial
    )
    for _ in show_progress(news, steps, hidden=not pictures.progress):
      pass
    folder.finish(title)
  return folder.path / "index.html"


class Forecast(NamedTuple):
  """What a run will take.

  Attributes:
    image_steps: steps of all pictures still to be made.
    programs: how many must be compiled.
    seconds: about how long both take.
  """

  image_steps: int
  programs: int
  seconds: float


def render_atlas(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  *,
  initial: str | AnyArray = "noise",
) -> Iterator[News]:
  """Renders what the folder does not have yet, yielding its progress.

  Pictures of one layer and of recipes alike in structure share a program. The
  batch size of one device is chosen once for each layer and kept in the
  manifest, so that a picture's bits do not depend on when it was made, beside
  which others, or on how many devices.

  Args:
    folder: where the pictures go; what is in it already is left alone.
    network: any network.
    requests: the pictures wanted.
    initial: see `run`.

  Yields:
    The news of `run`, once its pictures are in the folder.
  """
  saved = time.perf_counter()
  for some, resume in _parts(folder, requests):
    each = _settled(folder)
    for news in run(network, some, initial=initial, each=each, resume=resume):
      _settle(folder, news)
      if news.pictures:
        _write(folder, news)
      elif time.perf_counter() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
        files = [file_of(request) for request in news.requests]
        folder.save_checkpoint(files, batch.pack(news.progress))
        saved = time.perf_counter()
      yield news


def forecast(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  *,
  initial: str | AnyArray = "noise",
) -> Forecast:
  """Predicts `render_atlas` from its first few steps, which are discarded.

  The program that is compiled for them serves the run as well.

  Args:
    folder: where the pictures go.
    network: any network.
    requests: the pictures wanted.
    initial: see `run`.
  """
  wanted = _by_program(_missing(folder, requests))
  if not wanted:
    return Forecast(0, 0, 0.0)

  def time_a_chunk():
    began = time.perf_counter()
    news = next(run(network, wanted, initial=initial, each=_settled(folder)))
    return news, time.perf_counter() - began

  (_, compiled), (news, ascending) = time_a_chunk(), time_a_chunk()
  _settle(folder, news)
  size = news.each * jax.local_device_count()
  groups = [
    list(group) for _, group in itertools.groupby(wanted, lambda x: x.program)
  ]
  steps = sum(
    group[0].recipe.steps * math.ceil(len(group) / size) for group in groups
  )
  return Forecast(
    count_image_steps(folder, requests),
    len(groups),
    (compiled - ascending) * (len(groups) - 1)
    + ascending * steps / news.progress.step,
  )


def _digest(initial: str | AnyArray) -> str:
  if isinstance(initial, str):
    return initial
  return hashlib.sha256(np.ascontiguousarray(initial).tobytes()).hexdigest()


def _missing(
  folder: PictureFolder, requests: Sequence[Request]
) -> list[Request]:
  once = {file_of(request): request for request in requests}
  return [request for file, request in once.items() if file not in folder]


def _by_program(requests: Sequence[Request]) -> list[Request]:
  """Those of one program next to each other, else in their order."""
  groups: dict[tuple, list[Request]] = {}
  for request in requests:
    groups.setdefault(request.program, []).append(request)
  return [request for group in groups.values() for request in group]


def _parts(folder: PictureFolder, requests: Sequence[Request]):
  """The batch of an interrupted run with its progress, then all others."""
  missing = _missing(folder, requests)
  files, arrays = folder.load_checkpoint()
  begun = [request for request in missing if file_of(request) in files]
  if begun and list(map(file_of, begun)) == files:
    each = _settled(folder).get(begun[0].layer)
    size = each and each * jax.local_device_count()
    fits = len(arrays["history/score"]) == size
    yield begun, arrays if fits else None
    missing = [x for x in missing if file_of(x) not in files]
  if rest := _by_program(missing):
    yield rest, None


def _settled(folder: PictureFolder) -> dict[str, int]:
  """Pictures that a device makes at once, by layer, as an earlier run chose."""
  prefix = _SETTLED.format("")
  kept = folder.manifest.get("kept", {})
  return {
    name.removeprefix(prefix): value
    for name, value in kept.items()
    if name.startswith(prefix)
  }


def _settle(folder: PictureFolder, news: News) -> None:
  name = _SETTLED.format(news.requests[0].layer)
  folder.settle(name, lambda: news.each)


def _write(folder: PictureFolder, news: News) -> None:
  pictures = news.pictures
  folder.add(
    [
      Record(file_of(one.request), one.title, one.status, one.facts)
      for one in pictures
    ],
    [one.pixels for one in pictures],
    [one.image for one in pictures],
    [one.history for one in pictures],
  )
