"""Pictures of many units, rendered into a folder that can be resumed."""

import dataclasses
import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.manifest import picture_file
from jdeepvis.networks import classify
from jdeepvis.networks.crop import crop
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.networks.receptive_field import receptive_field
from jdeepvis.synthesis import assembly, sweep
from jdeepvis.synthesis.outcome import outcome
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.types import Image, PRNGKey

_SECONDS_BETWEEN_CHECKPOINTS = 20


class Request(NamedTuple):
  """One picture that is wanted.

  Attributes:
    layer: a blob's name.
    unit: the channel.
    seed: of all the picture's randomness.
    recipe_name: what the recipe is called in files and records.
    recipe: how to make it.
    position: row and column, cells; None is the centre.
    direction: 1 to excite the unit, -1 to inhibit it.
    canvas: `feature`, what the unit can see; `image`, all of the input.
    strengths: what a study of the priors notes in the record.
  """

  layer: str
  unit: int
  seed: int
  recipe_name: str
  recipe: Recipe
  position: tuple[int, int] | None = None
  direction: int = 1
  canvas: str = "feature"
  strengths: Mapping[str, float] | None = None

  @property
  def file(self) -> str:
    """Where the picture goes, within its folder."""
    return picture_file(self.layer, self.unit, self.recipe_name, self.seed)

  @property
  def key(self) -> PRNGKey:
    """All its randomness: of the seed and the unit's own number alone."""
    return jax.random.fold_in(jax.random.key(self.seed), self.unit)


class Report(NamedTuple):
  """News from a run: image-steps just taken, and the mean score now."""

  image_steps: int
  score: float


def count_image_steps(
  folder: PictureFolder, requests: Sequence[Request]
) -> int:
  """The work that is left: steps of all pictures not yet in the folder."""
  missing = _missing(folder, requests)
  left = sum(request.recipe.steps for request in missing)
  files, arrays = folder.load_checkpoint()
  begun = [request.file for request in missing if request.file in files]
  done = int(arrays["step"]) if begun and begun == files else 0
  return left - len(begun) * done


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
  batch: Callable[[Network, str], int],
  start: Callable[[Request], Image],
  report: Callable[[Report], Any] = lambda report: None,
) -> None:
  """Renders what the folder does not have yet.

  Pictures of one layer and of recipes alike in structure share a program. One
  device's part of a batch is settled once for each layer and kept in the
  manifest, so that a picture's bits do not depend on when it was made, beside
  which others, or on how many devices.

  Args:
    folder: where the pictures go; what is in it already is left alone.
    network: any network.
    requests: the pictures wanted.
    batch: `batch(network, layer)`, how many to render at once, a multiple of
      the number of devices; asked once a layer, with as much of the network
      as its pictures need.
    start: the whole image that a picture starts from; a smaller canvas is
      cut from it.
    report: called after every few steps.
  """
  for canvas, members, size in _groups(folder, network, requests, batch):
    _render_group(folder, canvas, members, size, start, report)


def forecast(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  *,
  batch: Callable[[Network, str], int],
  start: Callable[[Request], Image],
) -> Forecast:
  """Predicts `render_atlas` from its first few steps, taken and thrown away.

  The program that is compiled for them serves the run as well.

  Args:
    folder: where the pictures go.
    network: any network.
    requests: the pictures wanted.
    batch: as for `render_atlas`.
    start: as for `render_atlas`.
  """
  groups = list(_groups(folder, network, requests, batch))
  if not groups:
    return Forecast(0, 0, 0.0)
  canvas, members, size = groups[0]
  pictures = [
    _picture(request, canvas, start(request)) for request in members[:size]
  ]
  placed = sweep.place(canvas.network, size)

  def time_a_chunk():
    began = time.perf_counter()
    climb = sweep.climb(canvas.network, pictures, batch=size, placed=placed)
    return next(climb).step, time.perf_counter() - began

  (_, compiled), (chunk, climbing) = time_a_chunk(), time_a_chunk()
  programs = len({_program(members[0]) for _, members, _ in groups})
  steps = sum(
    members[0].recipe.steps * math.ceil(len(members) / size)
    for _, members, size in groups
  )
  return Forecast(
    count_image_steps(folder, requests),
    programs,
    (compiled - climbing) * (programs - 1) + climbing * steps / chunk,
  )


class _Canvas(NamedTuple):
  """The network that is asked, and where its image lies in the whole one.

  Attributes:
    network: the whole network, or what the unit sees of it.
    position: of the unit in its map there.
    field: rows and columns of the image in the whole one.
    labels: names of the layer's units, where they are classes.
  """

  network: Network
  position: tuple[int, int] | None
  field: tuple[slice, slice]
  labels: tuple[str, ...] | None


def _canvas(network: Network, request: Request) -> _Canvas:
  layer, position = request.layer, request.position
  if layer == network.output:
    return _Canvas(network, position, (slice(None),) * 2, network.labels)
  if request.canvas == "image" or not network.layers:
    return _Canvas(network, position, (slice(None),) * 2, None)
  field = receptive_field(network, layer, position).slices
  return _Canvas(crop(network, layer, position), None, field, None)


def _missing(
  folder: PictureFolder, requests: Sequence[Request]
) -> list[Request]:
  once = {request.file: request for request in requests}
  return [request for file, request in once.items() if file not in folder]


def _program(request: Request) -> tuple[Hashable, ...]:
  """What pictures of one program have in common."""
  structure = jax.tree.structure(request.recipe)
  return request.layer, structure, request.position, request.canvas


def _groups(
  folder: PictureFolder,
  network: Network,
  requests: Sequence[Request],
  batch: Callable[[Network, str], int],
) -> Iterator[tuple[_Canvas, list[Request], int]]:
  """Requests that share a program and a batch's size, the interrupted first."""
  devices = jax.local_device_count()
  begun = set(folder.load_checkpoint()[0])
  groups: dict[Any, list[Request]] = {}
  for request in _missing(folder, requests):
    group = request.file not in begun, _program(request)
    groups.setdefault(group, []).append(request)
  for _, members in sorted(groups.items(), key=lambda item: item[0][0]):
    layer, canvas = members[0].layer, _canvas(network, members[0])
    each = folder.settle(
      f"pictures per device, {layer}",
      lambda layer=layer, canvas=canvas: max(
        1, batch(canvas.network, layer) // devices
      ),
    )
    yield canvas, members, each * devices


def _render_group(
  folder: PictureFolder,
  canvas: _Canvas,
  requests: Sequence[Request],
  size: int,
  start: Callable[[Request], Image],
  report: Callable[[Report], Any],
) -> None:
  placed = sweep.place(canvas.network, size)
  for first in range(0, len(requests), size):
    some = requests[first : first + size]
    _render_batch(folder, canvas, placed, some, size, start, report)


def _render_batch(
  folder: PictureFolder,
  canvas: _Canvas,
  placed: sweep.Placed,
  requests: Sequence[Request],
  size: int,
  start: Callable[[Request], Image],
  report: Callable[[Report], Any],
) -> None:
  began = saved = time.perf_counter()
  files = [request.file for request in requests]
  begun, resume = folder.load_checkpoint()
  if begun != files or len(resume["history/score"]) != size:
    resume = None
  pictures = [_picture(request, canvas, start(request)) for request in requests]
  step = int(resume["step"]) if resume else 0
  for progress in sweep.climb(
    canvas.network,
    pictures,
    batch=size,
    resume=resume,
    placed=placed,
  ):
    scores = progress.history["score"][: len(requests), -1]
    image_steps = (progress.step - step) * len(requests)
    report(Report(image_steps, float(np.mean(scores))))
    step = progress.step
    if time.perf_counter() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
      folder.save_checkpoint(files, sweep.pack(progress))
      saved = time.perf_counter()
  seconds = (time.perf_counter() - began) / len(requests)
  _write(folder, canvas, requests, progress, seconds)


def _picture(request: Request, canvas: _Canvas, image: Image) -> sweep.Picture:
  layer, recipe = "output", request.recipe
  if canvas.labels is None:
    # A hidden layer may be called output: no class there, and no rivals.
    layer, recipe = request.layer, dataclasses.replace(recipe, rivals=None)
  objective = assembly.objective(
    recipe,
    layer,
    request.unit,
    canvas.position,
    direction=float(request.direction),
  )
  start = image[canvas.field]
  return sweep.Picture(objective, request.recipe, request.key, start)


def _write(
  folder: PictureFolder,
  canvas: _Canvas,
  requests: Sequence[Request],
  progress: sweep.Progress,
  seconds: float,
) -> None:
  network = canvas.network
  recipe = requests[0].recipe
  kept = getattr(progress.states, recipe.keep)
  decode = assembly.decoder(recipe, network.input).decode
  images = np.asarray(jax.vmap(decode)(kept.image))
  pixels = [to_pixels(image, network.input) for image in images]
  # The batch is whole here too, padding and all: one program, one rounding.
  plain = np.stack(pixels).astype(np.float32) - network.input.mean
  reached = np.asarray(classify.activations(network, requests[0].layer, plain))
  chances = (
    None
    if canvas.labels is None
    else np.asarray(classify.probabilities(network, plain))
  )
  best = jax.tree.map(np.asarray, progress.states.best._replace(image=None))
  histories = [
    {name: rows[i] for name, rows in progress.history.items()}
    for i in range(len(requests))
  ]
  records = [
    {
      "layer": request.layer,
      "unit": request.unit,
      "label": canvas.labels[request.unit] if canvas.labels else None,
      "seed": request.seed,
      "recipe": request.recipe_name,
      "score_start": float(history["score"][0]),
      "score_best": float(best.score[i]),
      "step_best": int(best.step[i]),
      "activation": _activation(reached[i], canvas.position, request.unit),
      "probability": (
        None if chances is None else float(chances[i, request.unit])
      ),
      "seconds": round(seconds, 3),
      "status": outcome(history),
      "file": request.file,
      **_noted(request),
    }
    for i, (request, history) in enumerate(
      zip(requests, histories, strict=True)
    )
  ]
  folder.add(
    records, pixels[: len(records)], list(images[: len(records)]), histories
  )


def _noted(request: Request) -> dict[str, Mapping[str, float]]:
  if request.strengths is None:
    return {}
  return {"strengths": request.strengths}


def _activation(
  values: np.ndarray, position: tuple[int, int] | None, unit: int
) -> float:
  if values.ndim == 3:
    height, width, _ = values.shape
    values = values[position or (height // 2, width // 2)]
  return float(values[unit])
