"""A trial of what is wanted, before anything is made."""

import functools
from collections.abc import Iterable

import jax
import numpy as np

from jdeepvis.networks.network import Network
from jdeepvis.synthesis import assembly
from jdeepvis.synthesis.ascend import ascend
from jdeepvis.synthesis.batch import Ascent
from jdeepvis.synthesis.recipe_records import is_ours
from jdeepvis.synthesis.requests import Request, ascent, asked
from jdeepvis.synthesis.score import bind
from jdeepvis.types import Image, ImageParams, JdeepvisError


def try_out(network: Network, requests: Iterable[Request]) -> None:
  """Refuses what cannot be made before there is a folder for it.

  Functions of one's own are traced for a step: what fails in them fails here,
  before a folder is held to their source.

  Args:
    network: any network.
    requests: the pictures wanted.

  Raises:
    JdeepvisError: the network does not have what is asked, or an objective
      gives more than one number.
  """
  for request in {one.program: one for one in requests}.values():
    of = asked(network, request)
    made = ascent(request, of)
    score = bind(of.network, made.objective)
    entries = [entry.function for entry in request.recipe.entries]
    functions = [*entries, request.recipe.parameterisation]
    if request.objective is None and all(map(is_ours, functions)):
      continue
    image = jax.ShapeDtypeStruct(of.network.input.shape, np.float32)
    value, _ = jax.eval_shape(score, None, image)
    if value.shape:
      raise JdeepvisError(
        f"The objective {request.layer!r} gives an array of shape "
        f"{list(value.shape)}, not one number."
      )
    jax.eval_shape(functools.partial(_step, made, of.network), image)


def _step(made: Ascent, network: Network, image: Image) -> ImageParams:
  spec, recipe = network.input, made.recipe
  state, _ = ascend(
    made.key,
    assembly.augmented(recipe, bind(network, made.objective), spec),
    assembly.optimizer(recipe, spec),
    assembly.encode(recipe, image, spec),
    steps=1,
  )
  return state.image
