"""Targets, recipes and seeds become requests, one for each picture."""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jdeepvis.networks.classify import reading_of
from jdeepvis.networks.crop import crop
from jdeepvis.networks.names import find_layer, find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.readings import SOFTMAX
from jdeepvis.networks.receptive_field import in_graph, receptive_field
from jdeepvis.networks.regions import locate
from jdeepvis.networks.resize import with_image_size
from jdeepvis.networks.tokens import find_token
from jdeepvis.synthesis import assembly
from jdeepvis.synthesis.batch import Ascent, Noise
from jdeepvis.synthesis.named_recipes import RECIPES
from jdeepvis.synthesis.named_recipes import recipe as find_recipe
from jdeepvis.synthesis.objective import Objective, as_objective
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.score import blobs_read
from jdeepvis.types import Image, JdeepvisError, PRNGKey

Canvas = str | tuple[int, int]
"""`field`, `image`, or a height and width in pixels."""

Recipes = str | Recipe | Sequence[str | Recipe] | Mapping[str, Recipe]
"""Recipes by name, made, or by the names that they shall have."""


class Request(NamedTuple):
  """One picture that is wanted.

  Attributes:
    layer: a blob's name, or the name of an objective of one's own.
    unit: the channel; None for an objective of one's own.
    seed: of all the picture's randomness.
    recipe_name: what the recipe is called in files and captions.
    recipe: how to make it.
    position: row and column in the map; None is the centre.
    direction: 1 to excite the unit, -1 to inhibit it.
    canvas: `field`, what the unit can see; `image`, all of the input; or the
      height and width of an image of another size, pixels.
    strengths: what was varied in the recipe, by name; None where nothing was.
    objective: one's own, in place of a unit.
  """

  layer: str
  unit: int | None
  seed: int
  recipe_name: str
  recipe: Recipe
  position: tuple[int, int] | None = None
  direction: int = 1
  canvas: Canvas = "field"
  strengths: Mapping[str, float] | None = None
  objective: Objective | None = None

  @property
  def key(self) -> PRNGKey:
    """The key of all its randomness, from the seed and the unit alone."""
    return jax.random.fold_in(jax.random.key(self.seed), self.unit or 0)

  @property
  def program(self) -> tuple[Any, ...]:
    """Equal for pictures that one compiled program can make side by side."""
    structures = jax.tree.structure((self.recipe, self.objective))
    return self.layer, self.position, self.canvas, structures


def by_program(requests: Sequence[Request]) -> list[Request]:
  """Those of one program next to each other, else in their order."""
  groups: dict[tuple, list[Request]] = {}
  for request in requests:
    groups.setdefault(request.program, []).append(request)
  return [request for group in groups.values() for request in group]


class Asked(NamedTuple):
  """The network that a request uses, and where its image lies in the whole one.

  Attributes:
    network: the whole network, or what the unit sees of it.
    position: of the unit in its map there.
    offset: row and column of its image's first pixel in the whole image.
    classes: whether the unit is a class.
  """

  network: Network
  position: tuple[int, int] | None
  offset: tuple[int, int]
  classes: bool


def requests(
  network: Network,
  targets: Any,
  recipe: Recipes = "default",
  *,
  seeds: int | Iterable[int] = 1,
  strengths: Mapping[str, Sequence[float | int]] | None = None,
  canvas: Canvas = "field",
  direction: int = 1,
) -> list[Request]:
  """Every picture of these targets, recipes, strengths and seeds.

  Args:
    network: any network.
    targets: `"layer:units"`, an objective, a function of the activations, or
      a list of them. Units are numbers, ranges (`3-7`), `all` and names of
      classes, with commas between. `@row,column` behind them names another
      position than the centre, `@cls` the class token of a transformer and
      `@3` its fourth token, see `networks.tokens`. `output` stands for the
      class scores and may be left out: `"flamingo"`.
    recipe: by name or made, one or several; or each by what it shall be called.
    seeds: a number of seeds, or the seeds.
    strengths: values of strengths of the recipe; all combinations are made.
    canvas: see `Request`.
    direction: 1 to excite the units, -1 to inhibit them.

  Raises:
    JdeepvisError: the network has no such layer, unit or position, or there
      is no such recipe or strength.
  """
  seeds = range(seeds) if isinstance(seeds, int) else tuple(seeds)
  wanted = []
  for name, made in _recipes(recipe):
    for target in _listed(targets):
      for layer, unit, position, objective in _units(network, target):
        for varied, strong in _grid(made, strengths or {}):
          label = ",".join(f"{k}={v:g}" for k, v in varied.items())
          wanted += [
            Request(
              layer=layer,
              unit=unit,
              seed=int(seed),
              recipe_name=f"{name} {label}".strip(),
              recipe=strong,
              position=position,
              direction=direction,
              canvas=canvas,
              strengths=varied or None,
              objective=objective,
            )
            for seed in seeds
          ]
  return wanted


def asked(network: Network, request: Request) -> Asked:
  """The network that a request uses: cropped to what the unit sees.

  Raises:
    JdeepvisError: the network does not take images of that size.
  """
  layer, position, canvas = request.layer, request.position, request.canvas
  if not isinstance(canvas, str):
    layers = (layer,)
    if request.objective is not None:
      layers = blobs_read(network, request.objective)
    network = with_image_size(network, layers, canvas)
    return Asked(network, position, (0, 0), False)
  classes = layer == network.output
  if classes or canvas == "image" or request.objective:
    return Asked(network, position, (0, 0), classes and not request.objective)
  field = receptive_field(network, layer, position)
  whole = field.size == network.input.shape[:2]
  if whole and not in_graph(network, layer):
    return Asked(network, position, (0, 0), False)
  return Asked(crop(network, layer, position), None, field[:2], False)


def ascent(request: Request, of: Asked, image: Image | None = None) -> Ascent:
  """The ascent that makes a request's picture.

  Args:
    request: which picture.
    of: the network that it uses.
    image: the initial image, as large as that network's; None draws noise.
  """
  if (objective := request.objective) is not None:
    objective = objective if request.direction == 1 else -objective
    return Ascent(objective, request.recipe, request.key, image)
  layer, recipe = "output", request.recipe
  if not of.classes:
    # A hidden layer may be called output; its units are no classes.
    layer = request.layer
  if not of.classes or reading_of(of.network) != SOFTMAX:
    recipe = recipe.without("log_prob_weight")
  objective = assembly.unit_objective(
    recipe,
    layer,
    request.unit,
    of.position,
    direction=float(request.direction),
  )
  watched = neuron(layer, request.unit, of.position)
  return Ascent(objective, request.recipe, request.key, image, watched)


def noise(network: Network, of: Asked, kind: str = "noise") -> Noise:
  """Noise for the network of a request, a part of the whole image's.

  Args:
    network: the whole one.
    of: what a request asks of it.
    kind: see `initial_image`.
  """
  larger = of.network.input.shape > network.input.shape
  whole = of.network.input if larger else network.input
  return Noise(whole, kind, of.offset)


def _listed(targets: Any) -> list[Any]:
  several = isinstance(targets, list | tuple | set)
  return list(targets) if several else [targets]


def _recipes(recipe: Recipes) -> Iterator[tuple[str, Recipe]]:
  if isinstance(recipe, Mapping):
    yield from recipe.items()
    return
  names, own = {id(made): name for name, made in RECIPES.items()}, 0
  for one in _listed(recipe):
    if isinstance(one, str):
      yield one, find_recipe(one)
    elif id(one) in names:
      yield names[id(one)], one
    else:
      own += 1
      yield f"own {own}" if own > 1 else "own", one


def _grid(recipe: Recipe, strengths: Mapping[str, Sequence[float | int]]):
  for values in itertools.product(*strengths.values()):
    varied = dict(zip(strengths, values, strict=True))
    yield varied, recipe.replace(**varied) if varied else recipe


def _units(network: Network, target: Any):
  """Layer, unit, position and objective of all that a target names."""
  if not isinstance(target, str):
    objective = as_objective(target)
    yield _title(objective), None, None, objective
    return
  layer, named = _split(network, target)
  units, at, place = named.partition("@")
  position = None
  if at:
    layer, position = _place(network, layer, target, place.strip())
  for unit in find_units(network, layer, units):
    yield layer, unit, position, None


def _split(network: Network, target: str) -> tuple[str, str]:
  """A layer, whose own name may hold `:` and `@`, and what stands behind it."""
  shapes = network.shapes
  named = [x for x in (*shapes, "output") if target.startswith(f"{x}:")]
  if named and target not in shapes:
    layer = max(named, key=len)
    return find_layer(network, layer), target[len(layer) + 1 :]
  for name in (target, target.partition("@")[0]):
    if name in shapes:
      raise JdeepvisError(
        f"{name!r} is a layer; say which of its units, as in '{name}:0-7' or "
        f"'{name}:all'."
      )
  layer, colon, units = target.rpartition(":")
  return find_layer(network, layer if colon else "output"), units


def _place(
  network: Network, layer: str, target: str, place: str
) -> tuple[str, tuple[int, int] | None]:
  """The blob and the position that a place behind @ names."""
  if match := re.fullmatch(r"(-?\d+),(-?\d+)", place):
    position = int(match[1]), int(match[2])
    locate(layer, network.shapes[layer], position)
    return layer, position
  if re.fullmatch(r"cls|\d{1,9}", place):
    return find_token(network.shapes, layer, place)
  raise JdeepvisError(
    f"The target {target!r} ends in @{place}, which is not @ROW,COLUMN, nor a "
    "token, @cls or @NUMBER."
  )


def _title(objective: Objective) -> str:
  """What an objective of one's own is called."""
  unit, layer = getattr(objective, "unit", None), objective.layers
  if layer is not None and np.ndim(unit) == 0 and unit is not None:
    return f"{layer[0]} {unit}"
  function = getattr(getattr(objective, "function", None), "func", None)
  if function is not None:
    return getattr(function, "__name__", "objective").strip("<>")
  return " and ".join(layer) if layer else "objective"
