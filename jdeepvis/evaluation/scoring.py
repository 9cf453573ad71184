"""Scores of the pictures in a folder, by networks that classify them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdeepvis.evaluation import recognisability, statistics, summary
from jdeepvis.networks import classify
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.names import class_scores
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, read_picture, resize
from jdeepvis.networks.zoo import load_network
from jdeepvis.types import JdeepvisError, Pictures

Record = Mapping[str, Any]


def load_maker(settings: Mapping[str, Any]) -> Network:
  """The network that made a folder's pictures.

  Args:
    settings: of the folder's manifest.

  Raises:
    JdeepvisError: its weights are others today.
  """
  maker = load_network(settings["net"])
  if weights_sha256(maker.params) != settings["weights_sha256"]:
    raise JdeepvisError(
      f"The weights of {settings['net']!r} are not those that made the "
      "pictures; put the old ones back."
    )
  return maker


def refuse_maker(
  judge: Network, weights: str, classes: int | None = None
) -> None:
  """Refuses a judge that made the pictures, or that knows other classes.

  Args:
    judge: the network that is to measure.
    weights: `weights_sha256` of the network that made the pictures.
    classes: how many that has; None where no classes are to be named.

  Raises:
    JdeepvisError: one of the two.
  """
  if weights_sha256(judge.params) == weights:
    raise JdeepvisError(
      "This network made the pictures, so it is no held-out classifier of "
      "them; name another."
    )
  if classes is None:
    return
  known = judge.shapes[class_scores(judge)][-1]
  if known != classes:
    raise JdeepvisError(
      f"The pictures are of {classes} classes, but this network has {known}; "
      "name one with the same classes."
    )


def judged(
  folder: Path,
  records: Sequence[Record],
  judge: Network,
  *,
  stretched: bool = False,
) -> list[dict[str, Any]]:
  """Records of class units with another network's answers to the pictures.

  Args:
    folder: where the pictures are.
    records: of class units.
    judge: a network with the same classes.
    stretched: shows it faint pictures stretched in contrast, as people see
      them on the page.

  Returns:
    The records with `rank`, `judge_probability`, `top1` and `top5` (0 or 1).
  """
  files = [
    record.get("preview", record["file"]) if stretched else record["file"]
    for record in records
  ]
  pictures = [read_picture(folder / file) for file in files]
  marks = recognisability.recognisability(judge, pictures, _classes(records))
  return [
    {
      **record,
      "judge_probability": float(probability),
      "rank": int(rank),
      "top1": int(rank <= 1),
      "top5": int(rank <= 5),
    }
    for record, rank, probability in zip(
      records, marks.rank, marks.probability, strict=True
    )
  ]


def under_augmentation(
  folder: Path, records: Sequence[Record], maker: Network
) -> list[dict[str, Any]]:
  """Records of class units with the scores of the augmented pictures.

  Args:
    folder: where the pictures are.
    records: of class units.
    maker: the network that made them.

  Returns:
    The records with `probability_under_augmentation` and
    `activation_under_augmentation`.
  """
  pictures = [read_picture(folder / record["file"]) for record in records]
  means = recognisability.under_augmentation(
    jax.random.key(0), maker, pictures, _classes(records)
  )
  return [
    {
      **record,
      "probability_under_augmentation": float(probability),
      "activation_under_augmentation": float(activation),
    }
    for record, probability, activation in zip(records, *means, strict=True)
  ]


def beside_photos(
  records: Sequence[Record], maker: Network, photos: Pictures
) -> list[dict[str, Any]]:
  """Records of hidden units beside these units' values for photographs.

  Args:
    records: of units of any layers.
    maker: the network that made the pictures.
    photos: real ones, at least one.

  Returns:
    The records with `best_photo`, the largest value that any of the
    photographs gives the unit at any place, and `ratio`, how many times that
    the picture's `activation` is (None for a unit that no photograph excites).
  """
  images = np.stack([preprocess(photo, maker.input) for photo in photos])
  layers = dict.fromkeys(record["layer"] for record in records)
  best = {layer: _largest(maker, layer, images) for layer in layers}
  marked = []
  for record in records:
    most = float(best[record["layer"]][record["unit"]])
    ratio = record["activation"] / most if most > 0 else None
    marked.append({**record, "best_photo": most, "ratio": ratio})
  return marked


def hidden_table(records: Sequence[Record]) -> list[dict[str, Any]]:
  """A row for each layer and recipe.

  Args:
    records: what `beside_photos` made of them.

  Returns:
    Rows: how many pictures, how many of them failed, how many units no
    photograph excites, the median of `ratio`, and the share of pictures that
    excite their unit more than every photograph does.
  """
  columns = {
    "pictures": len,
    "failed": summary.failed,
    "silent": lambda group: sum(one["ratio"] is None for one in group),
    "median_ratio": summary.over("ratio", np.median),
    "above_photos": summary.over("ratio", lambda x: np.mean(np.array(x) > 1)),
  }
  return summary.table(records, ["layer", "recipe"], columns)


def table(
  folder: Path,
  records: Sequence[Record],
  judge: Network,
  photos: Pictures = (),
) -> list[dict[str, Any]]:
  """A row for each recipe, and one for the photographs.

  Args:
    folder: where the pictures are.
    records: what `judged` and `under_augmentation` made of them.
    judge: the network whose class scores measure how much seeds differ.
    photos: real ones to compare with, or none.

  Returns:
    Rows with the same keys; what does not apply is None.
  """
  groups: dict[str, list[Record]] = {}
  for record in records:
    groups.setdefault(record["recipe"], []).append(record)
  side = read_picture(folder / records[0]["file"]).shape[:2]
  photos = [resize(photo, side) for photo in photos]
  rows = []
  for name, group in groups.items():
    pictures = [read_picture(folder / record["file"]) for record in group]
    rows.append(
      {
        "recipe": name,
        "pictures": len(group),
        "probability": _mean(group, "probability"),
        "under_augmentation": _mean(group, "probability_under_augmentation"),
        "activation": _mean(group, "activation"),
        "activation_under_augmentation": _mean(
          group, "activation_under_augmentation"
        ),
        "top1": _mean(group, "top1"),
        "top5": _mean(group, "top5"),
        "median_rank": float(np.median([record["rank"] for record in group])),
        "diversity": _diversity(group, pictures, judge),
        **_looks(pictures, photos),
      }
    )
  if photos:
    nothing = dict.fromkeys(rows[0])
    row = {"recipe": "(photos)", "pictures": len(photos)}
    rows.append({**nothing, **row, **_looks(photos, photos)})
  return rows


def _largest(network: Network, layer: str, images: np.ndarray) -> np.ndarray:
  """The largest value of each unit over images and places."""
  values = [
    classify.activations(network, layer, images[i : i + 1])
    for i in range(len(images))
  ]
  return np.max(
    [np.max(one.reshape(-1, one.shape[-1]), axis=0) for one in values], axis=0
  )


def _classes(records: Sequence[Record]) -> list[int]:
  return [record["unit"] for record in records]


def _mean(records: Sequence[Record], fact: str) -> float:
  """None, of a picture that failed, counts as 0."""
  return float(np.mean([record[fact] or 0.0 for record in records]))


def _diversity(
  records: Sequence[Record], pictures: Pictures, judge: Network
) -> float | None:
  """Mean distance of a class's pictures in the judge's scores."""
  units: dict[int, list[np.ndarray]] = {}
  for record, picture in zip(records, pictures, strict=True):
    units.setdefault(record["unit"], []).append(
      preprocess(picture, judge.input)
    )
  distances = [
    statistics.diversity(
      classify.activations(judge, class_scores(judge), np.stack(images))
    )
    for images in units.values()
    if len(images) > 1
  ]
  return float(np.mean(distances)) if distances else None


def _looks(pictures: Pictures, photos: Pictures) -> dict[str, float | None]:
  """Spectrum and colours, and how far they are from the photographs'."""
  spectrum, colours = _spectrum(pictures), statistics.colours(pictures)
  looks = {"slope": statistics.spectral_slope(spectrum)}
  if not photos:
    return looks
  return {
    **looks,
    "spectrum_distance": statistics.spectrum_distance(
      spectrum, _spectrum(photos)
    ),
    "colour_distance": statistics.colour_distance(
      colours, statistics.colours(photos)
    ),
  }


def _spectrum(pictures: Pictures) -> np.ndarray:
  return np.mean([statistics.radial_spectrum(one) for one in pictures], axis=0)
