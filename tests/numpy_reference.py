"""The original's loop in float64 NumPy and SciPy, line for line of its order.

Channels last; everything else as `gradient_optimizer.py` does it: clip, look,
step, decay, blur, then the four clips, all skipped on the last iteration.
"""

import numpy as np
from scipy.ndimage import gaussian_filter


def optimize(value_and_grad, image, lower, upper, *, iterations, **settings):
  """Returns the images looked at, their objectives, and the zero masks."""
  images, values, masks = [], [], []
  for i in range(iterations):
    image = np.clip(image, lower, upper)
    value, grad = value_and_grad(image)
    images.append(image)
    values.append(value)
    masks.append(image == 0)
    if i < iterations - 1:
      image = update(image, grad, i, **settings)
  return np.stack(images), np.array(values), np.stack(masks)


def update(
  image,
  grad,
  i,
  *,
  policy="constant",
  rate=1.0,
  max_rate=None,
  decay=0.0,
  blur=0.0,
  blur_every=0,
  small_value=0.0,
  small_norm=0.0,
  small_benefit=0.0,
  small_contribution=0.0,
):
  if policy == "progress":
    rate = min(max_rate, rate / np.sum(grad**2))
  image = image + rate * grad
  image = image * (1 - decay)
  if blur_every and blur > 0 and i % blur_every == 0:
    image = gaussian_filter(image, (blur, blur, 0), mode="reflect", truncate=4)
  if small_value > 0:
    size = np.abs(image)
    image = image * (size >= np.percentile(size, small_value))
  if small_norm > 0:
    norms = np.linalg.norm(image, axis=-1, keepdims=True)
    image = image * (norms >= np.percentile(norms, small_norm))
  if small_benefit > 0:
    benefit = np.sum(-grad * image, axis=-1, keepdims=True)
    image = image * (benefit >= np.percentile(benefit, small_benefit))
  if small_contribution > 0:
    size = np.abs(np.sum(grad * image, axis=-1, keepdims=True))
    image = image * (size >= np.percentile(size, small_contribution))
  return image
