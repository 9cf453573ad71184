"""The images that a network takes, and how its model wants them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.types import Images, JdeepvisError, Leaf

WARP, SHORTER = "warp", "shorter"
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
"""As Pillow has them."""

_OURS = (0.0, 255.0)


@dataclasses.dataclass(frozen=True, eq=False)
class InputSpec:
  """The images that a network takes; a pytree whose leaf is the mean.

  `(x / 255 - mean) / deviation` is the usual case, of pixels x of 0 to 255:

  >>> import jdeepvis
  >>> spec = jdeepvis.InputSpec(
  ...   (224, 224, 3),
  ...   mean=(0.485, 0.456, 0.406),
  ...   deviation=(0.229, 0.224, 0.225),
  ...   range=(0, 1),
  ... )

  That is ImageNet's, in short `InputSpec.imagenet(224)`. In general a model
  is given `(low + x (high - low) / 255 - mean) / deviation`, where `range` is
  `(low, high)`. Images within jdeepvis are pixels minus the mean, 0 to 255,
  red first, whatever a model wants; a `Network` turns them into that as its
  first step. So `mean` and `deviation` are kept in grey levels, 0 to 255:

  >>> spec.mean.round().tolist()
  [124.0, 116.0, 104.0]

  Attributes:
    shape: height and width in pixels, then channels.
    mean: of the pixels, RGB, in units of `range`: a number, `[c]` or
      `[h, w, c]`.
    resize: side that a photograph is resized to before the centre crop,
      pixels; None resizes it straight to `shape`.
    deviation: by which pixels less their mean are divided, RGB, in units of
      `range`: a number or `[c]`.
    bgr: whether the model wants blue first; mean and deviation are RGB.
    rule: how a photograph is resized. `warp` makes it a square of side
      `resize`, aspect ignored; `shorter` makes its shorter side as long and
      keeps the aspect.
    interpolation: one of Pillow's: nearest, box, bilinear, hamming, bicubic,
      lanczos.
    range: what the darkest and the brightest pixel are to the model before
      the mean is subtracted. Not kept: it is in `mean` and `deviation`.

  Raises:
    JdeepvisError: an attribute is none of those.
  """

  shape: tuple[int, int, int]
  mean: Leaf = 0.0
  resize: int | None = None
  _: dataclasses.KW_ONLY
  deviation: Any = 1.0
  bgr: bool = False
  rule: str = WARP
  interpolation: str = "bilinear"
  range: dataclasses.InitVar[Any] = _OURS

  def __post_init__(self, range):
    mean = self.mean if hasattr(self.mean, "ndim") else np.float32(self.mean)
    deviation = np.ravel(np.asarray(self.deviation, np.float64))
    _check(self, mean, deviation, range)
    low, high = map(float, range)
    if (low, high) != _OURS:
      level = _OURS[1] / (high - low)
      mean = (mean - np.float32(low)) * np.float32(level)
      deviation = deviation * level
    if not mean.ndim:
      mean = mean + np.zeros(self.shape[-1:], np.float32)
    if np.all(deviation == deviation[0]):
      deviation = deviation[:1]
    object.__setattr__(self, "mean", mean)
    object.__setattr__(self, "deviation", tuple(deviation.tolist()))

  @classmethod
  def imagenet(cls, size: int = 224) -> "InputSpec":
    """What torchvision, timm and most of Flax's models are trained on.

    The shorter side of a photograph becomes `size` / 0.875 pixels, 256 of 224,
    then the centre is cropped.

    >>> import jdeepvis
    >>> jdeepvis.InputSpec.imagenet(224).resize
    256

    Args:
      size: height and width of the images, pixels.
    """
    return cls(
      (size, size, 3),
      (0.485, 0.456, 0.406),
      round(size / 0.875),
      deviation=(0.229, 0.224, 0.225),
      rule=SHORTER,
      range=(0, 1),
    )

  def replace(self, **changes: Any) -> "InputSpec":
    """The same with some of its attributes changed."""
    return dataclasses.replace(self, **changes)

  @property
  def bounds(self) -> tuple[Leaf, Leaf]:
    """The darkest and the brightest centred image, `[h, w, c]`.

    Of a mean that is one colour both have a single pixel.
    """
    shape = (1,) * (3 - self.mean.ndim) + self.mean.shape
    mean = self.mean.reshape(shape).astype(np.float32)
    return -mean, np.float32(255) - mean

  def of_size(self, size: tuple[int, int]) -> "InputSpec":
    """The same for images of another height and width, not cropped.

    A mean that is an image is replaced by its mean colour.
    """
    colour = self.mean.mean(axis=tuple(range(self.mean.ndim - 1)))
    return self.replace(
      shape=(*size, self.shape[-1]),
      mean=colour.astype(np.float32),
      resize=None,
    )

  def for_model(self, images: Images) -> Images:
    """Centred images as the model wants them: divided, in its channel order.

    Args:
      images: centred, grey levels, `[n, h, w, c]`.
    """
    if self.deviation != (1.0,):
      images = jnp.asarray(images)
      if not jnp.issubdtype(images.dtype, jnp.floating):
        images = images.astype(np.float32)
      images = images / np.asarray(self.deviation, images.dtype).reshape(
        (1,) * (images.ndim - 1) + (-1,)
      )
    return images[..., ::-1] if self.bgr else images


def _flatten(spec: InputSpec):
  static = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
  mean = static.pop("mean")
  return [(jax.tree_util.GetAttrKey("mean"), mean)], tuple(static.items())


def _unflatten(static, leaves) -> InputSpec:
  # Past the checks: a tree's leaves may be anything.
  spec = object.__new__(InputSpec)
  vars(spec).update(static, mean=leaves[0])
  return spec


jax.tree_util.register_pytree_with_keys(InputSpec, _flatten, _unflatten)


def _check(spec: InputSpec, mean, deviation, bounds) -> None:
  if np.shape(spec.shape) != (3,) or not min(spec.shape) > 0:
    raise JdeepvisError(
      "The shape of an image is height, width and channels, such as "
      f"(224, 224, 3), not {spec.shape}."
    )
  channels = spec.shape[-1]
  if mean.shape[-1:] not in ((), (channels,)):
    raise JdeepvisError(
      f"An image of {channels} channels has a mean of as many numbers, one for "
      f"all, or an image; this one has shape {mean.shape}."
    )
  if deviation.size not in (1, channels) or not np.all(deviation > 0):
    raise JdeepvisError(
      f"The deviation is a positive number, or one for each of {channels} "
      f"channels, not {spec.deviation}."
    )
  if np.shape(bounds) != (2,) or not bounds[0] < bounds[1]:
    raise JdeepvisError(
      "The range is what black and white are to the model, such as (0, 1), "
      f"not {bounds}."
    )
  if tuple(bounds) == _OURS and np.all(deviation < 1):
    raise JdeepvisError(
      f"A deviation of {spec.deviation} is none of pixels from 0 to 255; say "
      "range=(0, 1), with the mean in the same units."
    )
  if spec.rule not in (WARP, SHORTER):
    raise JdeepvisError(
      f"There is no resize rule {spec.rule!r}; use {WARP} or {SHORTER}."
    )
  if spec.interpolation not in INTERPOLATIONS:
    raise JdeepvisError(
      f"There is no interpolation {spec.interpolation!r}; use one of "
      f"{', '.join(INTERPOLATIONS)}."
    )
