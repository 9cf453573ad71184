"""Real nets and outputs that real Caffe computed."""

import csv

import jax
import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import convert
from jdeepvis.networks.caffe import arrays
from jdeepvis.networks.classify import activations
from jdeepvis.networks.pictures import preprocess, read_picture

_LAYERS = [
  "concat_shared_input",
  "convolution",
  "inner_product",
  "lrn_channels",
  "pooling_ave",
  "pooling_max",
  "prelu",
  "relu",
  "softmax",
]

# The first hundred labels of MNIST's test set. The file's own labels are
# those of its training set and do not belong to its images.
_DIGITS = (
  "72104149590690159734966540740131347271211742351244"
  "63556041957893746430702917329776278473613693141769"
)


@pytest.mark.parametrize("name", _LAYERS)
def test_single_layer(name, shared_data):
  folder = shared_data / "caffe" / "layers"
  base = folder / f"layer_{name}"
  weights = base.with_suffix(".caffemodel")
  network, _ = convert.read_caffe(
    base.with_suffix(".prototxt"), weights if weights.exists() else "random"
  )
  own = folder / f"layer_{name}.input.npy"
  x = np.load(own if own.exists() else folder / "blob.npy")
  blobs = network(np.moveaxis(x, 1, -1))
  found = np.moveaxis(np.asarray(blobs["output"]), -1, 1)
  np.testing.assert_allclose(
    found, np.load(base.with_suffix(".npy")), rtol=1e-5, atol=1e-5
  )


def test_lenet_reads_digits(shared_data):
  network = jdeepvis.load_network(
    shared_data / "caffe/nets/lenet.prototxt",
    shared_data / "caffe/models/lenet_v2.caffemodel",
    scale=1 / 256,
  )
  assert network.output == "ip2"
  assert network.input.shape == (28, 28, 1)
  images = np.load(shared_data / "mnist200.npz")["images"][:100]
  scores = _scores(network, np.float32(images)[..., None])
  right = scores.argmax(-1) == np.array([int(digit) for digit in _DIGITS])
  assert right.mean() >= 0.98


def test_cifar10_quick_names_pictures(shared_data):
  network = jdeepvis.load_network(
    shared_data / "caffe/nets/cifar10_quick.prototxt",
    shared_data / "caffe/models/cifar10_quick_v1.caffemodel",
    mean=shared_data / "caffe/means/cifar10_mean.binaryproto",
    bgr=False,
  )
  assert network.input.mean.shape == (32, 32, 3)
  folders = sorted((shared_data / "cifar10").iterdir())
  files = [(file, i) for i, f in enumerate(folders) for file in f.iterdir()]
  images = [preprocess(read_picture(f), network.input) for f, _ in files]
  classes = np.array([i for _, i in files])
  right = _scores(network, np.stack(images)).argmax(-1) == classes
  assert right.mean() >= 0.65


@pytest.mark.slow
@pytest.mark.optimised
def test_googlenet_names_photos(shared_data):
  network, old = (
    jdeepvis.load_network(
      shared_data / "caffe/nets/bvlc_googlenet.prototxt",
      shared_data / f"caffe/models/bvlc_googlenet{form}.caffemodel",
      mean=(104, 117, 123),
      labels=shared_data / "synset_words.txt",
    )
    for form in ("", "_v1layers")
  )
  # The old form holds the same network, which names the same photographs.
  assert jax.tree.structure(network) == jax.tree.structure(old)
  jax.tree.map(np.testing.assert_array_equal, network, old)
  assert network.output == "loss3/classifier"
  assert network.input.resize == 256
  with open(shared_data / "photos/index.csv") as file:
    rows = list(csv.DictReader(file))
  photos = [shared_data / "photos" / row["filename"] for row in rows]
  images = [preprocess(read_picture(p), network.input) for p in photos]
  classes = np.array([[int(row["class_index"])] for row in rows])
  ranked = np.argsort(-_scores(network, np.stack(images)), axis=-1)
  assert (ranked[:, :1] == classes).sum() >= 70
  assert (ranked[:, :5] == classes).sum() >= 90


def test_mean_files_agree_and_are_rgb(shared_data):
  folder = shared_data / "caffe/means"
  mean = arrays.read_mean(folder / "imagenet_mean.binaryproto")
  again = arrays.read_mean(folder / "ilsvrc_2012_mean.npy")
  np.testing.assert_allclose(mean, again, rtol=1e-6)
  red, green, blue = mean.mean((0, 1))
  assert red > green > blue
  spec = convert.input_spec((227, 227, 3), folder / "ilsvrc_2012_mean.npy")
  np.testing.assert_array_equal(spec.mean, again[14:241, 14:241])


def _scores(network, images):
  batches = [images[i : i + 20] for i in range(0, len(images), 20)]
  return np.concatenate(
    [activations(network, network.output, batch) for batch in batches]
  )
