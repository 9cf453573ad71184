"""Weight files: written, read, and every damage named in one sentence."""

import io
import json
import pickle
import random
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jdeepvis.networks import foreign, weights
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.network import LayerInfo
from jdeepvis.networks.pixels import fold_pixels
from jdeepvis.types import JdeepvisError

ORIGIN = weights.Origin("somewhere.pkl", "0" * 64, "BSD")


@pytest.fixture(scope="module")
def network(squeezenet):
  """The bundled architecture with weights that nothing else has."""
  generator = np.random.default_rng(0)
  params = jax.tree.map(
    lambda leaf: generator.normal(size=leaf.shape).astype(np.float32),
    squeezenet.params,
  )
  labels = tuple(f"thing {i}" for i in range(1000))
  return squeezenet.replace(params=params, labels=labels)


@pytest.fixture
def written(network, tmp_path):
  path = tmp_path / "net.safetensors"
  weights.write_network(
    path, network, architecture="squeezenet1.1", origin=ORIGIN
  )
  return path


def tensors_of(network):
  return {
    "input.mean": np.float32([1, 2, 3]),
    **{
      f"{layer}.{leaf}": np.asarray(values)
      for layer, leaves in network.params.items()
      for leaf, values in leaves.items()
    },
  }


def about(**changes):
  known = {
    "architecture": "squeezenet1.1",
    "shape": [227, 227, 3],
    "resize": 256,
    "labels": [],
  }
  return {"jdeepvis": json.dumps({**known, **changes})}


def refusal(path):
  with pytest.raises(JdeepvisError) as error:
    weights.read_network(path)
  sentence = str(error.value)
  assert sentence.endswith(".") and "\n" not in sentence
  return sentence


def test_what_is_written_is_read(network, written):
  read = weights.read_network(written)
  assert jax.tree.structure(read.params) == jax.tree.structure(network.params)
  jax.tree.map(np.testing.assert_array_equal, read.params, network.params)
  np.testing.assert_array_equal(read.input.mean, network.input.mean)
  assert read.input.shape == (227, 227, 3) and read.input.resize == 256
  assert read.labels == network.labels
  assert (read.output, read.layers) == (network.output, network.layers)
  image = jnp.ones((1, 227, 227, 3))
  expected = network(image, until="pool1")
  found = read(image, until="pool1")
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_origin_is_kept_in_the_file(written):
  content = written.read_bytes()
  (size,) = struct.unpack("<Q", content[:8])
  header = json.loads(content[8 : 8 + size])
  kept = json.loads(header["__metadata__"]["jdeepvis"])["origin"]
  assert kept == {
    "source": "somewhere.pkl",
    "sha256": "0" * 64,
    "licence": "BSD",
  }


@pytest.mark.parametrize("size", [0, 5, 8, 100, 5000, 4_000_000])
def test_a_truncated_file_is_named(written, size):
  written.write_bytes(written.read_bytes()[:size])
  assert "net.safetensors" in refusal(written)


def test_a_file_with_bytes_changed_raises_nothing_else(written):
  good = written.read_bytes()
  (size,) = struct.unpack("<Q", good[:8])
  luck = random.Random(0)
  failures = 0
  for _ in range(40):
    bad = bytearray(good)
    for _ in range(luck.choice([1, 4])):
      bad[luck.randrange(size + 8)] = luck.randrange(256)
    written.write_bytes(bad)
    try:
      weights.read_network(written)
    except JdeepvisError as error:
      assert "net.safetensors" in str(error)
      failures += 1
  assert failures > 10


@pytest.mark.parametrize(
  ("metadata", "reported"),
  [
    (None, "convert_weights"),
    ({"format": "pt"}, "convert_weights"),
    ({"jdeepvis": "{"}, "convert_weights"),
    ({"jdeepvis": "[]"}, "convert_weights"),
    (about(shape=[227, 227]), "convert_weights"),
    (about(shape=[227, 227, 4]), "convert_weights"),
    (about(shape="large"), "convert_weights"),
    (about(shape=[2, 2, 3]), "'conv1' (convolution) cannot read"),
    (about(resize="large"), "convert_weights"),
    (about(labels=None), "convert_weights"),
    (about(architecture="squeezenet1.0"), "layer 'conv1' of squeezenet1.0"),
    (about(architecture="squeezenet9"), "squeezenet1.1"),
    (about(architecture=["squeezenet1.1"]), "is not a weight file"),
    (about(architecture=None), "no table of layers"),
    (about(architecture=None, output=[]), "is not a weight file"),
    (about(labels=["cat", "dog"]), "1000 classes, but there are 2"),
  ],
)
def test_foreign_files_are_refused(network, tmp_path, metadata, reported):
  path = tmp_path / "foreign.safetensors"
  save_file(tensors_of(network), path, metadata=metadata)
  sentence = refusal(path)
  assert "foreign.safetensors" in sentence and reported in sentence


def test_missing_files_are_named(tmp_path):
  assert "nowhere" in refusal(tmp_path / "nowhere.safetensors")
  refusal(tmp_path)


def test_layers_that_do_not_fit_are_named(network, tmp_path):
  whole = tensors_of(network)
  cases = {
    "fire5/expand3x3.kernel": (
      lambda old: old[..., :-1],
      ["'fire5/expand3x3'", "(3, 3, 32, 128)", "(3, 3, 32, 127)"],
    ),
    "conv10.bias": (lambda old: None, ["'conv10'", "bias"]),
    "conv1.scale": (lambda old: np.ones(64, np.float32), ["'conv1'", "scale"]),
    "fc8.kernel": (lambda old: np.ones((2, 2), np.float32), ["no layers fc8"]),
    "input.mean": (lambda old: None, ["input.mean"]),
  }
  for name, (change, reported) in cases.items():
    changed = {**whole, name: change(whole.get(name))}
    changed = {
      key: np.ascontiguousarray(values)
      for key, values in changed.items()
      if values is not None
    }
    path = tmp_path / "bad.safetensors"
    save_file(changed, path, metadata=about())
    sentence = refusal(path)
    assert all(word in sentence for word in ["bad.safetensors", *reported])
  gone = {k: v for k, v in whole.items() if not k.startswith("fire2/squeeze")}
  save_file(gone, path, metadata=about())
  assert "missing: fire2/squeeze1x1." in refusal(path)


def test_nothing_is_written_that_could_not_be_read(network, tmp_path):
  path = tmp_path / "net.safetensors"
  wrong = {**network.params, "conv1": {"kernel": np.ones((3, 3, 3, 4))}}
  for bad, reported in (
    (network.replace(params=wrong), "'conv1'"),
    (network.replace(labels=("one",)), "1 labels"),
  ):
    with pytest.raises(JdeepvisError, match=reported):
      weights.write_network(
        path, bad, architecture="squeezenet1.1", origin=ORIGIN
      )
  assert not path.exists()


def test_a_pickle_of_arrays_is_read(tmp_path):
  path = tmp_path / "arrays.pkl"
  kernel = np.arange(24.0).reshape(2, 2, 3, 2)
  for protocol in range(3, pickle.HIGHEST_PROTOCOL + 1):
    with open(path, "wb") as file:
      layers = {"conv1": [kernel, np.float32([1, 2])]}
      pickle.dump(layers, file, protocol)
    params = foreign.read_array_pickle(path)
    assert params["conv1"]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(params["conv1"]["kernel"], kernel)
    np.testing.assert_array_equal(params["conv1"]["bias"], [1, 2])


def test_the_name_of_old_numpy_is_known(tmp_path):
  """Pickles of NumPy 1 say numpy.core, where NumPy 2 says numpy._core."""
  layers = {"conv1": [np.ones((1, 1, 3, 2)), np.zeros(2)]}
  old = pickle.dumps(layers, 3).replace(b"numpy._core.", b"numpy.core.")
  assert b"numpy.core.multiarray" in old
  path = tmp_path / "old.pkl"
  path.write_bytes(old)
  assert list(foreign.read_array_pickle(path)) == ["conv1"]


class Hostile:
  def __init__(self, function, *arguments):
    self.called = function, arguments

  def __reduce__(self):
    return self.called


def test_code_in_a_pickle_is_not_run(tmp_path):
  witness = tmp_path / "witness"
  for hostile in (
    Hostile(open, str(witness), "w"),
    Hostile(exec, f"open({str(witness)!r}, 'w')"),
    Hostile(np.save, str(witness), [1]),
    Hostile(getattr, np.ndarray, "tofile"),
    io.BytesIO(b"x"),
  ):
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps({"conv1": [hostile, np.zeros(2)]}))
    with pytest.raises(JdeepvisError, match=r"hostile\.pkl.*not admitted"):
      foreign.read_array_pickle(path)
    assert not list(tmp_path.glob("witness*"))
  pickle.loads(pickle.dumps(Hostile(open, str(witness), "w"))).close()
  assert witness.exists()  # so the test could have failed


def test_other_pickles_are_one_sentence(tmp_path):
  path = tmp_path / "a.pkl"
  good = pickle.dumps({"conv1": [np.ones((1, 1, 3, 2)), np.zeros(2)]})
  for content in (
    b"",
    b"text",
    good[:-20],
    pickle.dumps([1, 2]),
    pickle.dumps({"conv1": 3}),
    pickle.dumps({"conv1": [np.array(["a"]), np.zeros(2)]}),
  ):
    path.write_bytes(content)
    with pytest.raises(JdeepvisError) as error:
      foreign.read_array_pickle(path)
    assert "a.pkl" in str(error.value) and str(error.value).endswith(".")
  with pytest.raises(JdeepvisError, match="There is no weight file"):
    foreign.read_array_pickle(tmp_path / "none.pkl")


def test_input_channels_are_reversed_in_one_layer():
  params = {
    name: {"kernel": np.arange(6.0).reshape(1, 1, 3, 2), "bias": np.ones(2)}
    for name in ("conv1", "conv2")
  }
  layers = (
    LayerInfo("conv1", "convolution", ("data",), ("conv1",)),
    LayerInfo("conv2", "convolution", ("conv1",), ("conv2",)),
  )
  same, turned = fold_pixels(
    layers, params, (4, 4, 3), reverse=True, scale=np.array([1, 2, 10])
  )
  assert same == layers
  np.testing.assert_array_equal(
    turned["conv1"]["kernel"][0, 0], [[4, 5], [4, 6], [0, 10]]
  )
  assert turned["conv1"]["bias"] is params["conv1"]["bias"]
  assert turned["conv2"] is params["conv2"]
  assert params["conv1"]["kernel"][0, 0, 0, 0] == 0


def test_the_digest_tells_any_weight_apart(network):
  digest = weights_sha256(network.params)
  assert digest == weights_sha256(jax.tree.map(np.array, network.params))
  bias = np.array(network.params["conv10"]["bias"])
  bias[-1] = np.nextafter(bias[-1], np.float32(9))
  conv10 = {**network.params["conv10"], "bias": bias}
  assert digest != weights_sha256({**network.params, "conv10": conv10})
  renamed = dict(network.params)
  renamed["conv11"] = renamed.pop("conv10")
  assert digest != weights_sha256(renamed)
