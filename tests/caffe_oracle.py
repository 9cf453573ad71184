"""OpenCV reads the same Caffe files on its own, blob for blob.

What OpenCV has no layer for is written here in NumPy, after the forks' own
sources, and registered with it.
"""

import re

import cv2
import jax
import numpy as np

from jdeepvis.networks import convert


class Bn:
  """bn_layer.cpp of SegNet (two arrays) and of PSPNet (four)."""

  def __init__(self, params, blobs):
    self.blobs = [np.float64(x).reshape(1, -1, 1, 1) for x in blobs]

  def getMemoryShapes(self, inputs):  # noqa: N802  (OpenCV's name)
    return [inputs[0]]

  def forward(self, inputs):
    (x,) = inputs
    if len(self.blobs) == 2:
      scale, shift = self.blobs
      return [np.float32(x * scale + shift)]
    slope, bias, mean, variance = self.blobs
    return [np.float32((x - mean) / np.sqrt(variance + 1e-5) * slope + bias)]


class Unpool:
  """upsample_layer.cpp: each value goes where its mask says."""

  sizes: dict[tuple[int, ...], tuple[int, int]]

  def __init__(self, params, blobs):
    pass

  def getMemoryShapes(self, inputs):  # noqa: N802
    self.shape = (*inputs[0][:2], *self.sizes[tuple(inputs[0][2:])])
    return [self.shape]

  def forward(self, inputs):
    x, mask = inputs
    out = np.zeros(self.shape, np.float32)
    planes = out.reshape(*self.shape[:2], -1)
    for n, c, i, j in np.ndindex(x.shape):
      planes[n, c, int(mask[n, c, i, j])] = x[n, c, i, j]
    return [out]


class LrnWithK:
  """lrn_layer.cpp with VGG_CNN_S's settings; OpenCV leaves out its k."""

  def __init__(self, params, blobs):
    pass

  def getMemoryShapes(self, inputs):  # noqa: N802
    return [inputs[0]]

  def forward(self, inputs):
    (x,) = np.float64(inputs)
    padded = np.pad(x * x, ((0, 0), (2, 2), (0, 0), (0, 0)))
    total = sum(padded[:, i : i + x.shape[1]] for i in range(5))
    return [np.float32(x / (2 + 0.0005 / 5 * total) ** 0.75)]


def compare(net, weights, *, amplitude=120, text=None) -> tuple[int, float]:
  """Compares every blob that both know.

  Args:
    net: the description's path.
    weights: that of its weights.
    amplitude: images are uniform within plus and minus this.
    text: another description of the same net, for OpenCV.

  Returns:
    How many blobs were compared, and the largest difference as a fraction of
    its blob's largest value.
  """
  network, _ = convert.read_caffe(net, weights)
  random = np.random.default_rng(1)
  images = amplitude * np.float32(
    random.uniform(-1, 1, (1, *network.input.shape))
  )
  # Not `network(images)`, which shows lists, as SSD's of boxes, as maps.
  ours = jax.jit(network.apply)(network.params, images)
  bgr = images[..., ::-1] if images.shape[-1] == 3 else images
  theirs = net
  if text is not None:
    theirs = net.with_name("opencv.prototxt")
    theirs.write_text(text)
  rival = cv2.dnn.readNetFromCaffe(str(theirs), str(weights))
  rival.enableFusion(False)
  rival.enableWinograd(False)
  rival.setInput(np.ascontiguousarray(np.moveaxis(bgr, -1, 1)))
  known = set(rival.getLayerNames())
  layers = [x for x in network.layers if x.name in known]
  outputs = rival.forward([layer.name for layer in layers])
  largest = 0.0
  for layer, expected in zip(layers, outputs, strict=True):
    found = np.asarray(ours[layer.outputs[0]])
    found = np.moveaxis(found, -1, 1) if found.ndim > 2 else found
    assert found.size == expected.size, layer
    scale = np.abs(expected).max()
    difference = np.abs(found.reshape(expected.shape) - expected).max()
    assert difference <= 1e-4 * scale, (layer, difference, scale)
    largest = max(largest, float(difference / scale))
  return len(layers), largest


def for_opencv(text: str, kept: set[str]) -> str:
  """A description as OpenCV reads it: those layers alone, in its words."""
  head, *layers = re.split(r"(?=^layer \{)", text, flags=re.MULTILINE)
  words = [head.split('input: "im_info"')[0]]
  for layer in layers:
    name, kind = re.search(r'name: "(.*?)"\s+type: "(.*?)"', layer).groups()
    if name not in kept:
      continue
    if kind in _IN_NUMPY:
      layer = re.sub(r"(?s)  \w+_param.*", "}\n", layer)
    if kind == "LRN" and "k: 2" in layer:
      kind = "LrnWithK"
    if kind == "Axpy":
      # OpenCV 4.14 scales the third of its bottoms, axpy_layer.cpp the second.
      _, x, y = re.findall(r"  bottom.*\n", layer)
      layer = layer.replace(x + y, y + x)
    kind = _IN_NUMPY.get(kind, kind)
    words.append(re.sub(r'type: ".*?"', f'type: "{kind}"', layer))
  return re.sub(r"\bhole:", "dilation:", "".join(words))


_IN_NUMPY = {"BN": "BN", "Upsample": "Upsample", "Unpooling": "Upsample"}
cv2.dnn_registerLayer("LrnWithK", LrnWithK)
cv2.dnn_registerLayer("BN", Bn)
cv2.dnn_registerLayer("Upsample", Unpool)
