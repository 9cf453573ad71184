"""The top patches of a layer's units, written into a tree of files."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.display.filters import centred
from jdeepvis.display.unit_tree import PATCHES, UnitTree
from jdeepvis.networks.names import label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import to_pixels
from jdeepvis.probing import patches, top_patches
from jdeepvis.probing.images import FAULTS, ImageList, read_image, spell
from jdeepvis.probing.patches import Patch, cut, find_patches
from jdeepvis.probing.top_patches import Survey
from jdeepvis.types import JdeepvisError, Pixels

_UNITS = 16  # whose patches are made together
_KEPT = 128  # images that are kept at hand
_GREY = 127
_TOLERANCE = 0.1  # between a scan's value and that of its patch, as originally
_NAMES = {"gradient": "backprop"}  # as the original calls it


class _Item(NamedTuple):
  """One patch of one unit."""

  unit: int
  score: float
  image: int
  cell: int
  patch: Patch


class Written(NamedTuple):
  """Units whose patches are there now, and how many say `recomputed`."""

  units: int
  recomputed: int


def write_patches(
  tree: UnitTree,
  network: Network,
  layers: Sequence[str],
  survey: Survey,
  images: ImageList,
  *,
  rules: Sequence[str],
  batch: int,
) -> Iterator[Written]:
  """Writes the patches of those units that do not have them, or a view, yet.

  A backward view computes its unit's value anew. Where that is more than 0.1
  from what the scan saw, as where a file was replaced since, the patch's facts
  say `recomputed`.

  Args:
    tree: where they go; a unit's facts are written last.
    network: the network that was asked.
    layers: whose units, those of the survey.
    survey: what the images were surveyed for.
    images: where the patches are from.
    rules: which backward views to make of each patch.
    batch: views to make at once.

  Yields:
    After every few units, these.

  Raises:
    JdeepvisError: an image can no longer be read.
  """
  for layer, part in top_patches.layer_slices(network, layers).items():
    tree.add_layer(layer, part.stop - part.start)
    own = jax.tree.map(lambda leaf, part=part: leaf[part], survey)
    viewer = patches.Viewer(network, layer, batch)
    yield from _write_layer(tree, network, layer, own, images, rules, viewer)


def _write_layer(
  tree, network, layer, survey, images, rules, viewer
) -> Iterator[Written]:
  find = find_patches(network, layer)
  load = functools.lru_cache(_KEPT)(functools.partial(_load, images, network))
  shape = network.shapes[layer]
  known = [tree.read_info(layer, unit) for unit in range(shape[-1])]
  lacking = {
    unit: [rule for rule in rules if _name(rule) not in info.get("views", ())]
    for unit, info in enumerate(known)
  }
  missing = [
    unit
    for unit, info in enumerate(known)
    if lacking[unit] or "top" not in info
  ]
  changed = sum(
    _count_changed(info.get("top", ()))
    for unit, info in enumerate(known)
    if unit not in missing
  )
  yield Written(len(known) - len(missing), changed)
  for first in range(0, len(missing), _UNITS):
    members, changed = missing[first : first + _UNITS], 0
    tops = {unit: list(_items(survey.top, unit, find)) for unit in members}
    signals, values = {}, {}
    for rule in rules:
      asked = {unit: tops[unit] for unit in members if rule in lacking[unit]}
      signals[rule], found = _views(viewer, rule, asked, load)
      values |= found
    for unit in members:
      pictures = {
        PATCHES: [_picture(item, load, network) for item in tops[unit]]
      }
      for rule in lacking[unit]:
        pictures[_name(rule)] = [
          _view(signals[rule][item]) for item in tops[unit]
        ]
      facts = _facts(shape, images, tops[unit], values)
      changed += _count_changed(facts)
      tree.add_patches(layer, unit, pictures, facts)
      bottoms = list(_items(survey.bottom, unit, find))
      lows = _facts(shape, images, bottoms, {}, sign=-1)
      tree.add_patches(
        layer,
        unit,
        {"minim": [_picture(item, load, network) for item in bottoms]},
        lows,
      )
      before = known[unit].get("views", ())
      views = [*before, *(name for name in pictures if name != PATCHES)]
      info = _unit_facts(network, layer, unit, survey)
      info |= {"views": views, "top": facts, "bottom": lows}
      tree.add_info(layer, unit, info)
    yield Written(len(members), changed)


def _name(rule: str) -> str:
  return _NAMES.get(rule, rule)


def _load(images: ImageList, network: Network, number: int) -> np.ndarray:
  image, fault = read_image(images, number, network.input)
  if fault:
    raise JdeepvisError(
      f"'{images.root / spell(images.names[number])}' {FAULTS[fault]} now, "
      "though it was looked at before; put it back."
    )
  return image


def _items(extremes, unit: int, find) -> Iterator[_Item]:
  """What is kept of a unit; a rectified unit at 0 shows nothing."""
  fields = zip(*(field[unit].tolist() for field in extremes), strict=True)
  for score, image, cell in fields:
    if image >= 0 and score != 0:
      yield _Item(unit, score, image, cell, find(cell))


def _views(
  viewer: patches.Viewer, rule: str, tops: Mapping[int, Sequence[_Item]], load
) -> tuple[dict[_Item, np.ndarray], dict[_Item, float]]:
  """The backward signal of each item, cut to its patch, and its value."""
  items = [item for unit in tops.values() for item in unit]
  items.sort(key=lambda item: item.image)
  found, values = {}, {}
  for first in range(0, len(items), viewer.batch):
    some = items[first : first + viewer.batch]
    images = np.stack([load(item.image) for item in some])
    units = np.array([item.unit for item in some])
    cells = np.array([item.cell for item in some])
    views = viewer(rule, images, units, cells)
    for item, signal, value in zip(some, *views, strict=True):
      found[item] = cut(signal, item.patch, 0)
      values[item] = float(value)
  return found, values


def _picture(item: _Item, load, network: Network) -> Pixels:
  """The patch in the photograph's own colours, unlike the original's."""
  return cut(to_pixels(load(item.image), network.input), item.patch, _GREY)


def _view(signal: np.ndarray) -> Pixels:
  return np.uint8(np.round(255 * centred(signal)))


def _facts(
  shape: tuple[int, ...],
  images: ImageList,
  items: Sequence[_Item],
  values: Mapping[_Item, float],
  sign: int = 1,
) -> list[dict[str, Any]]:
  return [
    {
      "score": sign * item.score,
      "image": spell(images.names[item.image]),
      "position": (
        patches.to_position(shape, item.cell) if len(shape) == 3 else None
      ),
      "field": item.patch.field,
      **_changes(item.score, values.get(item, item.score)),
    }
    for item in items
  ]


def _changes(scanned: float, recomputed: float) -> dict[str, float]:
  # Written so that NaN counts as a change.
  alike = abs(recomputed - scanned) <= _TOLERANCE
  return {} if alike else {"recomputed": recomputed}


def _count_changed(facts: Sequence[Mapping[str, Any]]) -> int:
  return sum("recomputed" in one for one in facts)


def _unit_facts(
  network: Network, layer: str, unit: int, survey: Survey
) -> dict[str, Any]:
  counts = survey.histogram[unit]
  fires = np.any(survey.top.score[unit][survey.top.image[unit] >= 0])
  return {
    "label": label_of(network, layer, unit),
    "status": "ok" if fires else "never_fires",
    "images": int(counts.sum()),
    "fires_in": int(counts[len(counts) // 2 + 1 :].sum()),
    "histogram": top_patches.spell_histogram(counts),
  }
