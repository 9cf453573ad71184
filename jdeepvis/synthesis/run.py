"""Requests become pictures, batch after batch of one compiled program."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.display.progress import show_progress
from jdeepvis.networks.classify import reading_of
from jdeepvis.networks.names import label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess
from jdeepvis.networks.sharding import place
from jdeepvis.synthesis.batch import Progress, ascend_batch
from jdeepvis.synthesis.batch_size import batch_size
from jdeepvis.synthesis.finish import Finished, finish
from jdeepvis.synthesis.initial import INITIALS, original_noise
from jdeepvis.synthesis.picture import Picture
from jdeepvis.synthesis.requests import (
  Asked,
  Request,
  ascent,
  asked,
  noise,
)
from jdeepvis.synthesis.score import ceiling
from jdeepvis.synthesis.status import status_of, status_of_picture
from jdeepvis.types import AnyArray, Image, JdeepvisError


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
    placed = place(of.network, size)
    source = noise(network, of, initial if given is None else "noise")
    for first in range(0, len(members), size):
      some, began = members[first : first + size], time.perf_counter()
      ascents = [
        ascent(request, of, given and _cut(given(request), of))
        for request in some
      ]
      step = int(resume["step"]) if resume else 0
      for progress in ascend_batch(
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
      finished = finish(
        placed,
        ascents,
        progress,
        probability=of.classes and reading_of(of.network) is not None,
        position=of.position,
      )
      seconds = (time.perf_counter() - began) / len(some)
      pictures = _pictures(network, of, some, progress, finished, seconds)
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
  network: Network,
  of: Asked,
  wanted: Sequence[Request],
  progress: Progress,
  finished: Finished,
  seconds: float,
) -> list[Picture]:
  best = jax.tree.map(np.asarray, progress.states.best._replace(image=None))
  pictures = []
  for i, request in enumerate(wanted):
    history = {name: rows[i] for name, rows in progress.history.items()}
    largest = None if finished.largest is None else bool(finished.largest[i])
    probabilities, watched = finished.probability, finished.watched
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
        label=label_of(network, request.layer, request.unit),
        status=status_of_picture(history, largest, most),
        status_of_history=status_of(history, most),
        history=history,
        best_score=float(best.score[i]),
        best_step=int(best.step[i]),
        seconds=seconds,
      )
    )
  return pictures
