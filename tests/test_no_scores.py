"""A network without class scores: all but classes works, and is as before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.display.folder import PictureFolder
from jdeepvis.evaluation import recognisability, scoring
from jdeepvis.evolution.map_elites import class_probabilities
from jdeepvis.networks import classify, names, weights
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.own import from_function
from jdeepvis.runs.renders import render_folder
from jdeepvis.synthesis.fooling import certainty, fool_many
from jdeepvis.synthesis.objectives import log_probability, neuron
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.score import bind
from jdeepvis.types import JdeepvisError

SENTENCE = (
  "This network has no class scores; name a layer, such as conv2, and its "
  "units by number, or use a network with classes."
)
ORIGIN = weights.Origin("x", "0" * 64)


@pytest.fixture(scope="module")
def network():
  return small_networks.features()


def pixels(count=1):
  shape = (count, *small_networks.features().input.shape)
  return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def images():
  return np.float32(pixels()) - small_networks.features().input.mean


ASK_FOR_CLASSES = {
  "layer": lambda net: names.find_layer(net, "output"),
  "probabilities": lambda net: classify.probabilities(net, images()),
  "score": lambda net: bind(net, neuron("output", 1)),
  "log-probability": lambda net: bind(
    net, neuron("conv2", 1) + log_probability(1)
  ),
  "saliency": lambda net: jdeepvis.saliency(net, images(), jnp.array([1])),
  "certainty": lambda net: certainty(net, 1),
  "fool": lambda net: fool_many(
    net, jdeepvis.recipe("none"), [1, 2], np.repeat(images(), 2, axis=0)
  ),
  "sign": lambda net: jdeepvis.gradient_sign(net, images()[0], 1, size=1),
  "change": lambda net: jdeepvis.smallest_change(net, images()[0], 1),
  "evolution": class_probabilities,
  "field": lambda net: jdeepvis.receptive_field(net, "output"),
  "crop": lambda net: jdeepvis.crop(net, "output"),
  "recognise": lambda net: jdeepvis.recognisability(net, pixels(), [1]),
  "views": lambda net: recognisability.under_augmentation(
    jax.random.key(0), net, pixels(), [1], samples=1
  ),
  "judge": lambda net: scoring.refuse_maker(net, "another", 9),
}


@pytest.mark.parametrize("ask", ASK_FOR_CLASSES)
def test_what_wants_classes_says_so(network, ask):
  with pytest.raises(JdeepvisError) as raised:
    ASK_FOR_CLASSES[ask](network)
  assert str(raised.value) == SENTENCE


def test_a_softmax_alone_makes_no_classes():
  attention = small_networks.classifier().replace(output=None, labels=())
  assert classify.probability_blob(attention) is None
  with pytest.raises(JdeepvisError, match="no class scores"):
    classify.probabilities(attention, images())


@pytest.mark.parametrize("recipe", ["default", "none"])
def test_hidden_units_are_those_of_the_whole_network(network, tmp_path, recipe):
  made = {}
  whole = small_networks.classifier()
  for name, one in {"whole": whole, "features": network}.items():
    folder = PictureFolder.open(tmp_path / name, {})
    reported = jdeepvis.recipe(recipe)
    wanted = [Request("conv2", unit, 0, recipe, reported) for unit in (3, 5)]
    for _ in render_folder(folder, one, wanted):
      pass
    made[name] = folder.manifest["records"]
    assert all(record["probability"] is None for record in made[name])
    assert all(record["label"] is None for record in made[name])
  for ours, theirs in zip(made["features"], made["whole"], strict=True):
    assert ours["activation"] == theirs["activation"]
    first, second = (
      (tmp_path / name / ours["file"]).read_bytes() for name in made
    )
    assert first == second


def test_it_is_written_and_read(network, tmp_path):
  path = tmp_path / "net.safetensors"
  weights.write_network(path, network, architecture=None, origin=ORIGIN)
  again = jdeepvis.load_network(path)
  assert again.output is None and again.labels == ()
  assert weights_sha256(again.params) == weights_sha256(network.params)
  np.testing.assert_array_equal(
    again(images())["conv2"],
    network(images())["conv2"],
  )


def test_labels_need_scores(network, tmp_path):
  named = network.replace(labels=("cat", "dog"))
  with pytest.raises(JdeepvisError, match="no class scores, but there are 2"):
    weights.write_network(
      tmp_path / "x.safetensors", named, architecture=None, origin=ORIGIN
    )
  with pytest.raises(JdeepvisError, match=r"\(output=\)"):
    from_function(_features, {}, SPEC, output=None, labels=("cat", "dog"))


SPEC = jdeepvis.InputSpec((6, 5, 3), np.float32([0, 0, 0]))


def _features(params, images):
  return {"half": images[:, ::2], "output": 2 * images}


def test_a_model_may_call_a_layer_output(tmp_path):
  """Where there are no class scores the name is one as any other."""
  own = from_function(_features, {}, SPEC, output=None)
  assert names.find_layer(own, "output") == "output"
  image = np.random.default_rng(0).uniform(-9, 9, SPEC.shape)
  score = bind(own, neuron("output", 2, (1, 3)))
  value, _ = score(jax.random.key(0), jnp.float32(image))
  assert value == pytest.approx(2 * image[1, 3, 2], rel=1e-6)
  with pytest.raises(JdeepvisError, match="no class scores"):
    bind(own, log_probability(2))
  # It need not beat others, as a class must.
  default = jdeepvis.recipe("default").replace(steps=4)
  alone = default.without("log_prob_weight")
  assert default.log_prob_weight > 0 and alone.log_prob_weight is None
  folder = PictureFolder.open(tmp_path / "out", {})
  wanted = [
    Request("output", 1, 0, name, recipe)
    for name, recipe in (("default", default), ("alone", alone))
  ]
  for _ in render_folder(folder, own, wanted, initial="mean"):
    pass
  first, second = folder.manifest["records"]
  assert first["probability"] is None
  assert first["score_best"] == second["score_best"] > 0


def test_a_model_without_output_is_asked_for_its_parts():
  def parts(params, images):
    return {"half": images[:, ::2]}

  own = from_function(parts, {}, SPEC, output=None)
  assert own.shapes.keys() == {"half"}
  with pytest.raises(JdeepvisError, match="such as half"):
    names.find_layer(own, "output")
