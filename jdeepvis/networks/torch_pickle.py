"""The pickle of a PyTorch weight file, interpreted rather than run.

A table of named tensors needs twenty opcodes and six names. Python's own
unpickler would call what a name stands for, let a state change it, and make
room for any memo entry that a file asks for; here a name is a key of a table.
"""

import dataclasses
import math
import pickletools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

_DTYPES = MappingProxyType(
  {
    "BFloat16": np.dtype(jnp.bfloat16),
    "Bool": np.dtype("?"),
    "Byte": np.dtype("u1"),
    "Char": np.dtype("i1"),
    "Double": np.dtype("f8"),
    "Float": np.dtype("f4"),
    "Half": np.dtype("f2"),
    "Int": np.dtype("i4"),
    "Long": np.dtype("i8"),
    "Short": np.dtype("i2"),
  }
)
_MAX_AXES = 64  # NumPy's own bound

_INTEGERS = ("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4")
_TEXTS = ("BINSTRING", "BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING")
_VALUES = frozenset(
  (*_INTEGERS, *_TEXTS, "SHORT_BINUNICODE", "STRING", "UNICODE", "BINFLOAT")
)
_CONSTANTS = MappingProxyType(
  {"NONE": None, "NEWFALSE": False, "NEWTRUE": True}
)
_EMPTY = MappingProxyType(
  {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
)
_TAKEN = MappingProxyType(
  {"APPEND": 1, "SETITEM": 2, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
)


ALONE = "save the weights alone: torch.save(model.state_dict(), 'weights.pth')"


class RefusedError(Exception):
  """What a file is that is not read, and what to do: a sentence's end."""


class Storage(NamedTuple):
  """The values that tensors are views of.

  Attributes:
    key: its name in the file.
    dtype: of its values, in the byte order of this machine.
    count: how many values there are.
  """

  key: str
  dtype: np.dtype
  count: int


@dataclasses.dataclass
class Tensor:
  """A view of a storage, within its bounds.

  Attributes:
    storage: where the values are; None before the pickle says so.
    offset: the first value's place.
    shape: extents.
    strides: distance of two neighbours along each axis, values.
  """

  storage: Storage | None = None
  offset: int = 0
  shape: tuple[int, ...] = ()
  strides: tuple[int, ...] = ()


class Unpickled(NamedTuple):
  """An object, and the storages of its tensors, by key."""

  value: Any
  storages: Mapping[str, Storage]


def unpickle(file) -> Unpickled:
  """Interprets the pickle where `file` stands, and stops behind it.

  Args:
    file: bytes to be read, in memory.

  Raises:
    RefusedError: the pickle holds more than tensors.
    ValueError: a tensor lies outside its storage, or the pickle is damaged,
      which can raise almost anything else too.
  """
  stack: list[Any] = []
  below: list[list[Any]] = []  # the stack under each mark
  memo: dict[int, Any] = {}
  storages: dict[str, Storage] = {}
  for opcode, argument, _ in pickletools.genops(file):
    name = opcode.name
    if name in _VALUES:
      stack.append(argument)
    elif name in _CONSTANTS:
      stack.append(_CONSTANTS[name])
    elif name in _EMPTY:
      stack.append(_EMPTY[name]())
    elif name == "MARK":
      below.append(stack)
      stack = []
    elif name in ("APPENDS", "SETITEMS", "TUPLE"):
      items, stack = stack, below.pop()
      _collect(name, items, stack)
    elif name in _TAKEN:
      items = [stack.pop() for _ in range(_TAKEN[name])]
      _collect(name, items[::-1], stack)
    elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
      memo[len(memo) if argument is None else argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
      stack.append(memo[argument])
    elif name == "GLOBAL":
      stack.append(_admit(*argument.split(" ", 1)))
    elif name == "STACK_GLOBAL":
      last, module = stack.pop(), stack.pop()
      stack.append(_admit(module, last))
    elif name in ("NEWOBJ", "REDUCE"):
      arguments, maker = stack.pop(), stack.pop()
      stack.append(_MAKERS[maker.name](*arguments))
    elif name == "BUILD":
      state = stack.pop()
      _fill(stack[-1], state)
    elif name == "BINPERSID":
      storage = _storage(*stack.pop())
      if storages.setdefault(storage.key, storage) != storage:
        raise ValueError(f"storage {storage.key!r} has two sizes or types")
      stack.append(storage)
    elif name == "STOP":
      return Unpickled(stack.pop(), storages)
    elif name not in ("PROTO", "FRAME"):
      raise ValueError(f"no table of tensors has the opcode {name}")
  raise AssertionError("genops ends with STOP or raises")


class _Global(NamedTuple):
  name: str


def _admit(module, name) -> _Global:
  full = f"{_text(module)}.{_text(name)}"
  if full not in _MAKERS and full not in _STORAGES:
    raise RefusedError(f"holds {full[:100]}, not tensors alone; {ALONE}")
  return _Global(full)


def _collect(name: str, items: list, stack: list) -> None:
  """Puts items onto the stack as a tuple, or into what lies on top of it."""
  if name.startswith("TUPLE"):
    stack.append(tuple(items))
  elif name.startswith("APPEND"):
    list.extend(stack[-1], items)
  else:
    keys = map(_text, items[::2])
    dict.update(stack[-1], zip(keys, items[1::2], strict=True))


def _text(key) -> str:
  """The key, if it is text: a nested tuple can take forever to be hashed."""
  if not isinstance(key, str):
    raise ValueError(f"a key is a {type(key).__name__}")
  return key


def _storage(what, kind, key, location, count, view=None) -> Storage:
  if what != "storage" or view is not None:
    raise ValueError("a tensor looks at something else than a storage")
  if type(count) is not int or count < 0:
    raise ValueError("a storage has no size")
  return Storage(_text(key), _STORAGES[kind.name], count)


def _fill(value, state) -> None:
  """Gives a tensor its values, which torch did before 0.2.

  What else is a state, an OrderedDict's metadata or whether a parameter wants
  gradients, is of no use here.
  """
  if isinstance(value, Tensor) and isinstance(state, tuple) and state:
    if isinstance(state[0], Storage):
      vars(value).update(vars(_tensor(*state)))
    elif isinstance(state[0], Tensor):
      vars(value).update(vars(state[0]))


def _dict(items=()) -> dict:
  return {_text(key): value for key, value in items}


def _parameter(tensor=None, *_) -> Tensor:
  if tensor is not None and not isinstance(tensor, Tensor):
    raise ValueError("a parameter is no tensor")
  return Tensor() if tensor is None else tensor


def _blank() -> Tensor:
  return Tensor()


def _tensor(storage, offset, shape, strides, *_) -> Tensor:
  shape, strides = tuple(shape), tuple(strides)
  numbers = (offset, *shape, *strides)
  whole = all(type(number) is int and number >= 0 for number in numbers)
  if not whole or len(shape) != len(strides) or len(shape) > _MAX_AXES:
    raise ValueError("a tensor has no shape")
  if not isinstance(storage, Storage):
    raise ValueError("a tensor has no storage")
  if 0 in shape:
    return Tensor(storage, 0, shape, (0,) * len(shape))
  # Numbers may be of any length; only then is it safe to multiply them.
  small = all(number <= storage.count for number in (offset, *shape))
  if not small or math.prod(shape) > storage.count:
    raise RefusedError(
      "holds a tensor with more values than its storage; make it contiguous "
      "before it is saved"
    )
  last = offset + sum(
    (extent - 1) * step for extent, step in zip(shape, strides, strict=True)
  )
  if last >= storage.count:
    raise ValueError("a tensor lies outside its storage")
  return Tensor(storage, offset, shape, strides)


def _by_type(ending: str) -> dict[str, np.dtype]:
  return {
    f"{module}.{name}{ending}": dtype
    for module in ("torch", "torch.cuda")
    for name, dtype in _DTYPES.items()
  }


_STORAGES = MappingProxyType(_by_type("Storage"))
_MAKERS: Mapping[str, Callable] = MappingProxyType(
  {
    "collections.OrderedDict": _dict,
    "torch.Size": tuple,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.nn.parameter.Parameter": _parameter,
    **dict.fromkeys(_by_type("Tensor"), _blank),
  }
)
"""What stands in for each function and class that makes a table of tensors."""
