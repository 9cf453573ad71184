"""Pictures that fool a network, found into a folder that can be resumed."""

import time
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jdeepvis.display.folder import PictureFolder
from jdeepvis.display.progress import show_progress
from jdeepvis.display.records import unit_title
from jdeepvis.networks import classify
from jdeepvis.networks.names import label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.runs.jobs import Made
from jdeepvis.runs.renders import file_of, missing
from jdeepvis.synthesis import fooling
from jdeepvis.synthesis.batch_size import batch_size
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.status import status_of


def fool_folder(
  folder: PictureFolder,
  network: Network,
  wanted: Mapping[tuple[str, str], Sequence[Request]],
  *,
  confidence: float,
  limit: int,
) -> None:
  """Finds the fooling pictures that a folder lacks, behind a bar.

  A record has the `steps` that it took, and the status `unconvinced` where
  the network is not as certain as it shall be.

  Args:
    folder: where they go.
    network: any network with classes.
    wanted: pictures of classes, by the kind of their initial image, see
      `initial_image`, and the name of their recipe.
    confidence: the probability to reach, 0..1.
    limit: most evaluations of a picture.

  Raises:
    JdeepvisError: the network has no such class, or no probabilities.
  """
  total = sum(map(len, wanted.values()))
  size = folder.settle(
    "pictures at once", lambda: batch_size(network, network.output, total)
  )
  left = []
  for (initial, recipe), requests in wanted.items():
    rest = missing(folder, requests)
    for first in range(0, len(rest), size):
      left.append((initial, recipe, rest[first : first + size]))
  bar = show_progress(
    left,
    lambda job: len(job[-1]),
    total=total,
    done=total - sum(len(some) for *_, some in left),
    unit="picture",
  )
  for initial, recipe, some in bar:
    began = time.perf_counter()
    # A batch is always whole: one program, and the same bits for a picture.
    padded = [*some, *[some[-1]] * (size - len(some))]
    images = [
      initial_image(jax.random.fold_in(one.key, 0), network.input, initial)
      for one in padded
    ]
    made = fooling.fool_many(
      network,
      some[0].recipe,
      [one.unit for one in padded],
      np.stack(images),
      confidence=confidence,
      limit=limit,
    )
    pictures = _pictures(network, some, made, confidence)
    seconds = round((time.perf_counter() - began) / len(some), 3)
    more = {"recipe": recipe, "initial": initial, "seconds": seconds}
    folder.add(
      {
        file_of(request): picture._replace(facts={**picture.facts, **more})
        for request, picture in zip(some, pictures, strict=True)
      }
    )


def _pictures(
  network: Network,
  requests: Sequence[Request],
  made: fooling.Fooling,
  confidence: float,
) -> list[Made]:
  made = jax.tree.map(np.asarray, made)
  pixels = [to_pixels(image, network.input) for image in made.image]
  plain = np.stack(pixels).astype(np.float32) - network.input.mean
  scores = np.asarray(classify.activations(network, network.output, plain))
  found = np.asarray(classify.probabilities(network, plain))
  pictures = []
  for i, request in enumerate(requests):
    looks = int(made.steps[i]) + 1
    history = {name: rows[i, :looks] for name, rows in made.history.items()}
    label = label_of(network, request.layer, request.unit)
    facts = {
      "layer": request.layer,
      "unit": request.unit,
      "label": label,
      "seed": request.seed,
      "steps": looks - 1,
      "confidence": float(made.confidence[i]),
      "activation": float(scores[i].reshape(-1)[request.unit]),
      "probability": float(found[i, request.unit]),
    }
    pictures.append(
      Made(
        unit_title(request.layer, request.unit, label),
        facts,
        pixels[i],
        made.image[i],
        history,
        _status(history, confidence),
      )
    )
  return pictures


def _status(history: Mapping[str, np.ndarray], confidence: float) -> str:
  if history["probability"][-1] >= confidence:
    return "ok"
  failure = status_of(history, ceiling=0.0)  # Of log p.
  return "unconvinced" if failure == "ok" else failure
