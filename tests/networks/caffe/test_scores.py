"""What a file says of its scores, and nothing that it does not say."""

import jax
import numpy as np
import pytest
from scipy import special

import jdeepvis
from jdeepvis.networks import classify
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.synthesis.score import ceiling
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import JdeepvisError

_HEAD = """input: "data"
input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 12 kernel_size: 5 stride: 2 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "cccp2" type: "Convolution" bottom: "conv1" top: "cccp2"
  convolution_param { num_output: 10 kernel_size: 1 } }
"""
_POOL = """layer { name: "pool" type: "Pooling" bottom: "cccp2" top: "pool"
  pooling_param { pool: AVE MORE } }
"""
_RELU = 'layer { name: "relu2" type: "ReLU" bottom: "cccp2" top: "cccp2" }'


def _layer(kind, name, bottom, more=""):
  return (
    f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" '
    f'top: "{name}" {more} }}\n'
  )


def _network(text, folder, weights="random"):
  path = folder / "net.prototxt"
  path.write_text(_HEAD + text)
  return jdeepvis.load_network(path, weights)


def _output(text):
  return build_graph(reader.parse_net(_HEAD + text, "net.prototxt")).output


_DENSE = _layer("InnerProduct", "fc", "cccp2", "inner_product_param { %s }")


@pytest.mark.parametrize("more", ["kernel_size: 14", "global_pooling: true"])
@pytest.mark.parametrize("tail", ["", _layer("Softmax", "prob", "pool")])
def test_scores_are_taken_before_a_rectifier(more, tail, tmp_path):
  network = _network(_RELU + _POOL.replace("MORE", more) + tail, tmp_path)
  assert network.output == "scores"
  kernel = np.array(network.params["cccp2"]["kernel"])
  kernel[..., ::2] = -np.abs(kernel[..., ::2])
  params = {**network.params, "cccp2": {"kernel": kernel, "bias": -np.ones(10)}}
  image = np.float32(np.random.default_rng(0).normal(0, 50, (1, 32, 32, 3)))
  blobs = network.apply(params, image)
  np.testing.assert_allclose(
    blobs["scores"][0, 0, 0], blobs["cccp2/pre"].mean((0, 1, 2)), rtol=1e-4
  )
  pooled = np.maximum(blobs["cccp2/pre"], 0).mean((0, 1, 2))
  np.testing.assert_allclose(
    blobs["pool"][0, 0, 0], pooled, rtol=1e-4, atol=1e-5
  )

  def score(image):
    return network.apply(params, image[None])["scores"][0, 0, 0, 2]

  assert np.abs(jax.grad(score)(image[0])).max() > 0


_OVER = {
  "maximum": "pooling_param { pool: MAX global_pooling: true }",
  "average": "pooling_param { pool: AVE global_pooling: true }",
  "mean": "reduction_param { operation: MEAN axis: 2 }",
}


@pytest.mark.parametrize("over", _OVER)
@pytest.mark.parametrize("kind", ["ReLU", "ReLU6"])
def test_whatever_sums_up_a_rectified_map(over, kind, tmp_path):
  text = _RELU.replace('"ReLU"', f'"{kind}"')
  sums = "Reduction" if over == "mean" else "Pooling"
  text += _layer(sums, "y", "cccp2", _OVER[over])
  network = _network(text + _layer("Softmax", "p", "y"), tmp_path)
  assert network.output == "scores"
  image = np.float32(np.random.default_rng(0).normal(0, 50, (1, 32, 32, 3)))
  blobs = network(image)
  before = np.asarray(blobs["cccp2/pre"])
  expected = before.max((1, 2)) if over == "maximum" else before.mean((1, 2))
  found = np.asarray(blobs["scores"]).reshape(expected.shape)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_leaky_rectifier_hides_no_gradient(tmp_path):
  text = _RELU.replace(" }", " relu_param { negative_slope: 0.1 } }")
  pool = _POOL.replace("MORE", "global_pooling: true")
  assert _output(text + pool + _layer("Softmax", "p", "pool")) == "pool"


@pytest.mark.parametrize(
  "text, output, reading",
  [
    (_DENSE % "num_output: 7", "fc", None),
    (_DENSE % "num_output: 1", "fc", None),
    (
      _DENSE % "num_output: 1" + _layer("Sigmoid", "p", "fc"),
      "p/pre",
      "sigmoid",
    ),
    (
      _DENSE % "num_output: 7" + _layer("Sigmoid", "p", "fc"),
      "p/pre",
      "sigmoid",
    ),
    (_DENSE % "num_output: 7" + _layer("Softmax", "p", "fc"), "fc", "softmax"),
    (
      _DENSE % "num_output: 7"
      + _layer("Softmax", "p", "fc", "softmax_param { axis: -1 }")
      + _layer("ArgMax", "a", "p"),
      "fc",
      "softmax",
    ),
    (
      _layer("Interp", "up", "cccp2", "interp_param { zoom_factor: 2 }"),
      "up",
      None,
    ),
    (
      'layer { name: "x" type: "Eltwise" bottom: "cccp2" bottom: "cccp2" '
      'top: "x" }',
      "x",
      None,
    ),
    (
      'layer { name: "x" type: "Eltwise" bottom: "conv1" bottom: "conv1" '
      'top: "x" }',
      None,
      None,
    ),
    # A gate within the net, and attention, are no reading of its end.
    (
      _layer("Sigmoid", "gate", "cccp2")
      + 'layer { name: "x" type: "Eltwise" bottom: "gate" bottom: "cccp2" '
      'top: "x" eltwise_param { operation: PROD } }' + _RELU,
      None,
      None,
    ),
    (
      _layer("Softmax", "soft", "cccp2")
      + _layer(
        "Convolution",
        "ab",
        "soft",
        "convolution_param { num_output: 2 kernel_size: 1 }",
      ),
      "ab",
      None,
    ),
    (_layer("Softmax", "s", "cccp2", "softmax_param { axis: 2 }"), None, None),
    (_RELU, None, None),
    (_RELU + _layer("Softmax", "s", "cccp2"), "cccp2/pre", "softmax"),
    (
      _layer("Upsample", "up", "cccp2", "upsample_param { scale: 2 }"),
      "up",
      None,
    ),
    (_layer("LRN", "n", "cccp2"), None, None),
    (
      _layer("SigmoidCrossEntropyLoss", "loss", "cccp2"),
      "loss/probability/pre",
      "sigmoid",
    ),
  ],
)
def test_what_is_said_of_scores(text, output, reading, tmp_path):
  network = _network(text, tmp_path)
  assert network.output == output
  assert classify.reading_of(network) == reading


def test_probabilities_are_the_files_own(tmp_path):
  image = np.float32(np.random.default_rng(0).normal(0, 50, (2, 32, 32, 3)))
  text = _DENSE % "num_output: 4"
  plain = _network(text, tmp_path)
  scores = np.asarray(plain(image)["fc"])
  with pytest.raises(JdeepvisError, match=r'Nothing says how.*type: "Softmax"'):
    jdeepvis.probabilities(plain, image)
  soft = _network(text + _layer("Softmax", "p", "fc"), tmp_path)
  found = jdeepvis.probabilities(soft, image)
  np.testing.assert_allclose(found, special.softmax(scores, -1), 1e-4, 1e-9)
  sigmoid = _network(text + _layer("Sigmoid", "p", "fc"), tmp_path)
  found = jdeepvis.probabilities(sigmoid, image)
  np.testing.assert_allclose(found, special.expit(scores), 1e-4, 1e-9)


@pytest.mark.parametrize("tail", ["", "Sigmoid", "Softmax"])
def test_a_picture_claims_what_the_file_says(tail, tmp_path):
  text = _DENSE % "num_output: 4"
  text += _layer(tail, "p", "fc") if tail else ""
  network = _network(text, tmp_path)
  recipe = jdeepvis.recipe("default").replace(steps=2)
  picture = jdeepvis.render(network, "output:1", recipe)
  assert (picture.probability is None) == (not tail)
  # Without exclusive classes the score climbed is the activation itself.
  climbed = picture.score == pytest.approx(picture.activation)
  assert climbed == (tail != "Softmax")
  if tail:
    pixels = np.float32(picture.pixels)[None] - network.input.mean
    of = network(pixels)["p"]
    assert picture.probability == pytest.approx(float(of[0, 1]), rel=1e-3)


def test_classes_that_do_not_exclude_each_other_have_no_softmax(tmp_path):
  network = _network(
    _DENSE % "num_output: 4" + _layer("Sigmoid", "p", "fc"), tmp_path
  )
  with pytest.raises(JdeepvisError, match="do not exclude one another"):
    jdeepvis.bind(network, jdeepvis.log_probability(1))
  single = _network(_DENSE % "num_output: 1", tmp_path)
  with pytest.raises(JdeepvisError, match=r"single score.*no softmax"):
    jdeepvis.bind(single, jdeepvis.log_probability(0))


def test_a_model_of_ones_own_with_one_output_has_no_probability():
  spec = jdeepvis.InputSpec((8, 8, 1), np.zeros(1, np.float32))

  def model(weights, images):
    return {"output": images.mean((1, 2)) @ weights}

  one = jdeepvis.from_function(model, np.ones((1, 1), np.float32), spec)
  two = jdeepvis.from_function(model, np.ones((1, 2), np.float32), spec)
  assert classify.reading_of(one) is None
  assert classify.reading_of(two) == "softmax"
  recipe = jdeepvis.recipe("small").replace(steps=2)
  assert jdeepvis.render(one, "output:0", recipe).probability is None
  assert jdeepvis.render(two, "output:0", recipe).probability == 0.5


def test_certainty_is_no_failure(tmp_path):
  history = {
    "score": np.float32([-3, -0.1, 0, 0]),
    "gradient_norm": np.float32([1, 1, 0, 0]),
  }
  assert status_of(history) == "zero_gradient"
  assert status_of(history, 0.0) == "ok"
  assert status_of(history, 1.0) == "zero_gradient"
  certain = {"score": np.zeros(2), "gradient_norm": np.zeros(2)}
  assert status_of(certain, 0.0) == "ok"
  text = _DENSE % "num_output: 4" + _layer("Softmax", "p", "fc")
  network = _network(text, tmp_path)
  assert ceiling(network, jdeepvis.log_probability(1)) == 0
  assert ceiling(network, jdeepvis.neuron("p", 1)) == 1
  assert ceiling(network, jdeepvis.neuron("p", 1, direction=-1.0)) == 0
  assert ceiling(network, jdeepvis.neuron("fc", 1)) is None
