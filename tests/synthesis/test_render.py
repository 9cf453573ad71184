"""The front door: what people ask for, and the pictures that they get."""

import io

import jax
import numpy as np
import pytest
import small_networks
from compilations import compilations
from PIL import Image

import jdeepvis
from jdeepvis.networks.receptive_field import receptive_field
from jdeepvis.synthesis.named_recipes import RECIPES
from jdeepvis.synthesis.requests import requests
from jdeepvis.synthesis.run import run
from jdeepvis.types import JdeepvisError

QUIET = {"progress": False}
SHORT = jdeepvis.recipe("default").replace(steps=8)


@pytest.fixture(scope="module")
def network():
  return small_networks.classifier()


def test_a_picture_and_its_facts_agree(network):
  picture = jdeepvis.render(network, "output:2", SHORT, **QUIET)
  plain = np.float32(picture.pixels) - network.input.mean
  blobs = network(plain[None])
  scores = np.asarray(blobs[network.output]).reshape(-1)
  assert picture.pixels.dtype == np.uint8
  assert picture.activation == pytest.approx(scores[2], rel=1e-4)
  logs = np.asarray(jax.nn.log_softmax(scores))
  assert picture.score == pytest.approx(scores[2] + 10 * logs[2], rel=1e-4)
  probability = np.asarray(jdeepvis.probabilities(network, plain[None]))[0]
  assert picture.probability == pytest.approx(probability[2], rel=1e-3)
  assert picture.label == network.labels[2]
  assert picture.history["score"].shape == (8,)
  assert picture.best_score == picture.history["score"].max()
  np.testing.assert_allclose(picture.image, plain, atol=0.51)


@pytest.mark.parametrize("name", RECIPES)
def test_a_second_call_compiles_nothing(network, name):
  made = jdeepvis.recipe(name).replace(steps=4)
  first = jdeepvis.render(network, "output:1", made, **QUIET)
  again = small_networks.classifier()  # Another load of it, too.
  with compilations() as names:
    other = made.replace(rate=made.strengths["rate"] / 2)
    second = jdeepvis.render(again, "output:2", other, seed=5, **QUIET)
  assert not names
  assert (first.pixels != second.pixels).any()


def test_nothing_compiles_anew_within_ones_own_jit(network):
  traces = []

  @jax.jit
  def picture(network, made, unit, seed):
    traces.append(unit)
    key = jax.random.key(seed)
    state, _ = jdeepvis.ascend(
      key,
      jdeepvis.augmented(
        made,
        jdeepvis.bind(network, jdeepvis.neuron("output", unit)),
        network.input,
      ),
      jdeepvis.optimizer(made, network.input),
      jdeepvis.initial_image(key, network.input),
      steps=made.steps,
    )
    return state.last.image

  images = [
    picture(network, SHORT.replace(decay=decay), unit, seed)
    for decay, unit, seed in [(0.02, 1, 0), (0.5, 2, 0), (0.02, 1, 7)]
  ]
  assert len(traces) == 1
  assert len(np.unique(np.stack(images), axis=0)) == 3


def test_what_a_picture_is_does_not_depend_on_its_neighbours(network):
  alone = jdeepvis.render(network, "conv2:3", SHORT, seed=1, **QUIET)
  many = jdeepvis.render_many(
    network, ["output:0", "conv2:1-3"], SHORT, seeds=2, each=1, **QUIET
  )
  assert len(many) == 8
  (same,) = [
    one
    for one in many
    if one.request.layer == "conv2" and one.request[1:3] == (3, 1)
  ]
  np.testing.assert_array_equal(alone.pixels, same.pixels)
  size = receptive_field(network, "conv2").size
  assert alone.pixels.shape[:2] == size


def test_a_unit_of_an_own_model_is_drawn_at_its_own_size():
  own = small_networks.own()
  field = jdeepvis.render(own, "conv:3", SHORT, **QUIET)
  assert field.pixels.shape == (5, 5, 3)
  whole = jdeepvis.render(own, "conv:3", SHORT, canvas="image", **QUIET)
  assert whole.pixels.shape == (21, 21, 3)
  # The unit's value of the picture, placed in an image.
  placed = np.zeros((1, *own.input.shape), np.float32)
  unit = (4, 4)
  part = receptive_field(own, "conv", unit).slices
  placed[0][part] = np.float32(field.pixels) - own.input.mean
  value = own(placed)["conv"][0, *unit, 3]
  np.testing.assert_allclose(field.activation, value, rtol=1e-4)


def test_targets_are_what_they_say(network):
  def reported(targets, **more):
    return [
      (one.layer, one.unit, one.seed, one.position)
      for one in requests(network, targets, "none", **more)
    ]

  label = network.labels[4]
  assert reported(label) == [(network.output, 4, 0, None)]
  assert reported("conv2:0-1,5@1,2", seeds=(7,)) == [
    ("conv2", unit, 7, (1, 2)) for unit in (0, 1, 5)
  ]
  count = network.shapes["conv1"][-1]
  assert len(reported("conv1:all")) == count
  both = reported(
    [jdeepvis.neuron("conv1", 3), lambda blobs: blobs["conv1"].sum()]
  )
  assert [one[:2] for one in both] == [("conv1 3", None), ("lambda", None)]
  grid = requests(
    network, "output:0", "default", strengths={"decay": (0, 0.1)}, seeds=2
  )
  assert [one.strengths for one in grid] == [
    {"decay": 0}, {"decay": 0}, {"decay": 0.1}, {"decay": 0.1}
  ]  # fmt: skip
  assert len({one.program for one in grid}) == 1


@pytest.mark.parametrize("layer", ["a:0", "a@1,2", "a", "a:0@1,2:a"])
def test_layers_may_have_colons_and_at_signs_in_their_names(layer):
  names = ["a:0", "a@1,2", "a", "a:0@1,2:a"]
  made = jdeepvis.from_function(
    lambda _, images: dict.fromkeys(names, images),
    {},
    jdeepvis.InputSpec((4, 4, 3), np.zeros(3, np.float32)),
    output=None,
  )
  for place, position in (("", None), ("@1,2", (1, 2))):
    (found,) = requests(made, f"{layer}:2{place}", "none")
    assert (found.layer, found.unit, found.position) == (layer, 2, position)
  with pytest.raises(JdeepvisError, match=f"'{layer}' is a layer"):
    requests(made, layer, "none")


@pytest.mark.parametrize(
  ("target", "reported"),
  [
    ("conv9:1", "'conv9'"),
    ("output:99", "0 to 8"),
    ("conv1", "'conv1' is a layer"),
    ("conv1:0@99,0", "not among them"),
    ("conv1:0@-1,0", "not among them"),
    ("conv1:0@x", "@ROW,COLUMN"),
    ("conv1:0-1", "names 2 units"),
    (jdeepvis.neuron("conv9", 1), "'conv9'"),
    (lambda blobs: blobs["conv9"].sum(), "'conv9'"),
  ],
)
def test_what_cannot_be_is_refused(network, target, reported):
  with pytest.raises(JdeepvisError, match=reported):
    jdeepvis.render(network, target, SHORT, **QUIET)


def test_objectives_add_up_on_the_whole_image(network):
  objective = jdeepvis.neuron("conv2", 3) - 0.1 * jdeepvis.channel("conv1", 1)
  picture = jdeepvis.render(network, objective, SHORT, **QUIET)
  assert picture.pixels.shape == network.input.shape
  assert picture.activation is None and picture.probability is None
  assert picture.history["score"][-1] > picture.history["score"][0]
  value, _ = jdeepvis.bind(network, objective)(
    None, np.float32(picture.pixels) - network.input.mean
  )
  assert picture.score == pytest.approx(float(value), rel=1e-4)


def test_a_canvas_may_be_larger_than_the_input(network):
  height, width, _ = network.input.shape
  size = height + 20, width + 14
  picture = jdeepvis.render(
    network, jdeepvis.channel("conv2", 1), SHORT, canvas=size, **QUIET
  )
  assert picture.pixels.shape[:2] == size
  own = jdeepvis.render(
    network, lambda blobs: blobs["conv2"].std(), SHORT, canvas=size, **QUIET
  )
  assert own.pixels.shape[:2] == size
  with pytest.raises(JdeepvisError, match="cannot be had of images of 2 x 2"):
    jdeepvis.render(network, "conv2:1", SHORT, canvas=(2, 2), **QUIET)


def test_pictures_begin_where_they_are_told(network):
  still = jdeepvis.recipe("none").replace(rate=0, steps=1)
  image = np.random.default_rng(0).uniform(-50, 50, network.input.shape)
  lower, upper = network.input.bounds
  begun = jdeepvis.render(
    network, "output:0", still, initial=np.float32(image), **QUIET
  )
  np.testing.assert_allclose(
    begun.image, np.clip(image, lower, upper), atol=1e-4
  )
  field = receptive_field(network, "conv2")
  part = jdeepvis.render(
    network, "conv2:0", still, initial=np.float32(image), **QUIET
  )
  np.testing.assert_allclose(
    part.image, np.clip(image, lower, upper)[field.slices], atol=1e-4
  )
  pixels = np.full((40, 50, 3), 77, np.uint8)
  flat = jdeepvis.render(network, "output:0", still, initial=pixels, **QUIET)
  assert (flat.pixels == 77).all()
  for wrong, reported in ((image[:-1], "has shape"), ("nois", "'nois'")):
    with pytest.raises(JdeepvisError, match=reported):
      jdeepvis.render(network, "output:0", still, initial=wrong, **QUIET)


def test_it_shows_itself(network, tmp_path):
  pictures = jdeepvis.render_many(network, "conv2:0-4", SHORT, **QUIET)
  picture = pictures[0]
  with Image.open(io.BytesIO(picture._repr_png_())) as shown:
    np.testing.assert_array_equal(np.asarray(shown), picture.pixels)
  picture.save(tmp_path / "picture.png")
  with Image.open(tmp_path / "picture.png") as kept:
    np.testing.assert_array_equal(np.asarray(kept), picture.pixels)
  html = pictures._repr_html_()
  assert html.count("<img ") == 5 and "conv2 4" in html
  assert "\n" not in repr(picture) and "conv2 0" in repr(picture)
  sheet = pictures.sheet(columns=5)
  assert sheet.pixels.shape[1] > 3 * sheet.pixels.shape[0]
  sheet.save(tmp_path / "sheet.png")
  # What was made is kept, and not made again.
  with compilations() as names:
    assert next(iter(pictures)) is picture and not names


def test_failures_are_told(network):
  silent = network.replace(params=jax.tree.map(np.zeros_like, network.params))
  picture = jdeepvis.render(silent, "conv2:0", SHORT, **QUIET)
  assert picture.status == "zero_gradient"
  assert "zero_gradient" in picture._repr_html_()


def test_pictures_come_as_they_are_finished(network):
  """Four batches, of which none is made before it is asked for."""
  wanted = requests(network, "conv1:0-7", SHORT)
  news = run(network, wanted, each={"conv1": 1})
  counts = [len(next(news).pictures) for _ in range(2)]
  assert counts == [2, 2] or counts == [0, 2]
  steps = sum(
    one.image_steps for one in run(network, wanted, each={"conv1": 1})
  )
  assert steps == 8 * SHORT.steps


def test_a_network_without_classes(network):
  bare = network.replace(output=None, labels=())
  picture = jdeepvis.render(bare, "conv2:1", SHORT, **QUIET)
  assert picture.probability is None and picture.label is None
  with pytest.raises(JdeepvisError, match="no class scores"):
    jdeepvis.render(bare, "flamingo", SHORT, **QUIET)


def test_classes_of_a_map_have_probabilities_at_each_place():
  def dense(params, images):
    return {"scores": images @ params}

  weights = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
  spec = jdeepvis.InputSpec((4, 6, 3), np.float32([120, 120, 120]))
  network = jdeepvis.from_function(dense, weights, spec, output="scores")
  recipe = jdeepvis.recipe("none").replace(steps=2)
  for target, place in (("output:2", (2, 3)), ("output:2@0,5", (0, 5))):
    picture = jdeepvis.render(network, target, recipe)
    centred = picture.pixels[None] - np.float32(120)
    scores = centred[0][place] @ weights.astype(np.float64)
    expected = np.exp(scores - scores.max())
    expected /= expected.sum()
    found = jdeepvis.probabilities(network, centred, place)
    np.testing.assert_allclose(found, expected[None], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(
      picture.probability, expected[2], rtol=1e-3, atol=1e-6
    )
