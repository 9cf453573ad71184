"""The networks in the box: their files, and their word on photographs."""

import csv
import hashlib

import jax
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import jdeepvis
from jdeepvis.networks import zoo
from jdeepvis.networks.classify import probabilities
from jdeepvis.networks.convert import read_architecture


@pytest.mark.parametrize(
  "folder, file",
  [
    ("imagenet_labels", "synset_words.txt"),
    ("squeezenet_v1.1", "squeezenet_v1.1.safetensors"),
    ("bvlc_googlenet", "bvlc_googlenet.safetensors"),
    ("alexnet_conv", "alexnet_conv.safetensors"),
  ],
)
def test_files_are_the_ones_described(folder, file):
  """Each file's digest stands in the note beside it."""
  folder = zoo.third_party() / folder
  digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
  assert digest in (folder / "README.md").read_text()


@pytest.mark.optimised
@pytest.mark.parametrize(
  "name, first, among_five", [("squeezenet1.1", 69, 88), ("googlenet", 79, 92)]
)
def test_photographs_are_named(name, first, among_five, shared_data):
  """GoogLeNet's figures are those of its 32-bit weights, within one."""
  network = jdeepvis.load_network(name)
  with open(shared_data / "photos" / "index.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  images = np.stack(
    [
      jdeepvis.preprocess(
        jdeepvis.read_picture(shared_data / "photos" / row["filename"]),
        network.input,
      )
      for row in rows
    ]
  )
  classes = np.array([int(row["class_index"]) for row in rows])
  found = [
    np.asarray(probabilities(network, images[i : i + 20]))
    for i in range(0, len(images), 20)
  ]
  ranks = np.argsort(-np.concatenate(found), axis=1)
  assert abs(np.sum(ranks[:, 0] == classes) - first) <= 1
  assert abs(np.sum(ranks[:, :5] == classes[:, None]) - among_five) <= 1


def test_googlenet_in_16_bits_is_googlenet(shared_data):
  """Weights within a float16's rounding, blobs within what that adds up to."""
  network = jdeepvis.load_network("googlenet")
  file = shared_data / "caffe/models/bvlc_googlenet.caffemodel"
  whole = read_architecture("googlenet", file)

  def same(half, full):
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, rtol=2**-11, atol=2**-25)

  jax.tree.map(same, network.params, whole.params)
  pixels = jdeepvis.read_picture(zoo.third_party() / "photos" / "chelsea.jpg")
  image = jdeepvis.preprocess(pixels, network.input)[None]
  blobs = network(image)
  for name, expected in whole(image).items():
    scale = np.abs(expected).max()
    np.testing.assert_allclose(blobs[name], expected, atol=4e-3 * scale)


def test_googlenet_has_the_published_size():
  network = jdeepvis.load_network("googlenet")
  leaves = jax.tree.leaves(network.params)
  assert sum(leaf.size for leaf in leaves) == 6_998_552
  shapes = network.shapes
  expected = {
    "inception_3a": (28, 28, 256),
    "inception_3b": (28, 28, 480),
    "inception_4a": (14, 14, 512),
    "inception_4e": (14, 14, 832),
    "inception_5b": (7, 7, 1024),
  }  # table 1 of the paper
  for name, shape in expected.items():
    assert shapes[f"{name}/output"] == shape
  assert network.labels[130] == "flamingo"


def test_a_concat_of_rectified_maps_knows_both_sides():
  network = jdeepvis.load_network("googlenet")
  image = jax.random.normal(jax.random.key(0), (1, 224, 224, 3)) * 40
  blobs = network(image, until="inception_3a/output")
  before = np.asarray(blobs["inception_3a/output/pre"])
  assert (before < 0).any()
  np.testing.assert_array_equal(
    blobs["inception_3a/output"], np.maximum(before, 0)
  )
  parts = ("1x1", "3x3", "5x5", "pool_proj")
  np.testing.assert_array_equal(
    before,
    np.concatenate([blobs[f"inception_3a/{x}/pre"] for x in parts], axis=-1),
  )


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_alexnet_is_torchvisions_convolution_by_convolution():
  """In NumPy, from pixels as torchvision takes them."""
  network = jdeepvis.load_network("alexnet-conv")
  assert network.output is None and network.labels == ()
  kernel = network.params["conv1"]["kernel"] * 255 * np.c_[list(DEVIATION)]
  # What `print(alexnet(pretrained=True).features[0].weight)` begins with.
  np.testing.assert_allclose(
    kernel[0, :3, 0, 0], [1.1864e-01, 9.4069e-02, 9.5435e-02], rtol=1e-3
  )
  pixels = jdeepvis.read_picture(zoo.third_party() / "photos" / "chelsea.jpg")
  image = jdeepvis.preprocess(pixels, network.input)
  blobs = network(image[None])
  x = ((image + network.input.mean) / 255 - MEAN) / DEVIATION
  kernels = {name: leaf["kernel"] for name, leaf in network.params.items()}
  kernels["conv1"] = kernel
  for number, (stride, pad) in enumerate([(4, 2), *[(1, 2)], *[(1, 1)] * 3], 1):
    name = f"conv{number}"
    if number in (2, 3):
      x = sliding_window_view(x, (3, 3), (0, 1))[::2, ::2].max((-2, -1))
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    side = kernels[name].shape[0]
    windows = sliding_window_view(x, (side, side), (0, 1))[::stride, ::stride]
    x = np.einsum(
      "ijchw,hwcf->ijf", windows, np.float64(kernels[name]), optimize=True
    )
    x = np.maximum(x + network.params[name]["bias"], 0)
    scale = x.max()
    np.testing.assert_allclose(blobs[name][0], x, atol=1e-5 * scale)
