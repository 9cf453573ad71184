"""Foreign files to one file that loads by itself."""

import functools
import json
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

import jdeepvis
from jdeepvis.networks import convert, foreign, weights
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.graph import infer_shapes, random_weights
from jdeepvis.types import JdeepvisError

_NET = """
  layer { name: "data" type: "Input" top: "data"
    input_param { shape { dim: 1 dim: %d dim: 9 dim: 12 } } }
  layer { name: "c" type: "Convolution" bottom: "data" top: "c"
    convolution_param { num_output: 4 kernel_h: 3 kernel_w: 2 } }
  layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
  layer { name: "pool" type: "Pooling" bottom: "c" top: "pool"
    pooling_param { kernel_size: 2 stride: 2 } }
  layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
    inner_product_param { num_output: 5 } }
  layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def _images(network, count=2):
  random = np.random.default_rng(0)
  shape = (count, *network.input.shape)
  return np.float32(random.uniform(-100, 100, shape))


def _equal(first, second):
  images = _images(first)
  ours, theirs = (net(images) for net in (first, second))
  assert ours.keys() == theirs.keys()
  for blob, values in ours.items():
    np.testing.assert_allclose(values, theirs[blob], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_any_caffe_net_round_trips(channels, caffe_files, tmp_path):
  net = caffe_files.net(_NET % channels)
  values = np.random.default_rng(0).uniform(0, 255, (channels, 11, 14))
  np.save(tmp_path / "mean.npy", values)
  made = jdeepvis.load_network(
    net,
    caffe_files.weights(net),
    mean=tmp_path / "mean.npy",
    labels=tuple("abcde"),
    scale=1 / 64,
  )
  assert made.input.mean.shape == (9, 12, channels)
  out = tmp_path / "net.safetensors"
  weights.write_network(
    out, made, architecture=None, origin=weights.Origin("x", "0" * 64)
  )
  again = jdeepvis.load_network(out)
  _equal(made, again)
  assert again.layers == made.layers
  assert again.labels == made.labels and again.output == "fc"
  assert again.input.shape == made.input.shape
  np.testing.assert_array_equal(again.input.mean, made.input.mean)


def test_pixels_are_folded_exactly(caffe_files):
  net = caffe_files.net(_NET % 3)
  model = caffe_files.weights(net)
  plain, _ = convert.read_caffe(net, model, bgr=False)
  folded, _ = convert.read_caffe(net, model, scale=0.25)
  images = _images(plain)
  expected = plain(0.25 * images[..., ::-1])["fc"]
  found = folded(images)["fc"]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
  assert folded.layers == plain.layers


@pytest.mark.parametrize("scale", [0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(caffe_files, scale):
  net = caffe_files.net(_NET % 3)
  with pytest.raises(JdeepvisError, match="scale is a number other than 0"):
    convert.read_caffe(net, caffe_files.weights(net), scale=scale)


def test_pixels_are_a_layer_where_not_only_weights_read_them(caffe_files):
  text = (
    (_NET % 3)
    .replace('bottom: "data" top: "c"', 'bottom: "n" top: "c"')
    .replace(
      'layer { name: "c"',
      'layer { name: "n" type: "Power" bottom: "data" top: "n" '
      'power_param { shift: 1 } } layer { name: "c"',
    )
  )
  net = caffe_files.net(text)
  model = caffe_files.weights(net)
  plain, _ = convert.read_caffe(net, model, bgr=False)
  folded, _ = convert.read_caffe(net, model, scale=0.25)
  images = _images(plain)
  expected = plain(0.25 * images[..., ::-1])["fc"]
  np.testing.assert_allclose(folded(images)["fc"], expected, rtol=1e-5)
  assert folded.layers[0].kind == "pixels"


@pytest.fixture(params=["alexnet-torchvision", "vgg16-torchvision"])
def torchvision(request, monkeypatch):
  """A narrow network of theirs, random weights, and their tensors of these."""
  name = request.param
  known = ARCHITECTURES[name]
  known = known._replace(module=functools.partial(known.module, width=1 / 16))
  for place in (convert, weights):
    monkeypatch.setattr(place, "ARCHITECTURES", {name: known})
  layers = known.module().layers()
  random = random_weights(layers, known.input.shape)
  last = infer_shapes(layers, known.input.shape).blobs["pool5"]
  tensors = {}
  for theirs, ours in foreign.TORCHVISION_NAMES[name].items():
    kernel = random[ours]["kernel"]
    if ours == "fc6":
      # What enters it is a map, channels first: a convolution of its size.
      kernel = kernel.reshape(*last, -1).transpose(3, 2, 0, 1)
      kernel = kernel.reshape(len(kernel), -1)
    elif kernel.ndim == 4:
      kernel = kernel.transpose(3, 2, 0, 1)
    else:
      kernel = kernel.T
    tensors[f"{theirs}.weight"] = np.ascontiguousarray(kernel)
    tensors[f"{theirs}.bias"] = random[ours]["bias"]
  return name, random, tensors


def test_networks_of_torchvision(torchvision, tmp_path):
  name, random, tensors = torchvision
  path = tmp_path / "weights.safetensors"
  save_file(tensors, path)
  params = convert.read_architecture(name, path).params
  assert params.keys() == random.keys()
  first = next(iter(random))
  for layer in random.keys() - {first}:
    for leaf, values in random[layer].items():
      np.testing.assert_array_equal(params[layer][leaf], values)
  # One pixel unit is 1 / (255 * deviation) of torchvision's.
  deviation = np.array([0.229, 0.224, 0.225])[:, None]
  np.testing.assert_allclose(
    params[first]["kernel"] * 255 * deviation,
    random[first]["kernel"],
    rtol=1e-5,
  )
  # Fewer digits on the way are fewer digits here, not another type.
  for kind in (np.float16, jnp.bfloat16):
    save_file({key: x.astype(kind) for key, x in tensors.items()}, path)
    short = convert.read_architecture(name, path).params
    for layer, leaves in short.items():
      for leaf, values in leaves.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, params[layer][leaf], 1e-2, 1e-4)
  del tensors["features.0.bias"]
  save_file(tensors, path)
  with pytest.raises(JdeepvisError, match=r"differs in features\.0\.bias"):
    convert.read_architecture(name, path)


def test_torchvision_without_torch(torchvision, tmp_path):
  name, random, tensors = torchvision
  torch = pytest.importorskip("torch")
  path = tmp_path / "weights.pth"
  tensors = {key: torch.from_numpy(value) for key, value in tensors.items()}
  for new in (True, False):
    torch.save(tensors, path, _use_new_zipfile_serialization=new)
    params = convert.read_architecture(name, path).params
    for layer in ("fc6", "fc8"):
      np.testing.assert_array_equal(
        params[layer]["kernel"], random[layer]["kernel"]
      )


def test_places_of_vgg16_layers_in_torchvision():
  """A convolution and its ReLU are two entries of theirs, a pooling one."""
  places, place = {}, 0
  for stage, count in enumerate((2, 2, 3, 3, 3), 1):
    for layer in range(1, count + 1):
      places[f"features.{place}"] = f"conv{stage}_{layer}"
      place += 2
    place += 1
  names = dict(foreign.TORCHVISION_NAMES["vgg16-torchvision"])
  for key in ("classifier.0", "classifier.3", "classifier.6"):
    del names[key]
  assert names == places


def test_pickle_of_the_bundled_network(tmp_path):
  bundled = jdeepvis.load_network("squeezenet1.1")
  arrays = {
    name: [leaves["kernel"], leaves["bias"]]
    for name, leaves in bundled.params.items()
  }
  arrays["conv1"][0] = arrays["conv1"][0][:, :, ::-1]
  path = tmp_path / "x.pkl"
  path.write_bytes(pickle.dumps(arrays))
  again = convert.read_architecture("squeezenet1.1", path)
  for name, leaves in bundled.params.items():
    np.testing.assert_array_equal(
      again.params[name]["kernel"], leaves["kernel"]
    )


@pytest.mark.parametrize(
  "name", ["caffenet", "alexnet", "squeezenet1.0", "vgg16"]
)
def test_unbundled_weights_are_told_where(name, monkeypatch, tmp_path):
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", str(tmp_path))
  with pytest.raises(JdeepvisError) as raised:
    jdeepvis.load_network(name)
  sentence = str(raised.value)
  assert f"--net={name}" in sentence and ".caffemodel" in sentence
  assert f"--download={name}" in sentence and "download=True" in sentence
  assert sentence.count("http") == 1 and sentence.endswith(".")


def test_a_prototxt_wants_weights(caffe_files):
  net = caffe_files.net(_NET % 3)
  with pytest.raises(JdeepvisError, match="without its weights"):
    jdeepvis.load_network(net)
  network = jdeepvis.load_network(net, weights="random")
  gradient = jax.grad(lambda x: network(x)["fc"][0, 1])(_images(network, 1))
  assert np.abs(gradient).max() > 0
  with pytest.raises(JdeepvisError, match="5 classes, but there are 4"):
    jdeepvis.load_network(net, weights="random", labels=tuple("abcd"))


def test_script_writes_one_file_and_never_over_another(caffe_files, tmp_path):
  net = caffe_files.net(_NET % 1)
  out = tmp_path / "out.safetensors"
  labels = tmp_path / "labels.txt"
  labels.write_text("n01440764 a\n\nb\nc\nd\ne\n")
  model = caffe_files.weights(net)
  command = [
    sys.executable,
    "-m",
    "experiments.convert_weights",
    f"--net={net}",
    f"--weights={model}",
    f"--labels={labels}",
    "--mean=33",
    f"--out={out}",
  ]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  network = jdeepvis.load_network(out)
  assert network.labels == tuple("abcde")
  np.testing.assert_array_equal(network.input.mean, [33])
  before = out.read_bytes()
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 1 and "exists" in done.stderr
  assert "Traceback" not in done.stderr and out.read_bytes() == before


@pytest.mark.parametrize(
  "change, message",
  [
    (lambda a: a["layers"][0].__setitem__(1, "wonder"), "kind 'wonder'"),
    (lambda a: a["layers"][0].__setitem__(2, ["c"]), "reads 'c'"),
    (lambda a: a["layers"][1].__setitem__(3, ["c/pre"]), "again"),
    (lambda a: a["layers"][0].__setitem__(4, [3, 10**9]), "kernel"),
    (lambda a: a["layers"][0].__setitem__(4, "33"), "kernel"),
    (lambda a: a["layers"][0].pop(), "entries"),
    (lambda a: a.update(layers={}), "no table"),
    (lambda a: a.update(output="x"), "output 'x'"),
    (lambda a: a.update(shape=[9, 12, -1]), "input"),
    (lambda a: a.update(shape=[9, 12, 4]), "mean"),
    (lambda a: a.update(labels=[1]), "labels"),
    (lambda a: a["layers"].pop(0), "table"),
  ],
)
def test_table_in_a_file_is_checked(change, message, caffe_files, tmp_path):
  from safetensors import safe_open

  net = caffe_files.net(_NET % 3)
  made = jdeepvis.load_network(net, weights="random")
  out = tmp_path / "net.safetensors"
  weights.write_network(
    out, made, architecture=None, origin=weights.Origin("x", "")
  )
  with safe_open(out, framework="numpy") as file:
    about = json.loads(file.metadata()["jdeepvis"])
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
  change(about)
  save_file(tensors, out, metadata={"jdeepvis": json.dumps(about)})
  with pytest.raises(JdeepvisError, match=message):
    jdeepvis.load_network(out)
