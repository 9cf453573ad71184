"""Pictures as arrays: `render` and `render_many`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jdeepvis.display import notebook
from jdeepvis.networks.network import Network
from jdeepvis.synthesis.picture import Picture
from jdeepvis.synthesis.recipes import Recipe
from jdeepvis.synthesis.requests import Canvas, Recipes, Request, requests
from jdeepvis.synthesis.run import run, show_rendering
from jdeepvis.types import AnyArray, JdeepvisError


class Pictures:
  """Many pictures, made on demand.

  Iterating makes them and keeps none, so that a million need no room; `sheet`,
  an index and a notebook make all and keep them.
  """

  def __init__(
    self,
    network: Network,
    wanted: Sequence[Request],
    *,
    initial: str | AnyArray = "noise",
    each: Mapping[str, int] | None = None,
    progress: bool = True,
  ):
    self.network = network
    self.requests = wanted
    self.initial = initial
    self.each = each
    self.progress = progress
    self._kept: list[Picture] | None = None

  def __len__(self) -> int:
    return len(self.requests)

  def __iter__(self) -> Iterator[Picture]:
    if self._kept is not None:
      yield from self._kept
      return
    steps = sum(request.recipe.steps for request in self.requests)
    news = run(
      self.network, self.requests, initial=self.initial, each=self.each
    )
    for one in show_rendering(news, steps, hidden=not self.progress):
      yield from one.pictures

  def __getitem__(self, index):
    return self.all[index]

  @property
  def all(self) -> list[Picture]:
    """Every picture, made at first use and kept."""
    if self._kept is None:
      self._kept = list(self)
    return self._kept

  def sheet(self, columns: int | None = None) -> "notebook.Sheet":
    """All of them on one captioned sheet, which a notebook shows.

    Args:
      columns: pictures in a row; by default what makes it about square.
    """
    return notebook.sheet(self.all, columns)

  def _repr_html_(self) -> str:
    return notebook.html(self.all)


def render(
  network: Network,
  target: Any,
  recipe: str | Recipe = "default",
  *,
  seed: int = 0,
  initial: str | AnyArray = "noise",
  canvas: Canvas = "field",
  direction: int = 1,
  progress: bool = True,
) -> Picture:
  """One picture that maximises a unit or an objective.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> picture = jdeepvis.render(network, "fire2/concat:7", progress=False)
  >>> picture.pixels.shape, picture.pixels.dtype
  ((15, 15, 3), dtype('uint8'))

  Args:
    network: any network.
    target: `"layer:unit"`, the name of a class, an objective or a function of
      the activations; see `render_many`.
    recipe: by name or made; static but for its strengths.
    seed: of all the picture's randomness.
    initial: the initial image: `noise`, `uniform`, `mean`, `original` (the
      original program's own noise), centred float `[h, w, c]` of the network's
      input, or uint8 pixels of any size.
    canvas: `field`, as much of the image as the unit sees; `image`, all of
      it; or a height and width in pixels, where the layers allow it.
    direction: 1 to excite the unit, -1 to inhibit it.
    progress: whether to show a bar.

  Returns:
    The picture. A second call with another unit, seed or strength compiles
    nothing.

  Raises:
    JdeepvisError: the network has no such layer, unit or position, there is
      no such recipe, or the target names several units.
  """
  pictures = render_many(
    network,
    target,
    recipe,
    seeds=(seed,),
    initial=initial,
    canvas=canvas,
    direction=direction,
    progress=progress,
  )
  if len(pictures) != 1:
    raise JdeepvisError(
      f"{target!r} names {len(pictures)} units; render_many makes several."
    )
  return pictures[0]


def render_many(
  network: Network,
  targets: Any,
  recipe: Recipes = "default",
  *,
  seeds: int | Iterable[int] = 1,
  strengths: Mapping[str, Sequence[float | int]] | None = None,
  initial: str | AnyArray = "noise",
  canvas: Canvas = "field",
  direction: int = 1,
  each: int | None = None,
  progress: bool = True,
) -> Pictures:
  """Pictures of many units, seeds and strengths, as few compiled programs.

  They are split over the local devices; a picture does not depend on the
  others.

  >>> import jdeepvis
  >>> network = jdeepvis.load_network("squeezenet1.1")
  >>> pictures = jdeepvis.render_many(
  ...   network, "fire2/concat:7", strengths={"decay": (0, 0.1)}, progress=False
  ... )
  >>> [picture.request.strengths for picture in pictures]
  [{'decay': 0}, {'decay': 0.1}]

  Args:
    network: any network.
    targets: one or a list of `"layer:units"` (numbers, ranges `3-7`, `all`,
      names of classes, commas between; `@row,column` behind them for another
      place than the centre, `@cls` or `@3` for a token), objectives and
      functions of the activations.
      `output` stands for the class scores; `"flamingo"` is `"output:flamingo"`.
    recipe: by name or made, one or several; or each by what it shall be called.
    seeds: how many, or which.
    strengths: values to give strengths of the recipe, in all combinations.
    initial: see `render`.
    canvas: see `render`.
    direction: see `render`.
    each: pictures that a device makes at once; by default what fills it and
      fits into memory.
    progress: whether to show a bar.

  Returns:
    An iterable of `Picture`, in the order of recipes, targets, strengths and
    seeds.

  Raises:
    JdeepvisError: as `render`.
  """
  wanted = requests(
    network,
    targets,
    recipe,
    seeds=seeds,
    strengths=strengths,
    canvas=canvas,
    direction=direction,
  )
  sizes = {request.layer: each for request in wanted} if each else None
  return Pictures(
    network, wanted, initial=initial, each=sizes, progress=progress
  )
