"""Pictures of many units, rendered into a folder that can be resumed."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.manifest import picture_file
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.network import Network
from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store
from jdeepvis.runs.upgrade import upgrade_folder
from jdeepvis.runs.versions import versions
from jdeepvis.synthesis import batch
from jdeepvis.synthesis.recipe_records import to_plain
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.render import Pictures
from jdeepvis.synthesis.requests import Request, by_program
from jdeepvis.synthesis.run import News, run, show_rendering
from jdeepvis.types import AnyArray

_SETTLED = "pictures per device, {}"


def file_of(request: Request) -> str:
  """Where a request's picture goes, within its folder."""
  unit = request.unit or 0
  return picture_file(request.layer, unit, request.recipe_name, request.seed)


def count_image_steps(
  folder: PictureFolder, requests: Sequence[Request]
) -> int:
  """The work that is left: steps of all pictures not yet in the folder."""
  begun, rest, kept = _left(folder, requests)
  left = sum(request.recipe.steps for request in (*begun, *rest))
  return left - len(begun) * int(kept.get("step", 0))


def open_folder(
  path: Path | str,
  settings: Mapping[str, Any],
  recipes: Mapping[str, Recipe],
) -> PictureFolder:
  """A folder for pictures, begun or gone on with.

  Args:
    path: where it is, or shall be.
    settings: what all its pictures share; plain values.
    recipes: by the names they have in files; they must be what they were.

  Raises:
    JdeepvisError: the folder holds something else, or was made otherwise.
  """
  upgrade_folder(path)
  folder = PictureFolder.open(path, settings, versions=versions())
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
    fill_folder(
      folder,
      pictures.network,
      pictures.requests,
      hidden=not pictures.progress,
      initial=pictures.initial,
      each=pictures.each,
    )
    folder.finish(title)
  return folder.path / "index.html"


def fill_folder(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  *,
  hidden: bool = False,
  **more: Any,
) -> None:
  """Renders what the folder does not have yet, behind a progress bar.

  Args:
    folder: where the pictures go; what is in it already is left alone.
    network: any network.
    requests: the pictures wanted.
    hidden: whether to show no bar.
    **more: see `render_folder`.
  """
  steps = count_image_steps(folder, requests)
  news = render_folder(folder, network, requests, **more)
  for _ in show_rendering(news, steps, hidden=hidden):
    pass


def render_folder(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  *,
  initial: str | AnyArray = "noise",
  each: Mapping[str, int] | None = None,
  chunk: int | None = None,
  seconds: float | int = 20,
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
    each: see `run`; of layers whose batch size the folder does not have yet.
    chunk: see `run`.
    seconds: between two checkpoints.

  Yields:
    The news of `run`, once its pictures are in the folder.

  Raises:
    JdeepvisError: the network does not have what is wanted, or the checkpoint
      is damaged or of an earlier version.
  """
  store = Store(folder.unfinished)

  def save(news: News) -> None:
    if news.pictures:
      folder.add({file_of(one.request): one for one in news.pictures})
      store.clear()
    else:
      files = np.array([file_of(request) for request in news.requests])
      store.save({"files": files, **batch.pack(news.progress)})

  def news() -> Iterator[News]:
    begun, rest, kept = _left(folder, requests)
    for some, resume in ((begun, kept), (by_program(rest), None)):
      sizes = {**(each or {}), **settled(folder)}
      if resume and len(resume["history"]["score"]) != _batch(sizes, some):
        resume = None  # of another number of devices
      made = run(
        network, some, initial=initial, each=sizes, chunk=chunk, resume=resume
      )
      for one in made:
        settle(folder, one)
        yield one

  return save_now_and_then(
    news(), save, done=lambda one: bool(one.pictures), seconds=seconds
  )


def missing(
  folder: PictureFolder, requests: Sequence[Request]
) -> list[Request]:
  """Those whose pictures the folder does not have, each once."""
  once = {file_of(request): request for request in requests}
  return [request for file, request in once.items() if file not in folder]


def settled(folder: PictureFolder) -> dict[str, int]:
  """Pictures that a device makes at once, by layer, as an earlier run chose."""
  prefix = _SETTLED.format("")
  kept = folder.manifest.get("kept", {})
  return {
    name.removeprefix(prefix): value
    for name, value in kept.items()
    if name.startswith(prefix)
  }


def settle(folder: PictureFolder, news: News) -> None:
  """Keeps how many pictures of this layer a device makes at once."""
  name = _SETTLED.format(news.requests[0].layer)
  folder.settle(name, lambda: news.each)


def _digest(initial: str | AnyArray) -> str:
  if isinstance(initial, str):
    return initial
  return hashlib.sha256(np.ascontiguousarray(initial).tobytes()).hexdigest()


def _left(
  folder: PictureFolder, requests: Sequence[Request]
) -> tuple[list[Request], list[Request], dict[str, Any]]:
  """The batch that was interrupted, what else is missing, its checkpoint."""
  left, store = missing(folder, requests), Store(folder.unfinished)
  kept = store.load()
  files = kept.pop("files", np.array([])).tolist()
  begun = [request for request in left if file_of(request) in files]
  if not begun or list(map(file_of, begun)) != files:
    return [], left, {}
  if not {"step", "state", "history"} <= kept.keys():
    raise store.misfit()
  return begun, [x for x in left if file_of(x) not in files], kept


def _batch(sizes: Mapping[str, int], some: Sequence[Request]) -> int:
  return sizes.get(some[0].layer, 0) * jax.local_device_count()
