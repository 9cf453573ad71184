r"""Makes pictures that fool a network, and counts the steps that takes.

  python -m experiments.fool_gradient --units=flamingo,junco --out=out/fooled
  python -m experiments.fool_gradient --units=all --start=noise,mean \
    --out=out/fooled

From noise and from the mean colour it maximises each class's log-probability
until the network is as certain as --confidence says, of the picture as it is
written (Nguyen, Yosinski and Clune 2015). --recipe=simonyan adds decay, as they
do to see more of the class. A run that was stopped goes on where it was; more
units, initial images or recipes are added.

OUT/index.html shows the pictures, OUT/manifest.json has each one's `steps`;
OUT/steps.csv and the table at the end sum them up. A picture that did not get
there within --limit evaluations has the status `unconvinced`.
"""

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from experiments import common, pictures
from jdeepvis import atlas
from jdeepvis.atlas import file_of
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.networks.zoo import DEFAULT_NETWORK, load_network
from jdeepvis.synthesis import fooling, recipes
from jdeepvis.synthesis.batches import batch_size
from jdeepvis.synthesis.initial import INITIALS, initial_image
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import JdeepvisError

_NET = flags.DEFINE_string(
  "net",
  DEFAULT_NETWORK,
  "A bundled network, a .safetensors file, or package.module:factory.",
)
_UNITS = flags.DEFINE_string(
  "units", "130", "Numbers, ranges (3-7), class names, all; commas between."
)
_INITIAL = flags.DEFINE_list(
  "start",
  "noise,mean",
  f"Initial images: one or several of {', '.join(INITIALS)}.",
)
_RECIPE = flags.DEFINE_list(
  "recipe",
  "none",
  "Step and priors, by name; augmentation and log_prob_weight are ignored.",
)
_CONFIDENCE = flags.DEFINE_float(
  "confidence",
  0.996,
  "The class's probability to reach.",
  lower_bound=0,
  upper_bound=1,
)
_LIMIT = flags.DEFINE_integer(
  "limit", 200, "Most evaluations of a picture.", lower_bound=1
)
_OUT = flags.DEFINE_string("out", None, "The folder for the pictures.")
_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Flags from a file; see configs/fooling.py."
)


def main() -> None:
  """Flags to requests, requests to pictures and a table of their steps."""
  common.use_all_cores()
  common.take_flags_from(_CONFIG)
  if not _OUT.value:
    raise JdeepvisError("Say where the pictures go: --out=FOLDER.")
  network = load_network(_NET.value)
  groups = _requests(network)
  with only_run(_OUT.value):
    made = {name: recipes.recipe(name) for name in _RECIPE.value}
    folder = atlas.open_folder(
      _OUT.value, _settings(network), made, versions=common.versions()
    )
    total = sum(map(len, groups.values()))
    size = folder.settle(
      "pictures at once",
      lambda: batch_size(network, network.output, total),
    )
    with tqdm(total=total, unit="picture", dynamic_ncols=True) as bar:
      for (_, initial), requests in groups.items():
        missing = [one for one in requests if file_of(one) not in folder]
        bar.update(len(requests) - len(missing))
        for first in range(0, len(missing), size):
          batch = missing[first : first + size]
          _fool(folder, network, initial, batch, size)
          bar.update(len(batch))
    folder.finish(f"What fools {_NET.value}")
  pictures.report(folder, "steps.csv", _table(folder.manifest["records"]))


def _requests(network: Network) -> dict[tuple[str, str], list[Request]]:
  layer = class_scores(network)
  units = find_units(network, layer, _UNITS.value)
  groups = {}
  for initial in _INITIAL.value:
    if initial not in INITIALS:
      raise JdeepvisError(
        f"There is no initial image {initial!r}; use {', '.join(INITIALS)}."
      )
    for name in _RECIPE.value:
      called, recipe = f"{name} from {initial}", recipes.recipe(name)
      groups[name, initial] = [
        Request(layer, unit, 0, called, recipe) for unit in units
      ]
  return groups


def _fool(
  folder: PictureFolder,
  network: Network,
  initial: str,
  requests: Sequence[Request],
  size: int,
) -> None:
  began = time.perf_counter()
  # A batch is always whole: one program, and the same bits for a picture.
  padded = [*requests, *[requests[-1]] * (size - len(requests))]
  images = [
    initial_image(jax.random.fold_in(one.key, 0), network.input, initial)
    for one in padded
  ]
  made = fooling.fool_many(
    network,
    requests[0].recipe,
    [one.unit for one in padded],
    np.stack(images),
    confidence=_CONFIDENCE.value,
    limit=_LIMIT.value,
  )
  made = jax.tree.map(np.asarray, made)
  pixels = [to_pixels(image, network.input) for image in made.image]
  plain = np.stack(pixels).astype(np.float32) - network.input.mean
  scores = np.asarray(classify.activations(network, network.output, plain))
  found = np.asarray(classify.probabilities(network, plain))
  seconds = (time.perf_counter() - began) / len(requests)
  records, histories = [], []
  for i, request in enumerate(requests):
    looks = int(made.steps[i]) + 1
    history = {name: rows[i, :looks] for name, rows in made.history.items()}
    histories.append(history)
    records.append(
      {
        **_facts(network, request, history),
        "confidence": float(made.confidence[i]),
        "activation": float(scores[i].reshape(-1)[request.unit]),
        "probability": float(found[i, request.unit]),
        "seconds": round(seconds, 3),
      }
    )
  count = len(records)
  folder.add(records, pixels[:count], list(made.image[:count]), histories)


def _facts(network: Network, request: Request, history) -> dict[str, Any]:
  score = history["score"]
  fooled = history["probability"][-1] >= _CONFIDENCE.value
  failure = status_of(history, ceiling=0.0)  # Of log p.
  return {
    "layer": request.layer,
    "unit": request.unit,
    "label": network.labels[request.unit] if network.labels else None,
    "seed": request.seed,
    "recipe": request.recipe_name,
    "score_start": float(score[0]),
    "score_best": float(score.max()),
    "step_best": int(score.argmax()),
    "steps": len(score) - 1,
    "status": "ok"
    if fooled
    else ("unconvinced" if failure == "ok" else failure),
    "file": file_of(request),
  }


def _table(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
  """A row for each recipe and initial image; steps are of those that fool."""
  rows = []
  for name in dict.fromkeys(record["recipe"] for record in records):
    group = [record for record in records if record["recipe"] == name]
    steps = [one["steps"] for one in group if one["status"] == "ok"]
    rows.append(
      {
        "recipe": name,
        "classes": len(group),
        "fooled": len(steps),
        "median_steps": float(np.median(steps)) if steps else None,
        "most_steps": max(steps, default=None),
        "mean_confidence": float(np.mean([one["confidence"] for one in group])),
        "seconds_each": float(np.mean([one["seconds"] for one in group])),
      }
    )
  return rows


def _settings(network: Network) -> dict[str, Any]:
  return {
    **common.network_settings(_NET.value, network),
    "confidence": _CONFIDENCE.value,
    "limit": _LIMIT.value,
  }


if __name__ == "__main__":
  common.run(main)
