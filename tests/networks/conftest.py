"""Caffe files made up for a test."""

import re
from pathlib import Path

import numpy as np
import pytest

from jdeepvis.networks.caffe import reader, schema
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.graph import infer_shapes

_FIELDS = ("kernel", "slope", "scale", "bias", "mean", "variance")


class CaffeFiles:
  """Writes nets and random weights for them, the way Caffe does."""

  def __init__(self, folder: Path):
    self._folder = folder

  def net(self, text: str, name: str = "net") -> Path:
    path = self._folder / f"{name}.prototxt"
    path.write_text(text)
    return path

  def narrow(self, path: Path, factor: int) -> Path:
    """The same net with fewer features in every layer."""
    return self.net(
      re.sub(
        r"num_output: (\d+)",
        lambda m: f"num_output: {max(4, int(m[1]) // factor // 4 * 4)}",
        path.read_text(),
      ),
      path.stem,
    )

  def weights(
    self, prototxt: Path, seed: int = 0, *, old: bool = False, skip=()
  ) -> Path:
    """A .caffemodel of random weights, in the new or the old wire form."""
    random = np.random.default_rng(seed)
    graph = build_graph(reader.read_net(prototxt))
    blobs = {}
    for layer, leaves in infer_shapes(
      graph.layers, graph.shape
    ).weights.items():
      if layer in skip:
        continue
      blobs[layer] = []
      for leaf in sorted(leaves, key=_FIELDS.index):
        blobs[layer].append(_values(random, leaf, leaves[leaf]))
      if "variance" in leaves:
        blobs[layer].append(np.full(1, 2, np.float32))
    return self.blobs(blobs, prototxt.stem, old=old)

  def blobs(self, blobs, name: str = "net", *, old: bool = False) -> Path:
    net = schema.weights_class("NetParameter")()
    for layer, arrays in blobs.items():
      message = (net.layers if old else net.layer).add(name=layer)
      for array in arrays:
        blob = message.blobs.add(data=[np.float32(array).tobytes()])
        if old:
          four = (1,) * (4 - array.ndim) + array.shape
          blob.num, blob.channels, blob.height, blob.width = four
        else:
          blob.shape.dim.extend(array.shape)
    path = self._folder / f"{name}.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


def _values(random, leaf, shape):
  if leaf == "kernel":
    # Caffe's own order of axes: outputs, inputs, height, width.
    shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
    fan_in = np.prod(shape[1:])
    return random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
  if leaf in ("variance", "scale"):
    return random.uniform(0.5, 1.5, shape).astype(np.float32)
  return random.normal(0, 0.1, shape).astype(np.float32)


@pytest.fixture
def caffe_files(tmp_path) -> CaffeFiles:
  return CaffeFiles(tmp_path)
