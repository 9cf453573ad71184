"""An archive of fooling images, bred in a folder that can be resumed."""

import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from jdeepvis.display.manifest import ManifestFolder, picture_file
from jdeepvis.display.progress import show_progress
from jdeepvis.display.records import Record, unit_title
from jdeepvis.evolution import archive as archives
from jdeepvis.evolution import map_elites
from jdeepvis.evolution.archive import Archive, Encoding
from jdeepvis.networks import classify
from jdeepvis.networks.names import class_scores, label_of
from jdeepvis.networks.network import Network
from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store
from jdeepvis.types import JdeepvisError, Pixels

CONVINCED = 0.5
"""The confidence below which a cell's status is `unconvinced`."""

_SHOWN_AT_ONCE = 8

History = dict[str, np.ndarray]
"""The statistics of `archive.update` and `seconds`, arrays `[generations]`."""


class Bred(NamedTuple):
  """The progress of a run.

  Attributes:
    archive: the elites.
    history: of all generations so far.
    made: how many of these are new since the last report.
  """

  archive: Archive
  history: History
  made: int = 0


def breed(
  folder: ManifestFolder,
  network: Network,
  encoding: Encoding,
  *,
  seed: int,
  offspring: int,
  generations: int,
  seconds: float | int = 60,
) -> Bred:
  """Breeds up to so many generations, those of earlier runs included.

  A bar shows how far it is.

  The batch size of one device is chosen once and kept in the manifest, so that
  the archive's bits do not depend on when the run was stopped, or on how many
  devices. It is saved now and then, and in the end, in `archive/`.

  Args:
    folder: where the archive is kept.
    network: any network with classes.
    encoding: of the images, of the network's input shape.
    seed: of all randomness.
    offspring: children in a generation.
    generations: how many there shall be; where there are more, they stay.
    seconds: between two saves.

  Raises:
    JdeepvisError: what was kept cannot be read, or all children are dead, since
      the network's probabilities are NaN.
  """
  per_device = folder.settle("images per device", map_elites.per_device)
  evaluate, key = map_elites.class_probabilities(network), jax.random.key(seed)
  store, bred = _store(folder), _load(folder, network, encoding)

  def step(bred: Bred) -> Bred:
    done, began = int(bred.archive.generation), time.perf_counter()
    archive, rows = map_elites.evolve(
      key,
      evaluate,
      encoding,
      bred.archive,
      generations=min(generations - done, map_elites.LIMIT),
      offspring=offspring,
      per_device=per_device,
    )
    made = int(archive.generation) - done
    rows = {name: np.asarray(row)[:made] for name, row in rows.items()}
    rows["seconds"] = np.full(made, (time.perf_counter() - began) / made)
    history = {
      name: np.concatenate([bred.history.get(name, row[:0]), row])
      for name, row in rows.items()
    }
    return Bred(archive, history, made)

  def steps() -> Iterator[Bred]:
    nonlocal bred
    while bred.archive.generation < generations:
      bred = step(bred)
      yield bred

  for _ in show_progress(
    save_now_and_then(
      steps(),
      lambda now: _save(store, now),
      done=lambda now: int(now.archive.generation) == generations,
      seconds=seconds,
    ),
    lambda now: now.made,
    total=generations,
    done=int(bred.archive.generation),
    unit="generation",
    facts=lambda now: {
      "median": f"{now.history['median'][-1]:.4f}",
      "images_per_second": f"{offspring / now.history['seconds'][-1]:.0f}",
    },
  ):
    pass
  if np.all(np.asarray(bred.archive.confidence) == archives.NOBODY):
    raise JdeepvisError(
      "All cells are empty: the network's probabilities are NaN."
    )
  return bred


def load(folder: ManifestFolder, network: Network, encoding: Encoding) -> Bred:
  """What an earlier run has bred.

  Args:
    folder: where the archive is kept.
    network: that of the run.
    encoding: that of the run.

  Raises:
    JdeepvisError: there is none, or it cannot be read.
  """
  bred = _load(folder, network, encoding)
  if not bred.history:
    raise JdeepvisError(
      f"{str(folder.path)!r} holds no archive yet; breed one first."
    )
  return bred


def cells(
  network: Network,
  encoding: Encoding,
  archive: Archive,
  *,
  recipe: str,
  seed: int,
) -> Iterator[tuple[Record, Pixels]]:
  """The record and the picture, uint8, of each cell, as a page wants them.

  The probability is computed anew for the picture; `confidence` won the cell.
  They differ by rounding, since the batches have other shapes.

  Args:
    network: that of the run.
    encoding: that of the run.
    archive: the elites.
    recipe: what the encoding is called.
    seed: that of the run.
  """
  layer = class_scores(network)
  decode = jax.jit(functools.partial(lax.map, encoding.decode))
  count = len(archive.born)
  for first in range(0, count, _SHOWN_AT_ONCE):
    # Batches are whole: one program.
    units = np.minimum(np.arange(first, first + _SHOWN_AT_ONCE), count - 1)
    genomes = jax.tree.map(lambda leaf, rows=units: leaf[rows], archive.genome)
    images = np.asarray(decode(genomes))
    plain = images - network.input.mean
    scores = np.asarray(classify.activations(network, layer, plain))
    found = np.asarray(classify.probabilities(network, plain))
    for i, unit in enumerate(units[: count - first].tolist()):
      confidence = float(archive.confidence[unit])
      label = label_of(network, layer, unit)
      record = Record(
        picture_file(layer, unit, recipe, seed),
        unit_title(layer, unit, label),
        "ok" if confidence >= CONVINCED else "unconvinced",
        {
          "layer": layer,
          "unit": unit,
          "label": label,
          "seed": seed,
          "encoding": recipe,
          "confidence": confidence,
          "generation": int(archive.born[unit]),
          "activation": float(scores[i].reshape(-1)[unit]),
          "probability": float(found[i, unit]),
        },
      )
      yield record, images[i].astype(np.uint8)


def history_rows(history: History, offspring: int) -> list[dict[str, Any]]:
  """A row for each generation, counted from 1, and the images seen till then.

  Args:
    history: see `Bred`.
    offspring: children in a generation.
  """
  return [
    {
      "generation": number,
      "evaluations": number * offspring,
      **{name: values[number - 1].item() for name, values in history.items()},
    }
    for number in range(1, len(history["median"]) + 1)
  ]


def _store(folder: ManifestFolder) -> Store:
  return Store(folder.path / "archive")


def _save(store: Store, bred: Bred) -> None:
  leaves = enumerate(jax.tree.leaves(jax.device_get(bred.archive)))
  archive = {str(i): leaf for i, leaf in leaves}
  store.save({"archive": archive, "history": bred.history})


def _load(folder: ManifestFolder, network: Network, encoding: Encoding) -> Bred:
  """The progress of the last run, or an empty archive."""
  classes = network.shapes[class_scores(network)][-1]
  fresh = archives.empty_archive(encoding, classes)
  store = _store(folder)
  if not (kept := store.load()):
    return Bred(fresh, {})
  like, structure = jax.tree.flatten(fresh)
  try:
    leaves = [kept["archive"][str(i)] for i in range(len(like))]
    shapes = [(leaf.shape, leaf.dtype) for leaf in leaves]
    if shapes == [(leaf.shape, leaf.dtype) for leaf in like]:
      return Bred(jax.tree.unflatten(structure, leaves), kept["history"])
  except (KeyError, TypeError) as error:
    raise store.misfit() from error
  raise store.misfit()
