"""Every shared alias, with the dimension letters defined once.

Dimension letters, as used in all annotations:
  n  images in a batch
  h, w  height and width: pixels of an image, positions of a map
  c  channels (3, RGB, for images of the networks bundled here)
  k  classes
  t  steps
  f  features of a layer
  kh, kw, i, o  a kernel's height and width, its inputs and outputs

Images are float32 `[h, w, c]`, RGB, *centred*: pixel value minus the network's
mean, on the 0..255 scale. `uint8` images are plain pixels, as in a file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, UInt8

AnyArray = Array | np.ndarray | np.generic
Image = Float[AnyArray, "h w c"]
Images = Float[AnyArray, "n h w c"]
ImageParams = Float[AnyArray, "..."]
"""What gradient ascent moves: an image, or parameters that decode to one."""
Pixels = UInt8[np.ndarray, "_ _ _"]
"""A picture as in a file: RGB, 0..255."""
Pictures = Sequence[Pixels] | UInt8[np.ndarray, "n _ _ _"]
Classes = Sequence[int] | Int[AnyArray, " n"]
"""The class of each of n pictures."""

Scalar = Float[AnyArray, ""] | float | int
Index = Int[AnyArray, ""] | int
Flag = Bool[Array, ""]
PRNGKey = Key[Array, ""]

Leaf = Any
"""A traced field of a pytree dataclass: a number, or what JAX puts there."""

Activations = dict[str, AnyArray]
"""Blob name to values: `[n, h, w, c]` for maps, `[n, c]` for vectors."""

Params = Mapping[str, Mapping[str, Any]]
"""Layer name to its weights by leaf name (`kernel`, `bias`, ...)."""


class JdeepvisError(ValueError):
  """Bad input from outside: a file, a flag, a layer or unit name.

  The message is one sentence that names the culprit and says what would be
  right. Scripts print it and exit with status 1, as they do when the system
  refuses a file; nothing else is caught.

  >>> import jdeepvis
  >>> jdeepvis.recipe("defualt")
  Traceback (most recent call last):
  jdeepvis.types.JdeepvisError: There is no recipe 'defualt'; ...
  """
