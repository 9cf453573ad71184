r"""Asks whether pictures tell which of two photographs excites a unit.

  python -m experiments.render_units --net=alexnet-conv --layer=conv5 \
    --units=0-23 --seeds=2 --out=out/for
  python -m experiments.render_units --net=alexnet-conv --layer=conv5/pre \
    --units=0-23 --seeds=2 --direction=-1 --out=out/against
  python -m experiments.grade_units --manifest=out/for/manifest.json \
    --against=out/against/manifest.json --photos=photos \
    --judge=googlenet --judge_layers=inception_3b/output,pool5/7x7_s1

Of each hidden unit the photographs that excite it most and least are put to a
judge in pairs, patches of the size that the unit sees. The judge, another
network, chooses by what it is shown: pictures of one recipe for and against the
unit (synthetic), patches of the next photographs (natural), or both. By chance
half of its choices are right. Against a rectified unit its value before the
ReLU, LAYER/pre, is rendered: after it most pictures give 0. Beside the shares
stands how far apart, for the judge, a unit's seeds are (and its patches).
grades.csv and grades.json, each unit's share among them, go beside the
manifest.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.files import write_csv, write_json
from jdeepvis.evaluation import scoring
from jdeepvis.evaluation.choices import TwoChoices, two_choices
from jdeepvis.evaluation.perception import perceptual_features
from jdeepvis.evaluation.statistics import diversity
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import read_picture
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing.extremes import ExtremePatches, extreme_patches
from jdeepvis.types import JdeepvisError, Pixels

# A unit's pictures, one of each seed.
Files = dict[int, list[Path]]

_MANIFEST = flags.DEFINE_string(
  "manifest", None, "The manifest.json of pictures of hidden units."
)
_AGAINST = flags.DEFINE_string(
  "against",
  None,
  "That of the same units' pictures, or of LAYER/pre, with --direction=-1.",
)
_JUDGE = flags.DEFINE_string(
  "judge", None, "A network that did not make the pictures: a name or a file."
)
_JUDGE_LAYERS = flags.DEFINE_list(
  "judge_layers", None, "Layers of the judge, each of which judges by itself."
)
_PAIRS = flags.DEFINE_integer(
  "pairs", 5, "Pairs of photographs to choose from.", lower_bound=1
)
_REFERENCES = flags.DEFINE_integer(
  "references", 9, "Patches that are shown for and against.", lower_bound=1
)
(_PHOTOS,) = script.define("photos")


def main() -> None:
  """Pictures and photographs to choices, choices to a table."""
  for flag in (_MANIFEST, _AGAINST, _JUDGE, _JUDGE_LAYERS):
    if not flag.value:
      raise JdeepvisError(f"--{flag.name} is missing; see --help.")
  exciting = _read(_MANIFEST.value, direction=1)
  inhibiting = _read(_AGAINST.value, direction=-1)
  settings = open_atlas(_MANIFEST.value).settings
  maker = scoring.load_maker(settings)
  judge = load_network(_JUDGE.value)
  scoring.refuse_maker(judge, settings["weights_sha256"])
  photos = list(photographs.read(_PHOTOS.value).values())
  grades = [
    grade
    for layer, recipes in exciting.items()
    for grade in _grades(
      maker, judge, layer, recipes, inhibiting.get(layer, {}), photos
    )
  ]
  rows = [{k: v for k, v in one.items() if k != "by_unit"} for one in grades]
  path = Path(_MANIFEST.value).parent / "grades.csv"
  write_csv(path, rows)
  facts = {
    "judge": _JUDGE.value,
    "weights_sha256": weights_sha256(judge.params),
    "photos": len(photos),
    "pairs": _PAIRS.value,
    "references": _REFERENCES.value,
  }
  write_json(path.with_suffix(".json"), {**facts, "grades": grades})
  report.print_table(rows)
  print(f"\nWrote {path} and {path.with_suffix('.json')}.")


def _grades(
  maker: Network,
  judge: Network,
  layer: str,
  exciting: Mapping[str, Files],
  inhibiting: Mapping[str, Files],
  photos: list[Pixels],
) -> Iterator[dict[str, Any]]:
  """A row for each of the judge's layers and each kind of reference."""
  units = sorted(set().union(*exciting.values()))
  pictures = {
    name: (_pictures(files, units), _pictures(inhibiting.get(name, {}), units))
    for name, files in exciting.items()
  }
  count = _PAIRS.value + _REFERENCES.value
  patches = extreme_patches(maker, photos, layer, units, count=count)
  for judge_layer in _JUDGE_LAYERS.value:
    look = functools.partial(_features, judge, judge_layer)
    for shown, made in _choices(look, patches, pictures):
      by_unit = made.right.mean(axis=1, dtype=float).tolist()
      yield {
        "layer": layer,
        "judge_layer": judge_layer,
        **shown,
        "units": len(units),
        "share": made.share,
        "error": made.error,
        "by_unit": dict(zip(map(str, units), by_unit, strict=True)),
      }


def _read(path: str, direction: int) -> dict[str, dict[str, Files]]:
  """Files of a folder's pictures: layer to recipe to unit to a list."""
  atlas = open_atlas(path)
  if atlas.settings.get("direction") != direction:
    raise JdeepvisError(
      f"The pictures of {path!r} were not made with --direction={direction}."
    )
  files: dict[str, dict[str, Files]] = {}
  for one in atlas.records:
    layer = one["layer"].removesuffix("/pre")
    group = files.setdefault(layer, {}).setdefault(one["recipe"], {})
    group.setdefault(one["unit"], []).append(Path(path).parent / one["file"])
  return files


def _pictures(files: Files, units: Sequence[int]) -> list[list[Pixels]]:
  counts = {len(files.get(unit, ())) for unit in units}
  if len(counts) > 1 or 0 in counts:
    raise JdeepvisError(
      "--manifest and --against must have the same layers, recipes and units, "
      "with as many seeds of each unit."
    )
  return [[read_picture(file) for file in files[unit]] for unit in units]


def _features(judge: Network, layer: str, groups: Sequence) -> np.ndarray:
  """Of as many pictures of each unit, `[u, n, d]`."""
  pictures = list(itertools.chain.from_iterable(groups))
  rows = perceptual_features(judge, pictures, layer)
  return rows.reshape(len(groups), -1, rows.shape[-1])


def _choices(
  look: Callable, patches: ExtremePatches, pictures: Mapping[str, tuple]
) -> Iterator[tuple[dict[str, Any], TwoChoices]]:
  """What references are shown, and the choices by them."""
  strong, weak = look(patches.strong), look(patches.weak)
  pairs = _PAIRS.value
  natural = strong[:, pairs:], weak[:, pairs:]
  references = {(None, "natural"): natural}
  for name, folders in pictures.items():
    synthetic = tuple(map(look, folders))
    references[name, "synthetic"] = synthetic
    # As much of the one as of the other, however many there are.
    references[name, "both"] = tuple(
      np.stack([one.mean(axis=1), other.mean(axis=1)], axis=1)
      for one, other in zip(synthetic, natural, strict=True)
    )
  for (name, kind), shown in references.items():
    yield (
      {"recipe": name, "shown": kind, "distance": _distance(kind, shown[0])},
      two_choices(strong[:, :pairs], weak[:, :pairs], *shown),
    )


def _distance(kind: str, features: np.ndarray) -> float | None:
  """How far apart what excites a unit is: its seeds, or its patches."""
  if kind == "both" or features.shape[1] < 2:
    return None
  return float(np.mean([diversity(one) for one in features]))


if __name__ == "__main__":
  script.run(main)
