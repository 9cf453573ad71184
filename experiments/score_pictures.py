r"""Asks a held-out classifier what pictures show.

  python -m experiments.score_pictures --manifest=out/birds/manifest.json \
    --net=googlenet.prototxt --weights=googlenet.caffemodel --mean=104,117,123
  python -m experiments.score_pictures --manifest=out/4c/manifest.json \
    --photos=photos

For each recipe: how many pictures of class units there are; the mean
probability of their class by the network that made them, plain and over random
shifts and rescalings; how often the other network names the class first or
among its first five, and the class's median rank; with several seeds, how far
apart its pictures of one class are; with --photos, how far spectrum and
colours are from those of photographs. scores.json and scores.csv go beside the
manifest.

Hidden units have no names that a network could give: for each of their layers
and recipes --photos compares the activation of the pictures with that of the
best photograph; hidden.json and hidden.csv go beside the manifest.
"""

from pathlib import Path
from typing import Any

from absl import flags

from experiments import photographs, report, script
from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.files import write_csv, write_json
from jdeepvis.evaluation import scoring
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.types import JdeepvisError

_MANIFEST = flags.DEFINE_string(
  "manifest", None, "The manifest.json of a folder of pictures."
)
_NET = flags.DEFINE_string(
  "net",
  None,
  "A network with the same classes, best of another family: a name, a "
  ".safetensors or .prototxt file or package.module:factory.",
)
_WEIGHTS, _MEAN, _SCALE, _BGR, _SIZE = script.define(
  "weights", "mean", "scale", "bgr", "size"
)
_STRETCHED = flags.DEFINE_bool(
  "stretched",
  False,
  "Show the judge faint pictures stretched in contrast, as the page does.",
)
_PHOTOS = flags.DEFINE_string(
  "photos", None, "A folder of photographs to compare with."
)


def main() -> None:
  """Manifest to scores, scores to tables."""
  if not _MANIFEST.value:
    raise JdeepvisError("--manifest is missing; see --help.")
  atlas = open_atlas(_MANIFEST.value)
  maker = scoring.load_maker(atlas.settings)
  groups = {True: [], False: []}
  for record in atlas.records:
    groups[record["layer"] == maker.output].append(record)
  classes, hidden = groups[True], groups[False]
  if not (classes and _NET.value) and not (hidden and _PHOTOS.value):
    raise JdeepvisError(
      f"In {_MANIFEST.value!r} are pictures of {len(classes)} class units, "
      f"which a --net would judge, and {len(hidden)} hidden units, which "
      "--photos would be compared with; give what applies."
    )
  photos = []
  if _PHOTOS.value:
    photos = list(photographs.read(_PHOTOS.value).values())
  if classes and _NET.value:
    _score_classes(maker, classes, photos)
  if hidden and photos:
    _compare_hidden(maker, hidden, photos)


def _score_classes(maker: Network, records: list, photos: list) -> None:
  folder = Path(_MANIFEST.value).parent
  judge = load_network(
    _NET.value,
    _WEIGHTS.value,
    mean=_MEAN.value,
    scale=_SCALE.value,
    bgr=_BGR.value,
    size=_SIZE.value,
  )
  scoring.refuse_maker(
    judge, weights_sha256(maker.params), maker.shapes[maker.output][-1]
  )
  marked = scoring.under_augmentation(folder, records, maker)
  marked = scoring.judged(folder, marked, judge, stretched=_STRETCHED.value)
  rows = scoring.table(folder, marked, judge, photos)
  settings = {
    "net": _NET.value,
    "weights_sha256": weights_sha256(judge.params),
    "stretched": _STRETCHED.value,
  }
  write_json(
    folder / "scores.json",
    {"judge": settings, "recipes": rows, "pictures": marked},
  )
  _write_table(folder / "scores.csv", rows)


def _compare_hidden(maker: Network, records: list, photos: list) -> None:
  folder = Path(_MANIFEST.value).parent
  marked = scoring.beside_photos(records, maker, photos)
  rows = scoring.hidden_table(marked)
  write_json(folder / "hidden.json", {"layers": rows, "pictures": marked})
  _write_table(folder / "hidden.csv", rows)


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
  write_csv(path, rows)
  report.print_table(rows)
  print(f"\nWrote {path} and {path.with_suffix('.json')}.")


if __name__ == "__main__":
  script.run(main)
