"""Architectures by name, with random weights, against OpenCV, blob by blob."""

import caffe_oracle
import numpy as np
import pytest
from caffe_classifiers import CLASSIFIERS
from caffe_dense import DENSE

from jdeepvis.networks.caffe import arrays
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.caffe.reader import read_net

# OpenCV has these under the words that the left-hand net has not.
_CUT = {"SSD-300": "priorbox", "Faster R-CNN": "proposal"}
_UNPOOLED = {
  "SegNet": {(12, 15): (23, 30), (23, 30): (45, 60)},
  "ENet": {(12, 16): (24, 32)},
  "DeconvNet": {(16, 16): (32, 32)},
}


def _files(family, make, caffe_files):
  net, _ = make()
  path = caffe_files.net(str(net), "net")
  graph = build_graph(read_net(path))
  blobs = arrays.read_blobs(caffe_files.weights(path))
  if family == "PSPNet":
    blobs = _with_statistics(graph, blobs)
  kept = {layer.name.removesuffix("/mask") for layer in graph.layers}
  text = caffe_oracle.for_opencv(str(net), kept)
  # Of Interp OpenCV knows no shrink_factor.
  text = text.replace("shrink_factor: 2", "height: 33 width: 33")
  return path, caffe_files.blobs(blobs), text, graph


def _with_statistics(graph, blobs):
  """PSPNet's four arrays in place of a scale and a shift."""
  random = np.random.default_rng(3)
  for layer in graph.layers:
    if layer.kind == "bn":
      shape = (1, len(blobs[layer.name][0].ravel()), 1, 1)
      blobs[layer.name] = [
        random.uniform(0.5, 1.5, shape),
        random.normal(0, 0.1, shape),
        random.normal(0, 1, shape),
        random.uniform(0.5, 1.5, shape),
      ]
  return blobs


@pytest.mark.parametrize("family", [*CLASSIFIERS, *DENSE])
def test_a_published_family(family, caffe_files):
  make = (CLASSIFIERS | DENSE)[family]
  path, weights, text, graph = _files(family, make, caffe_files)
  caffe_oracle.Unpool.sizes = _UNPOOLED.get(family, {})
  compared, largest = caffe_oracle.compare(path, weights, text=text)
  # What the table in docs/caffe.md says: pytest -rP shows it.
  print(f"{family}: {compared} blobs, largest {largest:.1e} of scale")
  assert compared >= len({x.name for x in graph.layers}) // 2
  left_out = [note for note in graph.notes if "left out" in note]
  assert bool(left_out) == (family in _CUT)
  assert family not in _CUT or _CUT[family] in left_out[0]
