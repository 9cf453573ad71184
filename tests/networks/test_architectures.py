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
from jdeepvis.networks.convert import read_architecture
from jdeepvis.networks.googlenet import GoogLeNet
from jdeepvis.networks.graph import GraphApply, infer_shapes
from jdeepvis.networks.pixels import fold_pixels
from jdeepvis.networks.squeezenet import SqueezeNet
from jdeepvis.networks.vgg import VGG16
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
    ("vgg16", 138_357_544),
    ("vgg16-torchvision", 138_357_544),
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
    (
      VGG16(),
      224,
      "conv1_1 224 64, conv1_2 224 64, pool1 112 64, conv2_2 112 128, "
      "pool2 56 128, conv3_3 56 256, pool3 28 256, conv4_3 28 512, "
      "pool4 14 512, conv5_3 14 512, pool5 7 512",
    ),
  ],
  ids=[
    "caffenet",
    "alexnet",
    "torchvision",
    "squeezenet1.0",
    "squeezenet1.1",
    "vgg16",
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
  layers, shape, output, shared, _ = build_graph(reader.read_net(net))
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


def _vgg16_prototxt():
  """VGG's table 1, column D, as the deploy.prototxt spells it."""
  row = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"
  text = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224'
  source, stage, place = "data", 1, 1
  for entry in row.split():
    if entry == "M":
      name, stage, place = f"pool{stage}", stage + 1, 1
      text += f"""
        layer {{ bottom: "{source}" top: "{name}" name: "{name}" type: "Pooling"
          pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}"""
    else:
      name, relu = f"conv{stage}_{place}", f"relu{stage}_{place}"
      place += 1
      text += f"""
        layer {{ bottom: "{source}" top: "{name}" name: "{name}"
          type: "Convolution" convolution_param {{
            num_output: {entry} pad: 1 kernel_size: 3 }} }}
        layer {{ bottom: "{name}" top: "{name}" name: "{relu}"
          type: "ReLU" }}"""
    source = name
  for name, features in (("fc6", 4096), ("fc7", 4096), ("fc8", 1000)):
    text += f"""
      layer {{ bottom: "{source}" top: "{name}" name: "{name}"
        type: "InnerProduct" inner_product_param {{ num_output: {features} }} }}
      """
    if name != "fc8":
      text += f"""
        layer {{ bottom: "{name}" top: "{name}" name: "r{name}" type: "ReLU" }}
        layer {{ bottom: "{name}" top: "{name}" name: "d{name}" type: "Dropout"
          dropout_param {{ dropout_ratio: 0.5 }} }}"""
    source = name
  return (
    text + 'layer { bottom: "fc8" top: "prob" name: "prob" type: "Softmax" }'
  )


def test_vgg16_is_its_prototxt(caffe_files):
  net = caffe_files.net(_vgg16_prototxt())
  layers, shape, output, *_ = build_graph(reader.read_net(net))
  known = ARCHITECTURES["vgg16"]
  assert (shape, output) == (known.input.shape, known.output)
  # The ReLUs alone have other names.
  named = [layer for layer in layers if layer.kind != "relu"]
  assert named == [x for x in VGG16().layers() if x.kind != "relu"]
  relus = [layer._replace(name="") for layer in layers]
  assert relus == [layer._replace(name="") for layer in VGG16().layers()]


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
