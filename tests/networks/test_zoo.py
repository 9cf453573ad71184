import sys
import types

import pytest
import small_networks

from jdeepvis.networks import convert, zoo
from jdeepvis.networks.crop import crop
from jdeepvis.networks.weights import Origin, write_network
from jdeepvis.types import JdeepvisError


def test_the_bundled_labels(squeezenet):
  labels = zoo.imagenet_labels()
  assert [i for i, x in enumerate(labels) if x == "crane"] == [134, 517]
  assert len(labels) == 1000 and len(set(labels)) == 999
  assert labels == squeezenet.labels
  assert labels[0] == "tench, Tinca tinca"
  assert labels[999].startswith("toilet tissue")


def test_a_label_file_with_and_without_wnids(tmp_path):
  path = tmp_path / "labels.txt"
  path.write_text(
    "n02119789 kit fox, Vulpes\n\n  plain name  \nn0211978 short\r\n"
    "n02119789\nnaïve\n",
    encoding="utf-8",
  )
  assert zoo.read_labels(path) == (
    "kit fox, Vulpes",
    "plain name",
    "n0211978 short",
    "n02119789",
    "naïve",
  )


def test_wrong_label_files_are_one_sentence(tmp_path):
  (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
  for path in (tmp_path / "none.txt", tmp_path / "latin.txt", tmp_path):
    with pytest.raises(JdeepvisError) as error:
      zoo.read_labels(path)
    assert str(path) in str(error.value)


def test_an_unknown_network_is_told_what_there_is():
  with pytest.raises(JdeepvisError, match=r"'resnet'.*squeezenet1\.1"):
    zoo.load_network("resnet")


def test_a_network_is_called_by_its_name_or_its_file(tmp_path, squeezenet):
  assert squeezenet.name == "squeezenet1.1"
  assert crop(squeezenet, "conv1").name == "squeezenet1.1"
  path = tmp_path / "step.1.safetensors"
  origin = Origin("made up", "0" * 64)
  network = small_networks.features()
  write_network(path, network, architecture=None, origin=origin)
  assert zoo.load_network(path).name == "step.1"
  random = zoo.load_network("squeezenet1.0", convert.RANDOM)
  assert random.name == "squeezenet1.0"


def test_a_caffe_network_is_called_by_the_file_of_its_weights(caffe_files):
  net = caffe_files.net(_NET, "deploy")
  weights = caffe_files.weights(net)
  weights = weights.rename(weights.with_name("digits.caffemodel"))
  assert zoo.load_network(net, weights).name == "digits"
  assert zoo.load_network(net, convert.RANDOM).name == "deploy"


_NET = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 6 input_dim: 6
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 3 } }
"""


def test_a_factory_may_name_its_network(monkeypatch):
  module = types.ModuleType("factories")
  module.bare = small_networks.classifier
  module.named = lambda: small_networks.classifier().replace(name="mine")
  monkeypatch.setitem(sys.modules, "factories", module)
  assert zoo.load_network("factories:bare").name == "factories:bare"
  assert zoo.load_network("factories:named").name == "mine"


def test_missing_bundled_data_are_one_sentence(tmp_path):
  with pytest.raises(JdeepvisError, match="install jdeepvis again"):
    zoo.third_party(tmp_path / "a" / "b")
