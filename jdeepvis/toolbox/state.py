"""What one page of the toolbox looks at."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

BOOSTS = (0.0, 0.3, 0.5, 0.8, 1.0)
GAMMAS = (1.0, 0.7, 0.5, 0.3)

Position = tuple[int, int] | None
"""Row and column of a unit's map; None is where it is largest."""


class Layer(NamedTuple):
  """A layer as the page lists it.

  Attributes:
    name: of the blob.
    shape: `(h, w, c)`, or `(c,)`.
    labels: its units' names where they are classes, else empty.
  """

  name: str
  shape: tuple[int, ...]
  labels: tuple[str, ...] = ()

  @property
  def units(self) -> int:
    """How many channels there are."""
    return self.shape[-1]

  @property
  def size(self) -> tuple[int, int]:
    """Height and width of its maps."""
    return self.shape[:2] if len(self.shape) == 3 else (1, 1)

  def unit_name(self, unit: int) -> str:
    """The unit's number, and its class where it is one."""
    return f"{unit} {self.labels[unit]}" if self.labels else str(unit)


class Catalogue(NamedTuple):
  """What there is to look at; the same for all pages.

  Attributes:
    layers: in order of computation.
    images: how many files the server offers.
    recipes: names of what pictures can be rendered by.
    has_graph: whether signals can be followed to layers in between.
    has_classes: whether its classes have probabilities.
  """

  layers: tuple[Layer, ...]
  images: int
  recipes: tuple[str, ...]
  has_graph: bool
  has_classes: bool


CHOICES: Mapping[str, tuple[Any, ...]] = {
  "source": ("files", "upload", "webcam"),
  "fit": ("square", "stretch", "caffe"),
  "boost": BOOSTS,
  "gamma": GAMMAS,
  "rule": ("off", "gradient", "deconv", "guided", "gradient_times_input"),
  "filter": ("raw", "grey", "norm", "blurred_norm"),
  "seed": ("map", "point"),
  "zoom": ("grid", "unit", "backward"),
  "sort": ("index", "activation"),
  "debug": (0, 1, 2),
}
"""The values that each of these fields of a state can have."""

SWITCHES = ("frozen", "diffs", "pattern", "pinned", "show_labels", "show_unit")
"""The fields that are on or off."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
  """What one page looks at.

  Attributes:
    catalogue: what there is.
    layer: the shown one's place in the catalogue.
    unit: the selected channel.
    position: row and column of one cell of the unit's map; None is its peak.
    in_list: whether the cursor is in the list of layers.
    origin: layer, unit and position that signals go back from, if frozen.
    source: where images come from.
    image: the file's place.
    frozen: whether new frames are ignored.
    fit: how an image becomes square: its middle, all of it squeezed, or by
      way of a larger square as Caffe's classifiers did.
    boost: exponent that lifts dim channels, 0..1.
    gamma: exponent of the brightness.
    rule: how signals go back, or off.
    filter: how a signal becomes a picture.
    seed: what is sent back, the unit's whole map or 1 at one position.
    diffs: show the shown layer's signals in place of its values.
    zoom: what fills the large pane.
    pattern: show what units want to see in place of their values.
    pinned: compare with the image that was there when this was switched on.
    sort: by number, or the most active first.
    search: only units whose number or name has this in it.
    show_labels: whether the classes are computed and shown.
    show_unit: whether pictures of the unit are shown.
    recipe: the name of how pictures are rendered.
    picture_seed: of their randomness.
    rendering: whether a picture of the unit is wanted now.
    help: whether the keys are explained.
    debug: how much the status line shows.
    aspect: width of the large pane over its height.
    order: the units in the grid, as they were last shown.
    closed: whether the page has been left.
  """

  catalogue: Catalogue
  layer: int = 0
  unit: int = 0
  position: Position = None
  in_list: bool = False
  origin: tuple[int, int, Position] | None = None
  source: str = "files"
  image: int = 0
  frozen: bool = False
  fit: str = "square"
  boost: float = 0.0
  gamma: float = 1.0
  rule: str = "off"
  filter: str = "raw"
  seed: str = "map"
  diffs: bool = False
  zoom: str = "grid"
  pattern: bool = False
  pinned: bool = False
  sort: str = "index"
  search: str = ""
  show_labels: bool = True
  show_unit: bool = True
  recipe: str = "default"
  picture_seed: int = 0
  rendering: bool = False
  help: bool = False
  debug: int = 0
  aspect: float = 1.0
  order: tuple[int, ...] | None = None
  closed: bool = False

  @property
  def shown(self) -> Layer:
    """The layer in the grid."""
    return self.catalogue.layers[self.layer]

  @property
  def sent_from(self) -> tuple[Layer, int, Position]:
    """Layer, unit and position that signals go back from."""
    here = (self.layer, self.unit, self.position)
    layer, unit, position = self.origin or here
    return self.catalogue.layers[layer], unit, position

  @property
  def columns(self) -> int:
    """Tiles in a row of the grid, so that it fills its pane."""
    count = self.shown.units if self.order is None else len(self.order)
    height, width = self.shown.size
    return max(1, math.ceil(math.sqrt(count * self.aspect * height / width)))


def share(state: State) -> dict[str, Any]:
  """What an address must hold to show the same: all but the default values.

  `reduce(State(catalogue), {"type": "set", "values": share(state)})` has the
  same panels, but for an uploaded image.
  """
  fields = {}
  for name in _SHARED:
    value = getattr(state, name)
    if value != getattr(State, name):
      fields[name] = value
  fields["layer"] = state.shown.name
  if state.origin:
    layer, *place = state.origin
    fields["origin"] = [state.catalogue.layers[layer].name, *place]
  return fields


_SHARED = (
  *("unit", "position", "image", "fit", "boost", "gamma", "rule", "filter"),
  *("seed", "diffs", "zoom", "pattern", "sort", "search", "show_labels"),
  *("show_unit", "recipe", "picture_seed", "debug"),
)


def go_to(state: State, layer: int) -> State:
  """Shows the layer at that place, or the nearest; the unit is kept."""
  layer = min(max(layer, 0), len(state.catalogue.layers) - 1)
  if layer == state.layer:
    return state
  unit = min(state.unit, state.catalogue.layers[layer].units - 1)
  return dataclasses.replace(
    state, layer=layer, unit=unit, position=None, order=None
  )


def show_file(state: State, image: int) -> State:
  """Shows the file at that place, whatever was shown before."""
  return dataclasses.replace(state, image=image, source="files", frozen=False)
