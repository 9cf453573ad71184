"""Pictures made one by one, into a folder that can be resumed."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.progress import show_progress
from jdeepvis.display.records import Facts
from jdeepvis.types import Image, Pixels


class Made(NamedTuple):
  """A picture that `make_missing` files.

  Attributes:
    title: what it is of, in a few words.
    facts: see `Record`.
    pixels: uint8 `[h, w, c]`.
    image: the same as float32, centred; or what it was made from.
    history: what is kept beside it, arrays by name.
    status: `ok`, or how it failed.
  """

  title: str
  facts: Facts
  pixels: Pixels
  image: Image
  history: Mapping[str, np.ndarray]
  status: str = "ok"


def make_missing(
  folder: PictureFolder,
  jobs: Mapping[str, Sequence[Any]],
  make: Callable[..., Made],
) -> None:
  """Makes the pictures that a folder lacks, one by one, behind a bar.

  Each record has the `seconds` that it took, too.

  Args:
    folder: where they go.
    jobs: all that shall be in it: what to hand `make`, by the picture's file.
    make: makes a picture.
  """
  bar = show_progress(jobs.items(), total=len(jobs), unit="picture")
  for file, job in bar:
    if file in folder:
      continue
    began = time.perf_counter()
    made = make(*job)
    image, history = jax.device_get((made.image, made.history))
    facts = {**made.facts, "seconds": round(time.perf_counter() - began, 3)}
    folder.add({file: made._replace(facts=facts, image=image, history=history)})
