"""The natural-image priors: pure functions from one image to one image.

Each is the operator r of x <- r(x + step) in Yosinski et al. 2015, §3, on one
centred image `[h, w, c]`, where zero is the mean colour. Strengths may be
traced and a strength of 0 is the identity, so that one compiled program serves
every ablation. `project` in `transforms` makes any of them a link of an
`optax.chain`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jdeepvis.synthesis.percentile import percentile as percentile_of
from jdeepvis.types import AnyArray, Image, ImageParams, Scalar


def decay(image: ImageParams, rate: Scalar) -> ImageParams:
  """Shrinks towards the mean colour: `(1 - rate) x` (L2 decay, θ_decay).

  Args:
    image: centred, grey levels.
    rate: share of every value that is removed, 0..1.
  """
  return image * (1 - rate)


def blur(image: Image, sigma: Scalar) -> Image:
  """Gaussian blur of each channel, mirrored at the edges (θ_b_width).

  Equals `scipy.ndimage.gaussian_filter(mode="reflect", truncate=4)`, whose tap
  radius is `int(4 sigma + .5)`; that radius may not pass the image's side.

  Args:
    image: centred, grey levels.
    sigma: the Gaussian's standard deviation, pixels.
  """
  height, width, _ = image.shape
  image = jnp.einsum(
    "vh,hwc->vwc", _blur_matrix(height, sigma), image, precision="highest"
  )
  return jnp.einsum(
    "uw,vwc->vuc", _blur_matrix(width, sigma), image, precision="highest"
  )


def clip_small_values(image: Image, percentile: Scalar) -> Image:
  """Zeroes the entries that are small: |x| below its percentile.

  In the original's code, not in the paper.

  Args:
    image: centred, grey levels.
    percentile: of |x| over all entries, 0..100.
  """
  size = jnp.abs(image)
  return jnp.where(_below(size, percentile), 0, image)


def clip_small_norm(image: Image, percentile: Scalar) -> Image:
  """Zeroes the pixels of small norm (θ_n_pct).

  Args:
    image: centred, grey levels.
    percentile: of the pixels' L2 norms over channels, 0..100.
  """
  norms = jnp.sqrt(_sum_channels(image**2))
  return jnp.where(_below(norms, percentile), 0, image)


def clip_small_benefit(
  image: Image, percentile: Scalar, *, grad: Image
) -> Image:
  """Zeroes the pixels that help least, those that harm first.

  The *signed* benefit, `sum_c(-g x)` with g the score's gradient; in the
  original's code, unused in the paper.

  Args:
    image: centred, grey levels.
    percentile: of the pixels' benefits, 0..100.
    grad: gradient of the *minimised* loss, -score, at the step's beginning.
  """
  benefit = _sum_channels(grad * image)
  return jnp.where(_below(benefit, percentile), 0, image)


def clip_small_contribution(
  image: Image, percentile: Scalar, *, grad: Image
) -> Image:
  """Zeroes the pixels that contribute least, for or against (θ_c_pct).

  `|sum_c(g x)|` linearises `|a(x) - a(x without the pixel)|`. As in the
  original, g is the step's gradient and x the image after the step and the
  earlier priors.

  Args:
    image: centred, grey levels.
    percentile: of the pixels' contributions, 0..100.
    grad: gradient of the minimised loss, -score; its sign does not matter.
  """
  contribution = jnp.abs(_sum_channels(grad * image))
  return jnp.where(_below(contribution, percentile), 0, image)


def total_variation(image: Image, rate: Scalar) -> Image:
  """One step down the total variation's gradient, which keeps edges.

  The variation is isotropic, the sum over pixels and channels of
  `sqrt(dx**2 + dy**2 + 1)`, rounded off at one grey level (Rudin, Osher and
  Fatemi 1992; as a prior Mahendran and Vedaldi 2014, §3).

  Args:
    image: centred, grey levels.
    rate: step size, grey levels; above about 0.25 times the step between
      neighbours that matter it oscillates.
  """
  down = jnp.diff(image, axis=0, append=image[-1:])
  right = jnp.diff(image, axis=1, append=image[:, -1:])
  slope = jnp.sqrt(down**2 + right**2 + 1)
  down, right = down / slope, right / slope
  divergence = jnp.diff(down, axis=0, prepend=0) + jnp.diff(
    right, axis=1, prepend=0
  )
  return image + rate * divergence


def box(
  image: Image, lower: Float[AnyArray, "..."], upper: Float[AnyArray, "..."]
) -> Image:
  """Clips to what a file can hold: pixels between 0 and 255.

  Args:
    image: centred, grey levels.
    lower: the darkest centred image, `-mean`.
    upper: the brightest, `255 - mean`.
  """
  return jnp.clip(image, lower, upper)


PRIORS: Mapping[str, Callable[..., Image]] = MappingProxyType(
  {
    "decay": decay,
    "blur": blur,
    "total_variation": total_variation,
    "value_percentile": clip_small_values,
    "norm_percentile": clip_small_norm,
    "benefit_percentile": clip_small_benefit,
    "contribution_percentile": clip_small_contribution,
  }
)
"""Each by what recipes call its strength, in the order of their use.

That is the original's, which matters; total variation is ours.
"""


def _sum_channels(values: Image) -> Array:
  # As additions: XLA's sum over three numbers took 2 ms an image on a CPU.
  return sum(jnp.split(values, values.shape[-1], axis=-1))


def _below(values: Array, percentile: Scalar) -> Bool[Array, "..."]:
  # Strictly below: at percentile 0 nothing is, and ties with it are kept.
  return values < percentile_of(values, percentile)


def _blur_matrix(size: int, sigma: Scalar) -> Float[Array, "size size"]:
  """The whole blur of one axis as a matrix, mirrored ends folded in.

  A matrix rather than taps, since the number of taps would depend on sigma,
  which is traced.
  """
  sigma = jnp.asarray(sigma, jnp.float32)
  radius = jnp.floor(4 * sigma + 0.5)
  variance = jnp.maximum(sigma, 1e-6) ** 2

  def tap(distance):
    weight = jnp.exp(-0.5 * distance**2 / variance)
    return jnp.where(jnp.abs(distance) <= radius, weight, 0)

  to = jnp.arange(size, dtype=jnp.float32)[:, None]
  of = jnp.arange(size, dtype=jnp.float32)[None, :]
  mirrored = tap(of + to + 1) + tap(2 * size - 1 - of - to)
  matrix = tap(of - to) + mirrored
  return matrix / jnp.sum(matrix, axis=1, keepdims=True)
