"""The script in processes of its own: its flags are those of others too."""

import pickle
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scripts import Script, refusal

from jdeepvis.networks import weights

ROOT = Path(__file__).parents[2]


def convert(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "experiments.convert_weights", *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture
def release(squeezenet, tmp_path):
  """The bundled weights as they were released: lists in a pickle, BGR."""
  layers = {
    name: [np.asarray(leaves["kernel"]), np.asarray(leaves["bias"])]
    for name, leaves in squeezenet.params.items()
  }
  layers["conv1"][0] = layers["conv1"][0][:, :, [2, 1, 0]]
  path = tmp_path / "weights.pkl"
  path.write_bytes(pickle.dumps(layers, 4))
  return path


@pytest.mark.slow
def test_the_bundled_network_comes_out(release, squeezenet, tmp_path):
  out = tmp_path / "net.safetensors"
  arguments = ("--net=squeezenet1.1", f"--weights={release}", f"--out={out}")
  done = convert(*arguments)
  assert done.returncode == 0 and str(out) in done.stdout
  network = weights.read_network(out)
  jax.tree.map(np.testing.assert_array_equal, network.params, squeezenet.params)
  np.testing.assert_array_equal(network.input.mean, squeezenet.input.mean)
  assert network.labels == squeezenet.labels
  # A second time it is refused, and the file stays.
  before = out.read_bytes()
  again = convert(*arguments)
  assert again.returncode == 1 and out.read_bytes() == before
  assert again.stderr.startswith("error: ") and "exists" in again.stderr


@pytest.mark.slow
def test_wrong_files_are_one_sentence(release, tmp_path):
  out = tmp_path / "net.safetensors"
  labels = tmp_path / "labels.txt"
  labels.write_text("cat\ndog\n")
  foreign = tmp_path / "foreign.pkl"
  foreign.write_bytes(pickle.dumps({"conv1": [np.ones(3), np.ones(3)]}))
  for arguments, reported in (
    ([f"--weights={foreign}"], "foreign.pkl: squeezenet1.1 needs layers"),
    (
      [f"--weights={release}", f"--labels={labels}"],
      "1000 classes, but there are 2",
    ),
  ):
    done = convert("--net=squeezenet1.1", f"--out={out}", *arguments)
    assert done.returncode == 1 and not out.exists()
    (line,) = done.stderr.splitlines()
    assert (
      line.startswith("error: ") and line.endswith(".") and reported in line
    )


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_one_sentence(release):
  out = "/proc/net.safetensors"
  done = convert("--net=squeezenet1.1", f"--weights={release}", f"--out={out}")
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ") and line.endswith(".")
  assert "cannot be written" in line


def test_flags_that_do_not_go_together():
  script = Script("experiments.convert_weights")
  for arguments, reported in (
    (["--download=vgg16", "--out=x.safetensors"], "no other flag"),
    (["--download=vgg16", "--half"], "no other flag"),
    (["--download=vg16"], "nearest: vgg16"),
    (["--net=vgg16"], "Give --net, --weights and --out, or --download"),
    ([], "Give --net, --weights and --out, or --download"),
  ):
    assert reported in refusal(script.run, *arguments)


def test_downloaded_weights_are_told_of(monkeypatch, tmp_path, capsys):
  """What is kept already is not fetched again: the script says where it is."""
  monkeypatch.setenv("JDEEPVIS_WEIGHTS", str(tmp_path))
  path = tmp_path / "caffenet.safetensors"
  path.touch()
  script = Script("experiments.convert_weights")
  script.run("--download=caffenet")
  reported = capsys.readouterr().out
  assert str(path) in reported and "load_network('caffenet')" in reported


@pytest.mark.slow
def test_an_onnx_file_comes_out_as_one_that_needs_no_onnx(tmp_path):
  pytest.importorskip("onnx")
  pytest.importorskip("onnxruntime")
  from onnx_graphs import make_model, random

  from jdeepvis.networks.zoo import load_network

  nodes = [("Conv", "x w", "c", {"auto_pad": "SAME_UPPER", "strides": [2, 2]})]
  model = make_model(nodes, {"w": random(4, 3, 3, 3)}, outputs=("c",))
  (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
  out = tmp_path / "net.safetensors"
  script = Script("experiments.convert_weights")
  script.run(f"--net={tmp_path / 'net.onnx'}", "--mean=1,2,3", f"--out={out}")
  kept, read = load_network(out), load_network(tmp_path / "net.onnx")
  image = random(1, *read.input.shape)
  np.testing.assert_array_equal(kept(image)["c"], read(image)["c"])
  np.testing.assert_array_equal(kept.input.mean, [1, 2, 3])
  refused = refusal(
    script.run, f"--net={tmp_path / 'net.onnx'}", "--weights=x", f"--out={out}2"
  )
  assert "safetensors" in refused
