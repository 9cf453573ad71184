"""Pictures of a first layer's units beside the units' own filters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jdeepvis.evaluation.summary import over, table
from jdeepvis.networks.crop import crop
from jdeepvis.networks.linear import linear_filters
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.types import JdeepvisError

Record = Mapping[str, Any]

_ALIKE = 0.9


def beside_filters(
  folder: Path, records: Sequence[Record], maker: Network
) -> list[dict[str, Any]]:
  """Records of units with how much their pictures are like their filters.

      correlation = x . k / |x| |k|

  of the centred picture x and the filter k: 1 is the image that excites the
  unit most of all of its norm. NaN where a picture is the mean alone.

  Args:
    folder: where the pictures are.
    records: of units of a layer that `linear_filters` knows, in the middle of
      the map, each picture as large as what the unit sees.
    maker: the network that made them.

  Returns:
    The records with `filter_correlation`, -1..1.

  Raises:
    JdeepvisError: a layer is not linear, or a picture is missing.
  """
  layers: dict[str, list[Record]] = {}
  for record in records:
    layers.setdefault(record["layer"], []).append(record)
  marked = []
  for layer, group in layers.items():
    filters = linear_filters(maker, layer, [one["unit"] for one in group])
    spec = crop(maker, layer).input
    for record, kernel in zip(group, filters, strict=True):
      picture = read_picture(folder / record["file"])
      if picture.shape[:2] != spec.shape[:2]:
        raise JdeepvisError(
          f"{record['file']!r} is not of the {spec.shape[0]} x {spec.shape[1]} "
          f"pixels that units of {layer!r} see; render it on --canvas=field."
        )
      cosine = _cosine(preprocess(picture, spec), kernel)
      marked.append({**record, "filter_correlation": cosine})
  return marked


def filter_table(records: Sequence[Record]) -> list[dict[str, Any]]:
  """A row for each layer and recipe.

  Args:
    records: what `beside_filters` made of them.

  Returns:
    Rows: how many pictures, the median and the smallest of
    `filter_correlation`, and how many are above 0.9.
  """
  fact = "filter_correlation"
  columns = {
    "pictures": len,
    "median": over(fact, np.nanmedian),
    "smallest": over(fact, np.nanmin),
    "above_0.9": over(fact, lambda values: np.sum(np.array(values) > _ALIKE)),
  }
  return table(records, ["layer", "recipe"], columns)


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
  length = np.linalg.norm(one) * np.linalg.norm(other)
  return float(np.vdot(one, other) / length) if length else float("nan")
