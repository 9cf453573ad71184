"""Pictures as arrays: `render` and `render_many`, and what both run on."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jdeepvis.display import notebook
from jdeepvis.display.files import write_image
from jdeepvis.display.progress import show_progress
from jdeepvis.display.records import unit_title
from jdeepvis.networks.classify import reading_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.synthesis import batch as batches
from jdeepvis.synthesis.batch import Progress
from jdeepvis.synthesis.batches import batch_size
from jdeepvis.synthesis.initial import INITIALS, original_noise
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.requests import (
  Asked,
  Canvas,
  Request,
  ascent,
  asked,
  noise,
  requests,
)
from jdeepvis.synthesis.score import ceiling
from jdeepvis.synthesis.status import status_of, status_of_picture
from jdeepvis.types import AnyArray, Image, JdeepvisError, Pixels


@dataclasses.dataclass(frozen=True, repr=False)
class Picture:
  """A picture that was made, with the facts about it.

  In a notebook it shows itself, with its caption and, where it failed, with
  the failure.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> picture = jdeepvis.render(network, "fire2/concat:3", progress=False)
  >>> picture.facts["layer"], picture.history["score"].shape
  ('fire2/concat', (256,))

  Attributes:
    request: which picture it is, see `Request`.
    pixels: uint8 `[h, w, c]`, 0..255, as in a file.
    image: float32 `[h, w, c]`, centred.
    score: the objective's value for the pixels, without augmentation.
    activation: the unit's value for the pixels; None for an own objective.
    probability: of the class, 0..1; None where the unit is none.
    label: the class's name, or None.
    status: `ok` or what failed, see `status_of_picture`.
    status_of_history: the same for the augmented images during ascent.
    history: for each step `score`, `gradient_norm`, `image_norm` and, for a
      unit, `is_largest`; arrays `[steps]`.
    best_score: the highest score during ascent.
    best_step: the step at which it was reached.
    seconds: its share of the time that its batch took.
  """

  request: Request
  pixels: Pixels
  image: Float[np.ndarray, "h w c"]
  score: float
  activation: float | None
  probability: float | None
  label: str | None
  status: str
  status_of_history: str
  history: Mapping[str, np.ndarray]
  best_score: float
  best_step: int
  seconds: float

  @property
  def title(self) -> str:
    """What it is of, in a few words."""
    return unit_title(self.request.layer, self.request.unit, self.label)

  @property
  def facts(self) -> dict[str, Any]:
    """The facts about it, by name."""
    request = self.request
    facts = {
      "layer": request.layer,
      "unit": request.unit,
      "label": self.label,
      "seed": request.seed,
      "recipe": request.recipe_name,
      "score_start": float(self.history["score"][0]),
      "score_best": self.best_score,
      "step_best": self.best_step,
      "score": self.score,
      "activation": self.activation,
      "probability": self.probability,
      "seconds": round(self.seconds, 3),
      "status": self.status,
      "status_of_history": self.status_of_history,
    }
    if request.strengths is not None:
      facts["strengths"] = dict(request.strengths)
    return facts

  def save(self, path: Path | str) -> None:
    """Writes it as an image file, PNG or what the suffix says."""
    write_image(path, self.pixels)

  def __repr__(self) -> str:
    return f"Picture({notebook.one_line(self)})"

  def _repr_png_(self) -> bytes:
    return notebook.png(self.pixels)

  def _repr_html_(self) -> str:
    return notebook.html([self])


class News(NamedTuple):
  """The progress of a run, after every few steps.

  Attributes:
    requests: of the batch that is being made.
    progress: that of the batch.
    steps: taken since the last news of this batch.
    each: how many pictures a device makes at once.
    pictures: the batch's, once it is done; before that none.
  """

  requests: Sequence[Request]
  progress: Progress
  steps: int
  each: int
  pictures: Sequence[Picture]

  @property
  def image_steps(self) -> int:
    """Steps just taken, of all the batch's pictures together."""
    return self.steps * len(self.requests)

  @property
  def score(self) -> float:
    """The mean score of the batch's pictures at the last step."""
    scores = self.progress.history["score"][: len(self.requests), -1]
    return float(np.mean(scores))


def run(
  network: Network,
  wanted: Sequence[Request],
  *,
  initial: str | AnyArray = "noise",
  each: Mapping[str, int] | None = None,
  chunk: int | None = None,
  resume: Mapping[str, Any] | None = None,
) -> Iterator[News]:
  """Makes pictures in batches, yielding its progress.

  `News` has all that a folder, a page or a progress bar needs. Memory is
  bounded by the batch.

  Args:
    network: any network.
    wanted: the pictures, those of one program next to each other.
    initial: noise by its kind, see `initial_image`; a centred image of the
      whole network's input; or pixels, uint8.
    each: how many pictures of a layer one device makes at once, by layer; by
      default what fills a device and fits.
    chunk: most steps between two news; by default few enough for a lively
      progress bar.
    resume: the progress of the first batch when it was interrupted, from
      `pack`.

  Raises:
    JdeepvisError: the network does not have what is wanted.
  """
  devices, given = jax.local_device_count(), _initial(network, initial)
  for _, group in itertools.groupby(wanted, key=lambda one: one.program):
    members = list(group)
    of, layer = asked(network, members[0]), members[0].layer
    known = (each or {}).get(layer)
    size = devices * known if known else _size(of, layer, len(members))
    placed = batches.place(of.network, size)
    source = noise(network, of, initial if given is None else "noise")
    for first in range(0, len(members), size):
      some, began = members[first : first + size], time.perf_counter()
      ascents = [
        ascent(request, of, given and _cut(given(request), of))
        for request in some
      ]
      step = int(resume["step"]) if resume else 0
      for progress in batches.ascend_batch(
        of.network,
        ascents,
        batch=size,
        noise=source,
        chunk=chunk,
        resume=resume,
        placed=placed,
      ):
        taken, step = progress.step - step, progress.step
        if step < some[0].recipe.steps:
          yield News(some, progress, taken, size // devices, ())
      resume = None
      finished = batches.finish(
        placed,
        ascents,
        progress,
        probability=of.classes and reading_of(of.network) is not None,
      )
      seconds = (time.perf_counter() - began) / len(some)
      pictures = _pictures(of, some, progress, finished, seconds)
      yield News(some, progress, taken, size // devices, pictures)


def show_rendering(
  news: Iterable[News], image_steps: int, *, hidden: bool = False
) -> Iterator[News]:
  """Passes news on, behind a bar in a terminal or a notebook.

  Args:
    news: as `run` gives them.
    image_steps: how many are to be taken in all.
    hidden: whether to show nothing.
  """
  return show_progress(
    news,
    lambda one: one.image_steps,
    total=image_steps,
    unit="step",
    title="Rendering",
    facts=lambda one: {"score": f"{one.score:.1f}"},
    hidden=hidden,
  )


class Pictures:
  """Many pictures, made on demand.

  Iterating makes them and keeps none, so that a million need no room; `sheet`,
  an index and a notebook make all and keep them.
  """

  def __init__(
    self,
    network: Network,
    wanted: Sequence[Request],
    *,
    initial: str | AnyArray = "noise",
    each: Mapping[str, int] | None = None,
    progress: bool = True,
  ):
    self.network = network
    self.requests = wanted
    self.initial = initial
    self.each = each
    self.progress = progress
    self._kept: list[Picture] | None = None

  def __len__(self) -> int:
    return len(self.requests)

  def __iter__(self) -> Iterator[Picture]:
    if self._kept is not None:
      yield from self._kept
      return
    steps = sum(request.recipe.steps for request in self.requests)
    news = run(
      self.network, self.requests, initial=self.initial, each=self.each
    )
    for one in show_rendering(news, steps, hidden=not self.progress):
      yield from one.pictures

  def __getitem__(self, index):
    return self.all[index]

  @property
  def all(self) -> list[Picture]:
    """Every picture, made at first use and kept."""
    if self._kept is None:
      self._kept = list(self)
    return self._kept

  def sheet(self, columns: int | None = None) -> "notebook.Sheet":
    """All of them on one captioned sheet, which a notebook shows.

    Args:
      columns: pictures in a row; by default what makes it about square.
    """
    return notebook.sheet(self.all, columns)

  def _repr_html_(self) -> str:
    return notebook.html(self.all)


def render(
  network: Network,
  target: Any,
  recipe: str | Recipe = "default",
  *,
  seed: int = 0,
  initial: str | AnyArray = "noise",
  canvas: Canvas = "field",
  direction: int = 1,
  progress: bool = True,
) -> Picture:
  """One picture that maximises a unit or an objective.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> picture = jdeepvis.render(network, "fire2/concat:7", progress=False)
  >>> picture.pixels.shape, picture.pixels.dtype
  ((15, 15, 3), dtype('uint8'))

  Args:
    network: any network.
    target: `"layer:unit"`, the name of a class, an objective or a function of
      the activations; see `render_many`.
    recipe: by name or made; static but for its strengths.
    seed: of all the picture's randomness.
    initial: the initial image: `noise`, `uniform`, `mean`, `original` (the
      original program's own noise), centred float `[h, w, c]` of the network's
      input, or uint8 pixels of any size.
    canvas: `field`, as much of the image as the unit sees; `image`, all of
      it; or a height and width in pixels, where the layers allow it.
    direction: 1 to excite the unit, -1 to inhibit it.
    progress: whether to show a bar.

  Returns:
    The picture. A second call with another unit, seed or strength compiles
    nothing.

  Raises:
    JdeepvisError: the network has no such layer, unit or position, there is
      no such recipe, or the target names several units.
  """
  pictures = render_many(
    network,
    target,
    recipe,
    seeds=(seed,),
    initial=initial,
    canvas=canvas,
    direction=direction,
    progress=progress,
  )
  if len(pictures) != 1:
    raise JdeepvisError(
      f"{target!r} names {len(pictures)} units; render_many makes several."
    )
  return pictures[0]


def render_many(
  network: Network,
  targets: Any,
  recipe: str | Recipe | Sequence[str | Recipe] = "default",
  *,
  seeds: int | Iterable[int] = 1,
  strengths: Mapping[str, Sequence[float | int]] | None = None,
  initial: str | AnyArray = "noise",
  canvas: Canvas = "field",
  direction: int = 1,
  each: int | None = None,
  progress: bool = True,
) -> Pictures:
  """Pictures of many units, seeds and strengths, as few compiled programs.

  They are split over the local devices; a picture does not depend on the
  others.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> pictures = jdeepvis.render_many(
  ...   network, "fire2/concat:7", strengths={"decay": (0, 0.1)}, progress=False
  ... )
  >>> [picture.request.strengths for picture in pictures]
  [{'decay': 0}, {'decay': 0.1}]

  Args:
    network: any network.
    targets: one or a list of `"layer:units"` (numbers, ranges `3-7`, `all`,
      names of classes, commas between; `@row,column` behind them for another
      place than the centre, `@cls` or `@3` for a token), objectives and
      functions of the activations.
      `output` stands for the class scores; `"flamingo"` is `"output:flamingo"`.
    recipe: by name or made, one or several.
    seeds: how many, or which.
    strengths: values to give strengths of the recipe, in all combinations.
    initial: see `render`.
    canvas: see `render`.
    direction: see `render`.
    each: pictures that a device makes at once; by default what fills it and
      fits into memory.
    progress: whether to show a bar.

  Returns:
    An iterable of `Picture`, in the order of recipes, targets, strengths and
    seeds.

  Raises:
    JdeepvisError: as `render`.
  """
  wanted = requests(
    network,
    targets,
    recipe,
    seeds=seeds,
    strengths=strengths,
    canvas=canvas,
    direction=direction,
  )
  sizes = {request.layer: each for request in wanted} if each else None
  return Pictures(
    network, wanted, initial=initial, each=sizes, progress=progress
  )


def _initial(
  network: Network, initial: str | AnyArray
) -> Callable[[Request], Image] | None:
  """From a request to its initial image; None where noise is drawn."""
  spec = network.input
  if isinstance(initial, str):
    if initial == "original":
      return lambda request: original_noise(request.seed, spec)
    if initial not in INITIALS:
      raise JdeepvisError(
        f"There is no initial image {initial!r}; use {', '.join(INITIALS)}, "
        "original or an image."
      )
    return None
  image = np.asarray(initial)
  if image.dtype == np.uint8:
    image = preprocess(image, spec)
  if image.shape != spec.shape:
    raise JdeepvisError(
      f"The initial image has shape {list(image.shape)}; the network's input "
      f"has {list(spec.shape)}. Pixels, uint8, may have any size."
    )
  image = np.float32(image)
  return lambda request: image


def _cut(image: np.ndarray, of: Asked) -> np.ndarray:
  height, width, _ = of.network.input.shape
  top, left = of.offset
  cut = image[top : top + height, left : left + width]
  if cut.shape != of.network.input.shape:
    raise JdeepvisError(
      f"The initial image of {image.shape[0]} x {image.shape[1]} pixels is "
      f"smaller than the canvas of {height} x {width}."
    )
  return cut


def _size(of: Asked, layer: str, count: int) -> int:
  layer = layer if layer in of.network.shapes else of.network.order[-1]
  return batch_size(of.network, layer, count)


def _pictures(
  of: Asked,
  wanted: Sequence[Request],
  progress: Progress,
  finished: batches.Finished,
  seconds: float,
) -> list[Picture]:
  best = jax.tree.map(np.asarray, progress.states.best._replace(image=None))
  pictures = []
  for i, request in enumerate(wanted):
    history = {name: rows[i] for name, rows in progress.history.items()}
    largest = None if finished.largest is None else bool(finished.largest[i])
    probabilities, watched = finished.probability, finished.watched
    labels = of.network.labels if of.classes else ()
    most = ceiling(of.network, ascent(request, of).objective)
    pictures.append(
      Picture(
        request=request,
        pixels=finished.pixels[i],
        image=finished.images[i],
        score=float(finished.score[i]),
        activation=None if watched is None else float(watched[i]),
        probability=None
        if probabilities is None
        else float(probabilities[i, request.unit]),
        label=labels[request.unit] if labels else None,
        status=status_of_picture(history, largest, most),
        status_of_history=status_of(history, most),
        history=history,
        best_score=float(best.score[i]),
        best_step=int(best.step[i]),
        seconds=seconds,
      )
    )
  return pictures
