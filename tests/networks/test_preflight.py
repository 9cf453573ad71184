"""Right set-ups pass; each wrong one is caught by the check that is for it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from flax import nnx

import jdeepvis
from jdeepvis.networks import zoo
from jdeepvis.networks.pictures import fit
from jdeepvis.networks.preflight import input_range
from jdeepvis.networks.preflight.certainty import chance
from jdeepvis.networks.preflight.finding import OK, WARNING, WRONG
from jdeepvis.networks.preflight.summary import summarise
from jdeepvis.networks.tables import layer
from jdeepvis.types import JdeepvisError


def read(folder):
  files = [
    x
    for x in sorted(folder.rglob("*"))
    if x.suffix in (".jpg", ".JPEG", ".png")
  ]
  return [jdeepvis.read_picture(file) for file in files]


@pytest.fixture(scope="module")
def free():
  return read(zoo.third_party() / "photos")


@pytest.fixture(scope="module")
def noise():
  random = np.random.default_rng(0)
  return list(random.integers(0, 256, (3, 20, 20, 3), np.uint8))


def findings(network, photos):
  return {one.check: one for one in jdeepvis.check(network, photos)}


def verdicts(network, photos):
  return {name: one.verdict for name, one in findings(network, photos).items()}


def with_mean(network, mean):
  return network.replace(input=network.input.replace(mean=np.float32(mean)))


def with_kernel(network, change, name="conv1"):
  """The network with a layer's kernel changed."""
  weights = network.params[name]
  changed = {**weights, "kernel": change(weights["kernel"])}
  return network.replace(params={**network.params, name: changed})


def swapped(kernel):
  return kernel[:, :, ::-1]


@pytest.mark.parametrize("name", ["squeezenet1.1", "googlenet"])
def test_the_networks_in_the_box_are_right(name, free):
  found = findings(jdeepvis.load_network(name), free)
  assert {one.verdict for one in found.values()} == {OK}
  assert list(found) == [
    "finite values",
    "same twice",
    "batch",
    "dead units",
    "labels",
    "scale",
    "mean",
    "channel order",
    "top five",
  ]
  assert all(one.sentence.endswith(".") for one in found.values())
  assert "Egyptian cat" in found["top five"].sentence


def test_the_example_of_the_docs_runs(capsys):
  text = (zoo.third_party().parent / "docs" / "preflight.md").read_text()
  (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
  exec(example, {})
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 9 and all(line.startswith("ok ") for line in lines)


def test_figures_are_those_of_the_network(noise):
  # With the last weights as large as others', it tells images apart.
  network = with_kernel(small_networks.classifier(), lambda x: 30 * x, "conv10")
  found = findings(network, noise)
  images = np.stack([jdeepvis.preprocess(x, network.input) for x in noise])
  blobs = network(images)
  reported = found["dead units"].figures
  assert reported.keys() == {"conv1", "conv2", "conv10"}
  for name, share in reported.items():
    dead = np.mean(np.max(blobs[name], axis=(0, 1, 2)) <= 0)
    assert share == pytest.approx(dead)
  scores = np.asarray(blobs["scores"]).reshape(3, -1)
  standard = (scores.T - scores.mean(-1)) / scores.std(-1)
  certainty = found["mean"].figures["as given"]
  assert certainty == pytest.approx(standard.max(0).mean(), rel=1e-4)
  expected = sorted(jax.nn.softmax(scores[0]).tolist(), reverse=True)[:5]
  reported = found["top five"].figures
  np.testing.assert_allclose(list(reported.values()), expected, rtol=1e-4)
  best = int(scores[0].argmax())
  assert next(iter(reported)) == f"{best} thing {best}, or so"


def test_scales_that_are_wrong(squeezenet, free):
  for factor, reported in (
    (255, "too large"),
    (58, "too large"),
    (1 / 255, "too small"),
  ):
    network = with_kernel(squeezenet, lambda x, f=factor: x * np.float32(f))
    found = findings(network, free)
    assert (
      found["scale"].verdict == WRONG and reported in found["scale"].sentence
    )
    assert "channel order" not in found
  with_ones = with_mean(squeezenet, (0.485, 0.456, 0.406))
  assert "range=(0, 1)" in findings(with_ones, free)["mean"].sentence


def test_an_input_of_another_scale_or_order_than_the_model(squeezenet, free):
  """The model is trained on (x / 255 - mean) / deviation, blue first."""
  deviation = np.float32([58.4, 57.1, 57.4])

  def trained(kernel):
    return swapped(kernel * deviation[:, None])

  model = with_kernel(squeezenet, trained)
  right = model.input.replace(deviation=deviation, bgr=True)
  assert WRONG not in verdicts(model.replace(input=right), free).values()
  found = findings(model.replace(input=right.replace(deviation=1)), free)
  assert found["scale"].verdict == WRONG
  assert "InputSpec(range=(0, 1))" in found["scale"].sentence
  faint = findings(squeezenet.replace(input=right.replace(deviation=255)), free)
  assert faint["scale"].verdict == WRONG
  assert "too small" in faint["scale"].sentence


def test_a_network_that_scales_its_input_itself_may_have_any(free):
  inner = small_networks.classifier()

  def normalised(params, images):
    deviation = images.std(axis=(1, 2, 3), keepdims=True)
    return inner.apply(params, images * 60 / deviation)

  network = jdeepvis.from_function(
    normalised, inner.params, inner.input, output="scores"
  )
  found = findings(network, free)["scale"]
  assert found.verdict == OK
  now, faint, strong = found.figures.values()
  assert now > 0
  np.testing.assert_allclose([faint, strong], now, rtol=1e-3)


def test_imagenets_mean_the_other_way_round(squeezenet, free):
  found = findings(with_mean(squeezenet, (104, 117, 123)), free)["mean"]
  assert found.verdict == WRONG
  assert "red, green, blue = 104, 117, 123" in found.sentence
  # As an image, and of torchvision's precise values.
  images = np.full((227, 227, 3), (103.5, 116.3, 123.7))
  assert verdicts(with_mean(squeezenet, images), free)["mean"] == WRONG


def test_a_network_that_is_surer_with_the_mean_so_is_warned_of():
  scores = np.random.default_rng(0).normal(size=(10, 12))
  surer = scores + 5 * (scores == scores.max(-1, keepdims=True))
  spec = jdeepvis.InputSpec((9, 9, 3), np.float32([104, 117, 123]))
  name = "the mean in the other order"
  assert input_range.mean(spec, surer, {name: scores}).verdict == WARNING
  assert input_range.mean(spec, scores, {name: surer}).verdict == WRONG
  assert input_range.mean(spec, scores, {name: scores}).verdict == WRONG


def test_four_photographs_can_but_warn_of_swapped_channels(squeezenet, free):
  found = findings(with_kernel(squeezenet, swapped), free)["channel order"]
  assert found.verdict == WARNING and "more photographs" in found.sentence


@pytest.mark.slow
@pytest.mark.optimised
def test_thirty_photographs_are_sure_of_swapped_channels(
  squeezenet, shared_data
):
  photos = read(shared_data / "photos")[::3]
  found = findings(with_kernel(squeezenet, swapped), photos)
  assert found["channel order"].figures["by chance"] < 0.01
  assert "InputSpec(bgr=True)" in found["channel order"].sentence
  assert [x for x in found if found[x].verdict != OK] == ["channel order"]


@pytest.mark.slow
@pytest.mark.optimised
def test_googlenets_mean_in_the_wrong_order(free, shared_data):
  """Told by its numbers; its certainty, measured, says so too."""
  network = jdeepvis.load_network("googlenet")
  wrong = with_mean(network, (104, 117, 123))
  found = findings(wrong, free)
  assert "turn it round" in found["mean"].sentence
  assert [x for x in found if found[x].verdict == WRONG] == ["mean"]
  pixels = [
    fit(photo, network.input) for photo in read(shared_data / "photos")[::2]
  ]
  given, turned = (
    summarise(one, np.stack(pixels) - one.input.mean).scores
    for one in (wrong, network)
  )
  assert chance(given, turned) < 0.01


def cifar(shared_data, **changes):
  caffe = shared_data / "caffe"
  settings = {
    "weights": caffe / "models" / "cifar10_quick_v1.caffemodel",
    "mean": caffe / "means" / "cifar10_mean.binaryproto",
    "bgr": False,
  }
  net = caffe / "nets" / "cifar10_quick.prototxt"
  return jdeepvis.load_network(net, **settings | changes)


def test_cifar_10_rightly_and_wrongly(shared_data):
  photos = read(shared_data / "cifar10")
  assert set(verdicts(cifar(shared_data), photos).values()) == {OK}
  # ImageNet's photographs are not what it knows.
  others = read(shared_data / "photos")
  assert WRONG not in verdicts(cifar(shared_data), others).values()
  wrong = {
    "channel order": {"bgr": True},
    "mean": {"mean": None},
    "scale": {"scale": 1 / 255},
  }
  for check, changes in wrong.items():
    found = verdicts(cifar(shared_data, **changes), photos)
    assert [x for x in found if found[x] == WRONG] == [check]


def test_lenet_rightly_and_wrongly(shared_data, free):
  caffe = shared_data / "caffe"

  def lenet(scale):
    return jdeepvis.load_network(
      caffe / "nets" / "lenet.prototxt",
      weights=caffe / "models" / "lenet_v2.caffemodel",
      scale=scale,
    )

  digits = np.load(shared_data / "mnist200.npz")["images"][..., None]
  for photos in (digits, free):
    assert set(verdicts(lenet(1 / 256), photos).values()) == {OK}
  assert verdicts(lenet(1), digits)["scale"] == WRONG
  assert verdicts(lenet(1 / 256**2), digits)["scale"] == WRONG


class _Model(nnx.Module):
  def __init__(self):
    rngs = nnx.Rngs(0)
    self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(8, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, rngs=rngs)
    self.scores = nnx.Linear(8, 5, rngs=rngs)

  def __call__(self, images):
    x = jax.nn.relu(self.norm(self.conv(images)))
    return self.scores(self.dropout(x).mean((1, 2)))


def test_dropout_and_batch_statistics_left_on(noise):
  spec = jdeepvis.InputSpec((12, 12, 3), np.float32([120, 120, 120]))

  def reported(**modes):
    model = _Model()
    model.eval()
    model.set_attributes(**modes, raise_if_not_found=False)
    return findings(jdeepvis.from_nnx(model, spec), noise)

  found = reported()
  assert found["same twice"].verdict == found["batch"].verdict == OK
  found = reported(deterministic=False)
  assert found["same twice"].verdict == WRONG and found["batch"].verdict == OK
  assert "'dropout'" in found["same twice"].sentence
  assert "'conv'" not in found["same twice"].sentence
  found = reported(use_running_average=False)
  assert found["batch"].verdict == WRONG and found["same twice"].verdict == OK
  assert "'norm'" in found["batch"].sentence


def test_values_that_are_no_numbers(noise):
  network = small_networks.classifier()

  def spoil(kernel):
    kernel = np.array(kernel)
    kernel[0, 0, 0, :2] = np.nan, np.inf
    return kernel

  found = findings(with_kernel(network, spoil, "conv2"), noise)
  assert found["finite values"].verdict == WRONG
  assert "'conv2/kernel' hold 2 values" in found["finite values"].sentence
  assert list(found) == ["finite values", "labels", "mean"]

  def huge(kernel):
    return np.full_like(kernel, 3e38)

  found = findings(with_kernel(network, huge, "conv2"), noise)
  assert found["finite values"].verdict == WRONG
  assert "Layer 'conv2/pre'" in found["finite values"].sentence


def test_dead_layers(squeezenet, free):
  weights = squeezenet.params["fire5/squeeze1x1"]
  dead = {**weights, "bias": weights["bias"] - np.float32(1e6)}
  params = {**squeezenet.params, "fire5/squeeze1x1": dead}
  found = findings(squeezenet.replace(params=params), free)
  # What follows from it is not reported as if it were another fault.
  assert [x for x in found if found[x].verdict != OK] == ["dead units"]
  assert "layer 'fire5/squeeze1x1';" in found["dead units"].sentence
  half = dead["bias"] * (np.arange(32) < 20)
  params["fire5/squeeze1x1"] = {**weights, "bias": half}
  found = findings(squeezenet.replace(params=params), free)["dead units"]
  assert found.verdict == WARNING
  assert found.figures["fire5/squeeze1x1"] >= 20 / 32


def test_dead_layers_of_a_model_without_a_graph(noise):
  def function(params, images):
    hidden = jax.nn.relu(
      images @ params["kernel"] + params["bias"][None, None, None]
    )
    return {"hidden": hidden, "output": hidden.mean((1, 2)) - 1}

  spec = jdeepvis.InputSpec((9, 9, 3), np.zeros(3, np.float32))
  params = {"kernel": jnp.eye(3, 4), "bias": jnp.float32([0, 0, 0, -1])}
  network = jdeepvis.from_function(function, params, spec)
  assert findings(network, noise)["dead units"].figures == {"hidden": 0.25}
  params["bias"] -= 1e4
  assert verdicts(network, noise)["dead units"] == WRONG


def test_labels_and_scores_that_do_not_fit(noise):
  network = small_networks.classifier()
  assert verdicts(network, noise)["labels"] == OK
  assert verdicts(network.replace(labels=()), noise)["labels"] == OK
  found = findings(network.replace(labels=network.labels[1:]), noise)
  assert found["labels"].verdict == WRONG
  assert "8 labels, but 'scores' has 9" in found["labels"].sentence
  found = findings(network.replace(output="prob"), noise)
  assert found["class scores"].verdict == WRONG
  assert "scale" not in found


def test_a_network_without_class_scores(noise):
  table = layer("norm", "lrn", "data")
  network = small_networks.random_network(table, (9, 9, 3))
  found = findings(network.replace(output=None), noise)
  assert list(found) == ["finite values", "same twice", "batch", "mean"]
  reverse = with_mean(network.replace(output=None), (104, 117, 123))
  assert verdicts(reverse, noise)["mean"] == WRONG


def test_one_photograph_is_too_few(free):
  with pytest.raises(JdeepvisError, match="two or more"):
    jdeepvis.check(small_networks.classifier(), free[:1])
