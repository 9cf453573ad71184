"""A picture that was made, and what is known about it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jdeepvis.display import notebook
from jdeepvis.display.files import write_image
from jdeepvis.display.records import unit_title
from jdeepvis.synthesis.requests import Request
from jdeepvis.types import Pixels


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
