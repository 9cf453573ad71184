"""Names what the parts of an Equinox module return; needs `equinox`."""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state


def split(module: Any) -> tuple[Any, Any]:
  """The module's arrays, and all else of it, which is hashable."""
  return eqx.partition(module, eqx.is_array)


@dataclasses.dataclass(frozen=True)
class EquinoxFunction:
  """An Equinox module as a function of its arrays and a batch of images.

  Attributes:
    static: the module without its arrays.
    settings: further arguments of its call, by name.
  """

  static: Any
  settings: tuple[tuple[str, Any], ...]

  def __call__(self, arrays, images, **rectifier):
    """What each part returned, by path; the module itself is the empty one."""
    module = eqx.combine(arrays, self.static)

    def run(image):
      record, calls, trace = {}, collections.Counter(), _trace()

      def keep(name, value):
        # A value of an inner vmap or scan means nothing outside of it.
        if _trace() == trace:
          call, calls[name] = calls[name], calls[name] + 1
          name = f"{name}/call{call}" if call else name
          record[name] = jax.tree.map(_channels_last, value)

      recorded = _recorded(module, "", keep)
      keep("", recorded(image, **dict(self.settings), **rectifier))
      return record

    return jax.vmap(run)(jnp.moveaxis(images, -1, 1))


class _Recorded(eqx.Module):
  """Wraps a part of a module and records what it returned."""

  module: Any
  name: str = eqx.field(static=True)
  keep: Callable[[str, Any], None] = eqx.field(static=True)

  def __call__(self, *args, **kwargs):
    result = self.module(*args, **kwargs)
    self.keep(self.name, result)
    return result

  def __getattr__(self, attribute):
    return getattr(self.module, attribute)


def _recorded(module: Any, path: str, keep: Callable[[str, Any], None]) -> Any:
  """The module with every callable part wrapped to record what it returns."""

  def is_part(value):
    return isinstance(value, eqx.Module) and value is not module

  def wrap(where, value):
    if not is_part(value):
      return value
    name = path + jax.tree_util.keystr(where, simple=True, separator="/")
    part = _recorded(value, f"{name}/", keep)
    return _Recorded(part, name, keep) if callable(value) else part

  return jax.tree_util.tree_map_with_path(wrap, module, is_leaf=is_part)


def _channels_last(value: jax.Array) -> jax.Array:
  return jnp.moveaxis(value, 0, -1) if jnp.ndim(value) == 3 else value


def _trace():
  return get_opaque_trace_state(convention="flax")
