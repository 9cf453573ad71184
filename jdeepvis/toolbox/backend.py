"""What all pages share: the network, the server's images, units' pictures."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdeepvis.display.notebook import png
from jdeepvis.display.presentation import as_shown
from jdeepvis.display.unit_files import UnitFile, sprites_file, unit_files
from jdeepvis.networks.classify import reading_of
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import centre, to_pixels
from jdeepvis.probing.images import ImageList
from jdeepvis.probing.top_patches import probed_layers
from jdeepvis.synthesis import named_recipes
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.run import run
from jdeepvis.toolbox import inputs
from jdeepvis.toolbox.engine import Engine
from jdeepvis.toolbox.panels import (
  Panels,
  Scene,
  panels_of,
  question,
  selected_cell,
)
from jdeepvis.toolbox.state import Catalogue, Layer, State
from jdeepvis.types import Image, Pixels

_KEPT = 64  # of the server's images, decoded


class Look(NamedTuple):
  """One update of a page.

  Attributes:
    panels: what it shows.
    scene: what that is of.
    milliseconds: what each stage took.
  """

  panels: Panels
  scene: Scene
  milliseconds: dict[str, float]


class RenderedUnit(NamedTuple):
  """A picture rendered on request, kept in memory; see `UnitFile`.

  Attributes:
    kind: `rendered`.
    caption: how it was made.
    png: its file.
  """

  kind: str
  caption: str
  png: bytes


class Backend:
  """Answers all pages; what takes time is called in a worker's thread.

  Attributes:
    catalogue: what there is to look at.
    engine: the network.
    names: of the server's image files.
    units: the folder of units' pictures, if there is one.
  """

  def __init__(
    self, network: Network, images: ImageList, units: Path | None = None
  ):
    self.engine = Engine(network)
    self.names = images.names
    self.catalogue = _catalogue(self.engine, images)
    self._images = images
    self.units = units
    self._pooled = {
      info.outputs[0]: info.inputs[0]
      for info in network.layers
      if LAYER_TYPES[info.kind].pooling
    }
    self._spec = network.input
    self._read = functools.lru_cache(_KEPT)(self._read_file)
    self._rendered: dict[tuple[str, int], list[RenderedUnit]] = {}

  def look(
    self, state: State, frame: bytes | None, pinned: Image | None
  ) -> Look:
    """What a page sees now.

    Args:
      state: what it looks at.
      frame: its newest upload or frame, an encoded image.
      pinned: the centred image to compare with.

    Raises:
      JdeepvisError: the frame or the file is no image.
    """
    clock = _Clock()
    pixels = self._pixels(state, frame)
    image = centre(pixels, self._spec)
    clock.lap("image")
    program, start = question(state)
    if not self.engine.knows(program):
      self.engine.look(image, program, start)
      clock.lap("compiling")
    answer = self.engine.look(image, program, start)
    clock.lap("forward")
    other = None
    if pinned is not None:
      other = self.engine.look(pinned, program, start)
    cell = selected_cell(state, answer.values)
    scene = Scene(
      pixels=pixels,
      image=image,
      answer=answer,
      pinned=other,
      field=self.engine.field(state.shown.name, cell),
    )
    panels = panels_of(state, scene)
    clock.lap("panels")
    return Look(panels, scene, clock.laps)

  def unit_files(
    self, layer: Layer, unit: int
  ) -> "list[UnitFile | RenderedUnit]":
    """The pictures there are of a unit, those just rendered first."""
    own = self._rendered.get((layer.name, unit), [])
    return own + self._tree_files(layer.name, unit)

  def sprites(self, layer: Layer) -> Path | None:
    """One picture of all units of a layer, if the tree has one."""
    if self.units is None:
      return None
    names = [layer.name, self._pooled.get(layer.name)]
    found = (sprites_file(self.units, name) for name in names if name)
    return next(filter(None, found), None)

  def render(self, state: State, report: Callable[[float], Any]) -> None:
    """Renders one picture of the selected unit, of what it can see.

    Args:
      state: which unit, by which recipe and seed.
      report: called with the share that is done.
    """
    layer, unit, done = state.shown, state.unit, 0
    wanted = Request(
      layer=layer.name,
      unit=unit,
      seed=state.picture_seed,
      recipe_name=state.recipe,
      recipe=named_recipes.recipe(state.recipe),
    )
    # One picture a device: no batch is worth waiting for.
    for news in run(self.engine.network, [wanted], each={layer.name: 1}):
      done += news.image_steps
      report(done / wanted.recipe.steps)
    (picture,) = news.pictures
    caption = f"{state.recipe}, seed {state.picture_seed}"
    if picture.status != "ok":
      caption += f", {picture.status.replace('_', ' ')}"
    made = RenderedUnit("rendered", caption, png(as_shown(picture)))
    known = self._rendered.setdefault((layer.name, unit), [])
    if made not in known:
      known.insert(0, made)

  def _pixels(self, state: State, frame: bytes | None) -> Pixels:
    if state.source == "files" or frame is None:
      return self._read(state.image, state.fit)
    pixels = inputs.decode(frame)
    if state.source == "webcam":
      pixels = inputs.stretch_contrast(pixels)
    return inputs.prepare(pixels, self._spec, state.fit)

  def _read_file(self, number: int, fit: str) -> Pixels:
    if not self._images.names:
      return to_pixels(np.zeros(self._spec.shape), self._spec)
    path = self._images.root / self._images.names[number]
    return inputs.prepare(inputs.read_file(path), self._spec, fit)

  def _tree_files(self, layer: str, unit: int) -> list[UnitFile]:
    if self.units is None:
      return []
    found = unit_files(self.units, layer, unit)
    source = self._pooled.get(layer)
    return found or (self._tree_files(source, unit) if source else [])


def _catalogue(engine: Engine, images: ImageList) -> Catalogue:
  network = engine.network
  count = len(network.labels)
  layers = tuple(
    Layer(name, shape, network.labels if shape[-1] == count else ())
    for name in probed_layers(network)
    if len(shape := engine.shapes[name]) in (1, 3)
  )
  return Catalogue(
    layers=layers,
    images=len(images.names),
    recipes=tuple(named_recipes.RECIPES),
    has_graph=bool(network.layers),
    has_classes=reading_of(network) is not None,
  )


class _Clock:
  """Milliseconds from lap to lap."""

  def __init__(self):
    self.laps: dict[str, float] = {}
    self._last = time.perf_counter()

  def lap(self, name: str) -> None:
    now = time.perf_counter()
    self.laps[name] = round(1e3 * (now - self._last), 2)
    self._last = now
