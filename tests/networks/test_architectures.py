"""The hand-written tables, against published numbers and their prototxts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdeepvis.networks.alexnet import AlexNet, CaffeNet, TorchvisionAlexNet
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.caffe import arrays, reader
from jdeepvis.networks.caffe.blobs import params_from_blobs
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.convert import fold_pixels, read_architecture
from jdeepvis.networks.googlenet import GoogLeNet
from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.networks.vgg import VGG16Convolutions
from jdeepvis.types import JdeepvisError


@pytest.mark.parametrize(
  "name, count",
  [
    ("caffenet", 60_965_224),
    ("alexnet", 60_965_224),
    ("alexnet-torchvision", 61_100_840),
    ("alexnet-conv", 2_469_696),
    ("vgg16-conv", 14_714_688),
    ("googlenet", 6_998_552),
    ("squeezenet1.0", 1_248_424),
    ("squeezenet1.1", 1_235_496),
  ],
)
def test_parameter_count(name, count):
  known = ARCHITECTURES[name]
  weights = infer_shapes(known.module().layers(), known.input.shape).weights
  leaves = [s for leaves in weights.values() for s in leaves.values()]
  assert sum(int(np.prod(shape)) for shape in leaves) == count


@pytest.mark.parametrize(
  "module, size, expected",
  [
    (
      CaffeNet(),
      227,
      "conv1 55 96, pool1 27 96, norm1 27 96, conv2 27 256, pool2 13 256, "
      "norm2 13 256, conv3 13 384, conv4 13 384, conv5 13 256, pool5 6 256",
    ),
    (
      AlexNet(),
      227,
      "conv1 55 96, norm1 55 96, pool1 27 96, conv2 27 256, norm2 27 256, "
      "pool2 13 256, conv3 13 384, conv4 13 384, conv5 13 256, pool5 6 256",
    ),
    (
      TorchvisionAlexNet(),
      224,
      "conv1 55 64, pool1 27 64, conv2 27 192, pool2 13 192, conv3 13 384, "
      "conv4 13 256, conv5 13 256, pool5 6 256",
    ),
    (
      VGG16Convolutions(),
      224,
      "conv1_2 224 64, pool1 112 64, conv2_2 112 128, pool2 56 128, "
      "conv3_3 56 256, pool3 28 256, conv4_3 28 512, pool4 14 512, "
      "conv5_3 14 512",
    ),
    (
      SqueezeNet(version="1.0"),
      227,
      "conv1 111 96, pool1 55 96, fire2/concat 55 128, fire4/concat 55 256, "
      "pool4 27 256, fire8/concat 27 512, pool8 13 512, fire9/concat 13 512, "
      "conv10 15 1000, pool10 1 1000",
    ),
    (
      SqueezeNet(),
      227,
      "conv1 113 64, pool1 56 64, pool3 28 128, pool5 14 256, "
      "fire9/concat 14 512, conv10 14 1000, pool10 1 1000",
    ),
  ],
  ids=[
    *("caffenet", "alexnet", "torchvision", "vgg16"),
    *("squeezenet1.0", "squeezenet1.1"),
  ],
)
def test_activation_shapes(module, size, expected):
  blobs = infer_shapes(module.layers(), (size, size, 3)).blobs
  for entry in expected.split(", "):
    name, side, channels = entry.split()
    assert blobs[name] == (int(side), int(side), int(channels)), name
  for name in {"fc6", "fc7"} & blobs.keys():
    assert blobs[name] == (4096,)


@pytest.mark.slow
@pytest.mark.parametrize(
  "make, name",
  [
    (CaffeNet, "bvlc_reference_caffenet"),
    (CaffeNet, "caffenet-yos"),
    (AlexNet, "bvlc_alexnet"),
    (lambda **kw: SqueezeNet(version="1.0", **kw), "squeezenet_v1.0"),
    (SqueezeNet, "squeezenet_v1.1"),
  ],
)
def test_table_equals_its_prototxt(make, name, shared_data, caffe_files):
  net = shared_data / "caffe/nets" / f"{name}.prototxt"
  net = caffe_files.narrow(net, 4)
  weights = caffe_files.weights(net)
  blobs = arrays.read_blobs(weights)
  layers, shape, output, shared = build_graph(reader.read_net(net))
  theirs = params_from_blobs(layers, shape, blobs, "x", shared)
  layers, theirs = fold_pixels(layers, theirs, shape, reverse=True)
  table = make(width=1 / 4, classes=248).layers()
  ours = params_from_blobs(table, shape, blobs, "x")
  table, ours = fold_pixels(table, ours, shape, reverse=True)

  random = np.random.default_rng(2)
  images = np.float32(random.uniform(-100, 100, (1, *shape)))
  weighting = np.float32(random.normal(size=248))
  results = []
  for graph, params in ((layers, theirs), (table, ours)):

    def run(x, graph=graph, params=params):
      blobs = GraphApply(graph)(params, x)
      return jnp.vdot(blobs[output], weighting), blobs

    results.append(jax.jit(jax.value_and_grad(run, has_aux=True))(images))
  ((_, (their_blobs)), their_gradient), ((_, (our_blobs)), our_gradient) = (
    results
  )
  assert our_blobs.keys() == their_blobs.keys()
  for blob, values in their_blobs.items():
    _close(our_blobs[blob], values)
  assert np.abs(their_gradient).max() > 0
  _close(our_gradient, their_gradient)


def test_googlenet_is_its_prototxt_layer_for_layer(shared_data):
  net = reader.read_net(shared_data / "caffe/nets/bvlc_googlenet.prototxt")
  theirs = {layer.outputs: layer for layer in build_graph(net).layers}
  ours = {layer.outputs: layer for layer in GoogLeNet().layers()}
  assert ours.keys() == theirs.keys()
  for outputs, layer in ours.items():
    other = theirs[outputs]
    assert layer[1:8] == other[1:8]
    assert layer.weights_key == other.weights_key or layer.kind == "relu"
    settings = dict(other.options)
    assert settings.keys() == dict(layer.options).keys()
    for name, value in layer.options:  # Caffe's alpha is a float32.
      assert value == pytest.approx(settings[name], rel=1e-6)


@pytest.mark.parametrize("make", [CaffeNet, AlexNet, TorchvisionAlexNet])
def test_module_runs_by_itself(make):
  module = make(width=1 / 32, classes=5)
  images = jnp.ones((2, 227, 227, 3))
  variables = jax.jit(module.init)(jax.random.key(0), images)
  blobs = jax.jit(module.apply)(variables, images)
  assert blobs["fc8"].shape == (2, 5)
  np.testing.assert_allclose(blobs["prob"].sum(-1), 1, rtol=1e-5)


def test_random_weights_by_name():
  network = read_architecture("squeezenet1.0", "random")
  assert network.output in network.shapes


def test_unknown_version_is_told():
  with pytest.raises(JdeepvisError, match=r"1\.2.*1\.0 and 1\.1"):
    SqueezeNet(version="1.2").layers()


def _close(found, expected):
  scale = np.abs(expected).max()
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)


def test_blobs_are_told_from_shallow_to_deep(squeezenet):
  order = squeezenet.order
  assert order[0] == "data" and order[-1] == "prob"
  assert set(order) == set(squeezenet.shapes)
  places = [order.index(name) for name in ("conv1", "pool1", "fire2/concat")]
  assert places == sorted(places)
  assert squeezenet.replace(layers=()).order == order
