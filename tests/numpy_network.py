"""A small network forward and back by hand, in NumPy, for one image.

conv 3x3 -> ReLU -> max pool 3x3, stride 2, ceil -> LRN -> conv 3x3 -> ReLU ->
inner product: `conv1`, `pool1`, `norm1`, `conv2`, `fc3`. In float64, by loops
over cells, after Caffe's own sources rather than after ours.
"""

import numpy as np

from jdeepvis.networks.tables import conv, layer, max_pool

SHAPE = (11, 10, 3)
ALPHA, BETA, SIZE = 0.5, 0.75, 3
LAYERS = (
  *conv("conv1", "data", 6, 3, pad=1),
  *max_pool("pool1", "conv1"),
  *layer("norm1", "lrn", "pool1", size=SIZE, alpha=ALPHA, beta=BETA),
  *conv("conv2", "norm1", 4, 3),
  *layer("fc3", "inner_product", "conv2", features=5),
)


def forward(params, image):
  """All blobs of one image, `[h, w, c]`."""
  x = {"data": np.float64(image)}
  x["conv1/pre"] = _conv(x["data"], params["conv1"], 1)
  x["conv1"] = np.maximum(x["conv1/pre"], 0)
  x["pool1"], x["switches"] = _pool(x["conv1"])
  x["norm1"] = x["pool1"] * _lrn_scale(x["pool1"]) ** -BETA
  x["conv2/pre"] = _conv(x["norm1"], params["conv2"], 0)
  x["conv2"] = np.maximum(x["conv2/pre"], 0)
  fc = params["fc3"]
  x["fc3"] = x["conv2"].ravel() @ np.float64(fc["kernel"]) + fc["bias"]
  return x


def backward(params, image, start, signal, rule, *, pass_lrn=False):
  """The signal at blob `start` carried to the image, layer by layer."""
  x = forward(params, image)
  order = ["fc3", "conv2", "conv2/pre", "norm1", "pool1", "conv1", "conv1/pre"]
  d = np.float64(signal)
  for blob in order[order.index(start) :]:
    match blob:
      case "fc3":
        kernel = np.float64(params["fc3"]["kernel"])
        d = (kernel @ d).reshape(x["conv2"].shape)
      case "conv2" | "conv1":
        d = _relu_back(x[f"{blob}/pre"], d, rule)
      case "conv2/pre":
        d = _conv_back(x["norm1"].shape, params["conv2"], d, 0)
      case "norm1":
        d = d if pass_lrn else _lrn_back(x["pool1"], d)
      case "pool1":
        d = _pool_back(x["conv1"].shape, x["switches"], d)
      case "conv1/pre":
        d = _conv_back(x["data"].shape, params["conv1"], d, 1)
  return d


def _relu_back(x, d, rule):
  if rule == "deconv":
    return np.maximum(d, 0)
  on = (x > 0) & (d > 0) if rule == "guided" else x > 0
  return d * on


def _conv(x, weights, pad):
  kernel = np.float64(weights["kernel"])
  x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
  height, width = x.shape[0] - 2, x.shape[1] - 2
  out = np.zeros((height, width, kernel.shape[-1]))
  for i in range(height):
    for j in range(width):
      window = x[i : i + 3, j : j + 3]
      out[i, j] = np.tensordot(window, kernel, 3) + weights["bias"]
  return out


def _conv_back(shape, weights, d, pad):
  kernel = np.float64(weights["kernel"])
  out = np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad, shape[2]))
  for i in range(d.shape[0]):
    for j in range(d.shape[1]):
      out[i : i + 3, j : j + 3] += kernel @ d[i, j]
  return out[pad : pad + shape[0], pad : pad + shape[1]]


def _pool(x):
  height, width = (-(-(size - 3) // 2) + 1 for size in x.shape[:2])
  out = np.zeros((height, width, x.shape[2]))
  switches = np.zeros((*out.shape, 2), int)
  for i, j, c in np.ndindex(out.shape):
    window = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3, c]
    # argmax is the first in row-major order, as Caffe's strict comparison.
    row, column = np.unravel_index(window.argmax(), window.shape)
    out[i, j, c] = window[row, column]
    switches[i, j, c] = 2 * i + row, 2 * j + column
  return out, switches


def _pool_back(shape, switches, d):
  out = np.zeros(shape)
  for i, j, c in np.ndindex(d.shape):
    row, column = switches[i, j, c]
    out[row, column, c] += d[i, j, c]
  return out


def _lrn_scale(x):
  padded = np.pad(x * x, ((0, 0), (0, 0), (SIZE // 2, SIZE // 2)))
  total = sum(padded[..., k : k + x.shape[2]] for k in range(SIZE))
  return 1 + ALPHA / SIZE * total


def _lrn_back(x, d):
  """Caffe's LRN layer, CrossChannelBackward, channel by channel."""
  scale = _lrn_scale(x)
  y = x * scale**-BETA
  out = d * scale**-BETA
  channels = x.shape[2]
  for i in range(channels):
    for j in range(max(0, i - SIZE // 2), min(channels, i + SIZE // 2 + 1)):
      ratio = d[..., j] * y[..., j] / scale[..., j]
      out[..., i] -= 2 * ALPHA * BETA / SIZE * x[..., i] * ratio
  return out
