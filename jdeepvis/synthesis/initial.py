"""Initial images: what gradient ascent starts from."""

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.networks.network import InputSpec
from jdeepvis.synthesis import priors
from jdeepvis.types import Image, JdeepvisError, PRNGKey

INITIALS = ("noise", "uniform", "mean")


def initial_image(key: PRNGKey, spec: InputSpec, kind: str = "noise") -> Image:
  """The image that ascent starts from, within the box.

  >>> import jax, numpy as np, jdeepvis
  >>> spec = jdeepvis.InputSpec((8, 8, 3), np.full(3, 128, np.float32))
  >>> jdeepvis.initial_image(jax.random.key(0), spec, "mean").max().item()
  0.0

  Args:
    key: of the noise.
    spec: the network's input.
    kind: `noise`, the mean plus Gaussian noise of 10 grey levels (the
      original's default); `uniform`, each pixel uniform over 0..255; `mean`.

  Returns:
    Centred, `[h, w, c]`, grey levels.

  Raises:
    JdeepvisError: there is no such kind.
  """
  lower, upper = spec.bounds
  match kind:
    case "noise":
      image = 10 * jax.random.normal(key, spec.shape, np.float32)
    case "uniform":
      grey = jax.random.uniform(key, spec.shape, np.float32, maxval=255.0)
      image = grey + lower
    case "mean":
      image = jnp.zeros(spec.shape, np.float32)
    case _:
      raise JdeepvisError(
        f"There is no initial image {kind!r}; use {', '.join(INITIALS)}."
      )
  return priors.box(image, lower, upper)


def original_noise(seed: int, spec: InputSpec) -> np.ndarray:
  """The original program's own initial image for a seed.

  Drawn from NumPy's legacy generator, channels first and BGR; seed 0 at 227x227
  has norm 3921.52.

  Args:
    seed: `rand_seed` of `optimize_image.py`.
    spec: a network's input with three channels.

  Returns:
    float32 `[h, w, 3]`, centred, RGB, within the box.
  """
  height, width, channels = spec.shape
  noise = np.random.RandomState(seed).normal(0, 10, (channels, height, width))
  image = noise.transpose(1, 2, 0)[:, :, ::-1]
  return np.clip(image, *spec.bounds).astype(np.float32)
