"""What the parts of a Flax module return, by name."""

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import flax.linen as nn
from flax import nnx


@dataclasses.dataclass(frozen=True)
class LinenFunction:
  """A Linen module as a function of its variables and a batch of images.

  Attributes:
    module: as it is.
    settings: further arguments of its call, by name.
  """

  module: nn.Module
  settings: tuple[tuple[str, Hashable], ...]

  def __call__(self, variables, images, **rectifier):
    _, recorded = self.module.apply(
      variables,
      images,
      **dict(self.settings),
      **rectifier,
      capture_intermediates=True,
      mutable=["intermediates"],
    )
    return dict(_named(recorded["intermediates"]))


@dataclasses.dataclass(frozen=True)
class NNXFunction:
  """An NNX module as a function of its state and a batch of images.

  Attributes:
    definition: the module without its state.
    settings: further arguments of its call, by name.
  """

  definition: nnx.GraphDef
  settings: tuple[tuple[str, Hashable], ...]

  def __call__(self, state, images, **rectifier):
    module = nnx.merge(self.definition, state)
    record = nnx.capture(
      module, nnx.Intermediate, method_outputs=nnx.Intermediate
    )
    _, recorded = record(images, **dict(self.settings), **rectifier)
    return dict(_named(nnx.to_pure_dict(recorded)))


def _named(tree: Mapping, *path: str) -> Iterator[tuple[str, Any]]:
  """Flax's records, a tuple of results for each method, by module path."""
  for key, value in tree.items():
    if isinstance(value, Mapping):
      yield from _named(value, *path, str(key))
      continue
    name = "/".join((*path, key) if key != "__call__" else path)
    for call, result in enumerate(value):
      yield (f"{name}/call{call}" if call else name), result
