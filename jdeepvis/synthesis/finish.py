"""The pictures of a batch that is done, as they are written into files."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jdeepvis.networks.classify import as_probabilities, probability_blob
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import Position
from jdeepvis.networks.sharding import mesh_for, sharded, specs_of
from jdeepvis.synthesis import assembly
from jdeepvis.synthesis.batch import Ascent, Progress, stack
from jdeepvis.synthesis.score import blobs_read, evaluate


class Finished(NamedTuple):
  """The pictures of a finished batch.

  Attributes:
    images: float32 `[n, h, w, c]`, centred.
    pixels: the same as in a file, uint8, 0..255.
    score: the objective's value of the pixels, without augmentation, `[n]`.
    watched: the value of the watched objective, `[n]`, or None.
    largest: whether they make the unit the largest of its layer, `[n]`; None
      where the objective does not define that.
    probability: of each class, `[n, k]`; None unless it was asked for.
  """

  images: Array
  pixels: Array
  score: Array
  watched: Array | None
  largest: Array | None
  probability: Array | None


def finish(
  placed: Network,
  ascents: Sequence[Ascent],
  progress: Progress,
  *,
  probability: bool = False,
  position: Position | None = None,
) -> Finished:
  """A batch's pictures, evaluated as they are written: in whole grey levels.

  Args:
    placed: the network of the ascents, from `place`.
    ascents: those of the batch.
    progress: the last that `ascend_batch` yielded.
    probability: whether the classes' probabilities are wanted.
    position: where, of a map of scores; None is the centre.

  Returns:
    Arrays with a row for each place of the batch, padding included.
  """
  stacked = stack(ascents, len(progress.history["score"]))
  kept = jax.tree.map(
    jnp.asarray, getattr(progress.states, ascents[0].recipe.keep).image
  )
  stacked = stacked._replace(key=None, image=None)
  mesh = mesh_for(len(kept))
  asked = (mesh, specs_of(placed), probability, position)
  finished = _finish(*asked, placed, stacked, kept)
  return jax.tree.map(np.asarray, finished)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _finish(
  mesh, specs, probability, position, network: Network, ascents, kept
):
  def batch(network, ascents, kept):
    spec = network.input
    images = jax.vmap(lambda recipe, x: assembly.decode(recipe, x, spec))(
      ascents.recipe, kept
    )
    black = spec.bounds[0][None]
    pixels = jnp.round(jnp.clip(images - black, 0, 255))
    pixels = jnp.nan_to_num(pixels)
    plain = pixels + black
    asked = [x for x in (ascents.objective, ascents.watched) if x is not None]
    first = jax.tree.map(lambda leaf: leaf[0], asked)
    until, blob = blobs_read(network, *first), None
    if probability:
      blob = probability_blob(network) or network.output
      until = (*until, blob)
    blobs = network(plain, until=until)
    values = [
      jax.vmap(functools.partial(evaluate, network))(objective, blobs)
      for objective in asked
    ]
    by_class = None
    if probability:
      by_class = as_probabilities(network, blobs[blob], position)
    (score, more), watched = values[0], values[1:]
    return Finished(
      images,
      pixels.astype(jnp.uint8),
      score,
      watched[0][0] if watched else None,
      more.get("is_largest"),
      by_class,
    )

  specs = jax.tree.unflatten(jax.tree.structure(network), specs)
  return sharded(batch, mesh, specs)(network, ascents, kept)
