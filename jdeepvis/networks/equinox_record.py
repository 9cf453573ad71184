"""Names what the parts of an Equinox module return; needs `equinox`."""

import collections
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks.own import Fixed, Settings


@dataclasses.dataclass(frozen=True)
class Static:
  """A tree without its arrays; hashable whatever containers it has."""

  structure: Any
  leaves: tuple[Any, ...]


def split(tree: Any) -> tuple[Any, Static]:
  """A tree's arrays, and all else of it."""
  arrays, rest = eqx.partition(tree, _is_array)
  leaves, structure = jax.tree.flatten(rest)
  return arrays, Static(structure, tuple(leaves))


def parts(module: Any) -> dict[str, Any]:
  """The callable parts of a module, by path."""
  return dict(_parts(module, ""))


def has_arrays(part: Any) -> bool:
  """Whether a part has weights."""
  return any(map(_is_array, jax.tree.leaves(part)))


@dataclasses.dataclass(frozen=True)
class EquinoxFunction:
  """An Equinox module as a function of its arrays and a batch of images.

  Attributes:
    static: module and state without their arrays.
    settings: further arguments of the module's call.
    key: for its argument `key`, if it has one.
  """

  static: Static
  settings: Settings
  key: Fixed | None

  def __call__(self, arrays, images, **rectifier):
    """What each part returned, by path; the module itself is the empty one."""
    rest = jax.tree.unflatten(self.static.structure, self.static.leaves)
    module, state = eqx.combine(arrays, rest)
    more = dict(self.settings)
    if self.key is not None:
      more["key"] = self.key.tree

    def run(image):
      record, calls = {}, collections.Counter()
      outer = list(_traces(image))

      def keep(name, value):
        value = jax.tree.map(_channels_last, _without_state(value))
        value = jax.tree.map(lambda x: _outside(x, outer[0]), value)
        # A value of an inner scan or jit means nothing outside of it.
        if any(_is_inner(leaf, outer) for leaf in jax.tree.leaves(value)):
          return
        call, calls[name] = calls[name], calls[name] + 1
        record[f"{name}/call{call}" if call else name] = value

      recorded = _recorded(module, "", keep)
      states = () if state is None else (state,)
      keep("", recorded(image, *states, **more, **rectifier))
      return record

    return jax.vmap(run)(jnp.moveaxis(images, -1, 1))


class _Recorded(eqx.Module):
  """Wraps a part of a module and records what it returned."""

  module: Any
  name: str = eqx.field(static=True)
  keep: Callable[[str, Any], None] = eqx.field(static=True)

  @property
  def __class__(self):
    # A model may ask what its parts are, as equinox.nn.Sequential does.
    return type(self.module)

  def __call__(self, *args, **kwargs):
    result = self.module(*args, **kwargs)
    self.keep(self.name, result)
    return result

  def __getattr__(self, attribute):
    return getattr(self.module, attribute)


def _recorded(module: Any, path: str, keep: Callable[[str, Any], None]) -> Any:
  """The module with every callable part wrapped to record what it returns."""

  def wrap(where, value):
    if not _is_part(value, module):
      return value
    name = path + jax.tree_util.keystr(where, simple=True, separator="/")
    part = _recorded(value, f"{name}/", keep)
    return _Recorded(part, name, keep) if callable(value) else part

  return jax.tree_util.tree_map_with_path(
    wrap, module, is_leaf=lambda value: _is_part(value, module)
  )


def _parts(module: Any, path: str) -> Iterator[tuple[str, Any]]:
  for where, value in jax.tree_util.tree_leaves_with_path(
    module, is_leaf=lambda value: _is_part(value, module)
  ):
    if _is_part(value, module):
      name = path + jax.tree_util.keystr(where, simple=True, separator="/")
      if callable(value):
        yield name, value
      yield from _parts(value, f"{name}/")


def _is_part(value: Any, module: Any) -> bool:
  return isinstance(value, eqx.Module) and value is not module


def _is_array(value: Any) -> bool:
  return eqx.is_array(value) or isinstance(value, np.ndarray | np.generic)


def _without_state(value: Any) -> Any:
  """What a part returned beside the state that it hands on."""
  if not isinstance(value, tuple):
    return value
  kept = tuple(x for x in value if not isinstance(x, eqx.nn.State))
  return kept[0] if len(kept) == 1 < len(value) else kept


def _channels_last(value: Any) -> Any:
  return jnp.moveaxis(value, 0, -1) if jnp.ndim(value) == 3 else value


def _outside(value: Any, outer: Any) -> Any:
  """A value of inner `vmap`s as it is outside of them, their axes in front."""
  while hasattr(value, "batch_dim") and value._trace is not outer:
    value = jnp.moveaxis(value.val, value.batch_dim, 0)
  return value


def _is_inner(value: Any, outer: list[Any]) -> bool:
  return isinstance(value, jax.core.Tracer) and not any(
    value._trace is trace for trace in outer
  )


def _traces(value: Any) -> Iterator[Any]:
  """The transformations that a value is in, from within."""
  while isinstance(value, jax.core.Tracer):
    yield value._trace
    value = getattr(value, "val", getattr(value, "primal", None))
