"""Folders of rendered pictures: what the records say, and what never changes.

The records are held against the files themselves, read back and shown to the
network once more.
"""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jdeepvis
from jdeepvis.display.folder import PictureFolder
from jdeepvis.networks.graph import INPUT, GraphApply, infer_shapes
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.tables import conv, layer, max_pool
from jdeepvis.runs import renders
from jdeepvis.runs.forecast import forecast
from jdeepvis.runs.renders import file_of
from jdeepvis.runs.store import Store
from jdeepvis.synthesis import batch
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.requests import Request
from jdeepvis.synthesis.run import run as make
from jdeepvis.synthesis.transforms import scale_to_rms

pytestmark = pytest.mark.optimised

LABELS = tuple(f"thing {i}, or so" for i in range(9))
RECIPE = make_recipe(scale_to_rms, 4.0, decay=1e-3, steps=24)
SHIFTED = RECIPE.replace(jitter=0.03, keep="last")


# Runs of 24 steps report twice, so that they can be stopped between. And a
# batch is two pictures, one a device, so that there are several.
SMALL = {"each": {"scores": 1, "conv2": 1}, "chunk": 12}


def make_network():
  """SqueezeNet's first and last layers alone, which compile in a moment."""
  layers = (
    *conv("conv1", INPUT, 16, 3, stride=2),
    *max_pool("pool1", "conv1"),
    *conv("conv2", "pool1", 12, 3, pad=1),
    *conv("conv10", "conv2", 9, 1),
    *layer("scores", "global_average", "conv10/pre"),
    *layer("pool10", "global_average", "conv10"),
    *layer("prob", "softmax", "pool10"),
  )
  spec = InputSpec((33, 33, 3), np.array([123, 117, 104], np.float32))
  generator = np.random.default_rng(0)
  params = {
    name: {
      leaf: jnp.float32(generator.normal(size=shape) / math.prod(shape) ** 0.5)
      for leaf, shape in leaves.items()
    }
    for name, leaves in infer_shapes(layers, spec.shape).weights.items()
  }
  return Network(GraphApply(layers), params, spec, layers, LABELS, "scores")


@pytest.fixture(scope="module")
def network():
  return make_network()


def request(unit, layer="scores", recipe=RECIPE, seed=0, **more):
  return Request(layer, unit, seed, "ours", recipe, **more)


def start(network, wanted):
  return initial_image(jax.random.fold_in(wanted.key, 0), network.input)


def run(network, path, requests, report=lambda report: None, **more):
  """A run's folder when it is done, and the news it reported."""
  folder = PictureFolder.open(path, {})
  news = []
  for one in renders.render_folder(folder, network, requests, **SMALL, **more):
    news.append(one)
    report(one)
  folder.finish("Test")
  return folder, news


def read(path):
  """Records by file, files as float images, and the two archives."""
  records = json.loads((path / "manifest.json").read_text())["records"]
  pixels = {}
  for record in records:
    with Image.open(path / record["file"]) as image:
      pixels[record["file"]] = np.asarray(image)
  with np.load(path / "images.npz") as images:
    images = dict(images)
  with np.load(path / "history.npz") as history:
    history = dict(history)
  return {record["file"]: record for record in records}, pixels, images, history


def assert_same_pictures(path, other, files):
  for (_, pixels, images, history), (_, pixels2, images2, history2) in [
    (read(path), read(other))
  ]:
    for file in files:
      stem = file.removesuffix(".png")
      assert (path / file).read_bytes() == (other / file).read_bytes()
      np.testing.assert_array_equal(pixels[file], pixels2[file])
      np.testing.assert_array_equal(images[stem], images2[stem])
      for what in ("score", "gradient_norm", "image_norm", "is_largest"):
        name = f"{stem}/{what}"
        np.testing.assert_array_equal(history[name], history2[name])


@pytest.fixture(scope="module")
def rendered(network, tmp_path_factory):
  """Two classes, and a neuron of a map away from its centre."""
  path = tmp_path_factory.mktemp("rendered")
  requests = [
    request(3),
    request(1),
    request(3, "conv2", position=(1, 2)),
    request(4, "conv2", position=(5, 5), canvas="image"),
    request(2, "scores", SHIFTED, seed=1),
  ]
  run(network, path, requests)
  return path, {file_of(one): one for one in requests}


def field(wanted):
  """What a picture shows of the input; for conv2, counted by hand.

  conv1 sees 3 and steps 2, pool1 the same, conv2 sees one more cell of pool1
  on every side: 4 * (row - 1) to 4 * (row + 1) + 6, cut off at the border.
  """
  if wanted.layer == "scores" or wanted.canvas == "image":
    return slice(None), slice(None)
  return tuple(
    slice(max(0, 4 * (cell - 1)), 4 * (cell + 1) + 7)
    for cell in wanted.position
  )


def test_records_say_what_the_files_show(network, rendered):
  path, requests = rendered
  records, pixels, images, history = read(path)
  assert records.keys() == requests.keys()
  for file, record in records.items():
    wanted, stem = requests[file], file.removesuffix(".png")
    assert record["layer"] == wanted.layer and record["unit"] == wanted.unit
    assert record["seed"] == wanted.seed and record["recipe"] == "ours"
    assert record["seconds"] > 0
    scores = history[f"{stem}/score"]
    assert scores.shape == (24,)
    assert record["score_start"] == scores[0]
    assert record["score_best"] == scores.max()
    assert record["step_best"] == scores.argmax()
    assert record["score_best"] > record["score_start"]
    np.testing.assert_array_equal(
      np.round(np.clip(images[stem] + network.input.mean, 0, 255)),
      pixels[file],
    )
    image = np.zeros((1, *network.input.shape), np.float32)
    image[0][field(wanted)] = pixels[file] - network.input.mean
    blobs = network.apply(network.params, jnp.asarray(image))
    values = np.asarray(blobs[wanted.layer][0], np.float64)
    # The map that was asked: the unit's one cell, unless it is all rendered.
    whole = wanted.layer == "scores" or wanted.canvas == "image"
    rivals = values if whole else values[wanted.position]
    if wanted.layer == "scores":
      reached = values.ravel()[wanted.unit]
      logits = np.asarray(blobs["pool10"], np.float64).ravel()
      probabilities = np.exp(logits - logits.max())
      chance = probabilities[wanted.unit] / probabilities.sum()
      assert record["probability"] == pytest.approx(chance, rel=1e-4)
      assert record["label"] == LABELS[wanted.unit]
    else:
      reached = values[(*wanted.position, wanted.unit)]
      assert record["probability"] is None and record["label"] is None
    assert record["activation"] == pytest.approx(reached, rel=1e-4, abs=1e-5)
    assert record["score"] == record["activation"]
    # Of the picture itself, whatever the way to it was like.
    largest = rivals.max() - reached < 1e-5
    assert record["status"] == ("ok" if largest else "majority_failure")
    seen = history[f"{stem}/is_largest"].any()
    assert record["status_of_history"] == ("ok" if seen else "majority_failure")


def test_scores_begin_at_the_start_image(network, rendered):
  path, requests = rendered
  records = read(path)[0]
  for file, wanted in requests.items():
    if wanted.recipe is SHIFTED:  # augmented at random
      continue
    image = start(network, wanted)
    score = jdeepvis.bind(
      network, jdeepvis.neuron(wanted.layer, wanted.unit, wanted.position)
    )
    value, _ = score(jax.random.key(0), image)
    assert abs(value) > 0.1  # a dead unit would tell nothing
    expected = pytest.approx(float(value), rel=1e-4, abs=1e-5)
    assert records[file]["score_start"] == expected


def test_the_recipe_says_which_image_is_kept(network, rendered):
  """The best one scores what the record says; the last one is the last."""
  path, requests = rendered
  records, _, images, history = read(path)
  for file, wanted in requests.items():
    stem = file.removesuffix(".png")
    norm = np.linalg.norm(images[stem])
    norms = history[f"{stem}/image_norm"]
    step = -1 if wanted.recipe.keep == "last" else records[file]["step_best"]
    assert norm == pytest.approx(norms[step], rel=1e-5)


def favour(network, unit):
  """The same network with one class far ahead of all."""
  conv10 = dict(network.params["conv10"])
  conv10["bias"] = conv10["bias"].at[unit].add(1e3)
  return network.replace(params={**network.params, "conv10": conv10})


@pytest.mark.parametrize(
  ("change", "recipe", "status"),
  [
    (lambda net: favour(net, 1), RECIPE, "ok"),
    (lambda net: favour(net, 2), RECIPE, "majority_failure"),
    (
      lambda net: favour(net, 1),
      RECIPE.replace(rate=0.0, decay=0.0),
      "no_progress",
    ),
    (
      lambda net: net.replace(params=jax.tree.map(jnp.zeros_like, net.params)),
      RECIPE,
      "zero_gradient",
    ),
    (
      lambda net: net.replace(
        params=jax.tree.map(lambda leaf: leaf * jnp.nan, net.params)
      ),
      RECIPE.replace(keep="last"),
      "nan",
    ),
  ],
  ids=["ok", "majority_failure", "no_progress", "zero_gradient", "nan"],
)
def test_every_status_reaches_the_record(
  network, tmp_path, change, recipe, status
):
  network = change(network)
  run(network, tmp_path, [request(1, recipe=recipe)])
  (record,) = read(tmp_path)[0].values()
  assert record["status"] == status
  if status == "nan":
    assert record["activation"] is None and record["score_best"] is None
  # A second run reads it all back.
  run(network, tmp_path, [request(1, recipe=recipe)])
  assert f'"status": "{status}"' in (tmp_path / "index.html").read_text()


class StopError(Exception):
  pass


def stop_at(number):
  calls = []

  def report(news):
    calls.append(news)
    if len(calls) == number:
      raise StopError

  return report


def test_a_stopped_run_goes_on_from_its_checkpoint(network, rendered, tmp_path):
  requests = [request(3), request(1)]
  with pytest.raises(StopError):
    run(network, tmp_path, requests, stop_at(1), seconds=0)
  folder = PictureFolder.open(tmp_path, {})
  assert folder.manifest["records"] == []
  assert renders.count_image_steps(folder, requests) == 2 * 12
  # Another set is no continuation, and nothing is taken off its work.
  assert renders.count_image_steps(folder, [request(4)]) == 24
  _, news = run(network, tmp_path, requests)
  assert [one.image_steps for one in news] == [2 * 12]
  assert_same_pictures(tmp_path, rendered[0], list(map(file_of, requests)))
  assert not (tmp_path / ".unfinished").exists()


def test_a_run_killed_between_its_last_step_and_its_files_goes_on(
  network, rendered, tmp_path
):
  """A checkpoint that has all steps lacks nothing but the pictures."""
  requests = [request(3), request(1)]
  *_, last = make(network, requests, **SMALL)
  assert last.progress.step == 24
  folder = PictureFolder.open(tmp_path, {})
  files = np.array(list(map(file_of, requests)))
  kept = {"files": files, **batch.pack(last.progress)}
  Store(folder.unfinished).save(kept)
  folder.settle("pictures per device, scores", lambda: last.each)
  assert renders.count_image_steps(folder, requests) == 0
  _, news = run(network, tmp_path, requests)
  assert [one.image_steps for one in news] == [0]
  assert_same_pictures(tmp_path, rendered[0], list(map(file_of, requests)))
  assert not (tmp_path / ".unfinished").exists()


def test_a_checkpoint_of_other_pictures_is_left_out(
  network, rendered, tmp_path
):
  with pytest.raises(StopError):
    run(network, tmp_path, [request(0), request(3)], stop_at(1), seconds=0)
  _, news = run(network, tmp_path, [request(3), request(1)])
  assert sum(one.image_steps for one in news) == 2 * 24
  files = [file_of(request(3)), file_of(request(1))]
  assert_same_pictures(tmp_path, rendered[0], files)


def without(name, kept):
  return {key: kept[key] for key in kept if key != name}


def fewer(kept):
  return {**kept, "state": without("3", kept["state"])}


def narrower(kept):
  state = kept["state"]
  return {**kept, "state": {**state, "1": state["1"][:, 1:]}}


@pytest.mark.parametrize(
  ("change", "reported"),
  [
    (
      functools.partial(without, "history"),
      r"checkpoint.npz' is damaged or of",
    ),
    (functools.partial(without, "step"), r"checkpoint.npz' is damaged or of"),
    (fewer, r"remove its checkpoint \(in a folder \.unfinished\)"),
    (narrower, r"remove its checkpoint \(in a folder \.unfinished\)"),
  ],
)
def test_a_checkpoint_of_an_earlier_version_is_refused(
  network, tmp_path, change, reported
):
  requests = [request(3), request(1)]
  with pytest.raises(StopError):
    run(network, tmp_path, requests, stop_at(1), seconds=0)
  store = Store(PictureFolder.open(tmp_path, {}).unfinished)
  store.save(change(store.load()))
  with pytest.raises(jdeepvis.JdeepvisError, match=reported):
    run(network, tmp_path, requests)
  store.clear()
  run(network, tmp_path, requests)


def test_stopped_between_two_batches_the_first_is_kept(
  network, rendered, tmp_path
):
  requests = [request(0), request(2), request(1), request(3)]
  with pytest.raises(StopError):
    run(network, tmp_path, requests, stop_at(3))
  folder = PictureFolder.open(tmp_path, {})
  assert file_of(request(0)) in folder and file_of(request(1)) not in folder
  kept = {
    file: (file.read_bytes(), file.stat().st_mtime_ns)
    for file in tmp_path.rglob("*.png")
  }
  assert len(kept) == 2
  run(network, tmp_path, requests)
  for file, before in kept.items():
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
  files = [file_of(request(3)), file_of(request(1))]
  assert_same_pictures(tmp_path, rendered[0], files)


def test_neighbours_and_slots_leave_no_trace(network, rendered, tmp_path):
  requests = [request(unit) for unit in (1, 7, 8, 3, 5)]
  run(network, tmp_path, requests)
  files = [file_of(request(3)), file_of(request(1))]
  assert_same_pictures(tmp_path, rendered[0], files)


def test_extending_leaves_old_pictures_alone(network, tmp_path):
  run(network, tmp_path, [request(3)])
  old = tmp_path / file_of(request(3))
  before = old.read_bytes(), old.stat().st_mtime_ns
  record, _, images, _ = read(tmp_path)
  _, news = run(network, tmp_path, [request(3), request(1), request(3, seed=1)])
  assert sum(one.image_steps for one in news) == 2 * 24
  assert (old.read_bytes(), old.stat().st_mtime_ns) == before
  more_records, _, more_images, _ = read(tmp_path)
  assert more_records[file_of(request(3))] == record[file_of(request(3))]
  assert len(more_images) == 3
  for name, image in images.items():
    np.testing.assert_array_equal(more_images[name], image)
  # Nothing left to do compiles and renders nothing.
  assert run(network, tmp_path, [request(1)])[1] == []


def test_a_forecast_counts_the_work_that_is_left(network, tmp_path):
  """And neither makes a picture nor changes one that is made later."""
  folder = PictureFolder.open(tmp_path, {})
  longer = RECIPE.replace(steps=30)
  wanted = [
    request(3), request(1), request(5), request(2, "conv2"),
    request(3, recipe=longer, seed=1),
  ]  # fmt: skip

  reported = forecast(folder, network, wanted)
  assert (reported.image_steps, reported.programs) == (4 * 24 + 30, 3)
  assert 0 < reported.seconds < 600
  assert folder.manifest["records"] == []
  folder, _ = run(network, tmp_path, wanted)
  assert forecast(folder, network, wanted) == (0, 0, 0.0)


def test_a_picture_wanted_twice_is_made_once(network, tmp_path):
  folder, news = run(network, tmp_path, [request(3)] * 3)
  assert sum(one.image_steps for one in news) == 24
  assert len(folder.manifest["records"]) == 1


def test_units_start_from_noise_of_their_own(network):
  first, second = (start(network, request(u)) for u in (1, 2))
  assert np.abs(first - second).mean() > 5


def test_seeds_and_directions_differ(network, tmp_path):
  run(network, tmp_path, [request(3), request(3, seed=1)])
  _, _, images, _ = read(tmp_path)
  first, second = images.values()
  assert np.abs(first - second).mean() > 5
  down = tmp_path / "down"
  run(network, down, [request(3, direction=-1)])
  (record,) = read(down)[0].values()
  (up, *_) = read(tmp_path)[0].values()
  assert record["score_best"] > record["score_start"]
  assert record["score_start"] == pytest.approx(-up["score_start"], rel=1e-4)
  assert record["activation"] < up["activation"]


def test_batches_and_strengths_compile_nothing_new(network, tmp_path):
  """Three pictures, two a batch: the last batch is ragged."""
  run(network, tmp_path / "first", [request(unit) for unit in (0, 1)])
  compiled = []

  def listen(event, duration, **facts):
    if event == "/jax/core/compile/backend_compile_duration":
      compiled.append(facts.get("fun_name"))

  other = RECIPE.replace(rate=2.0, decay=0.0)
  wanted = [request(unit, recipe=other) for unit in (5, 6, 7)]
  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    run(network, tmp_path / "second", wanted)
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  assert not compiled


@pytest.mark.slow
def test_the_number_of_devices_leaves_no_trace(network, rendered, tmp_path):
  """A folder begun on two devices is continued on one, bit for bit."""
  path = tmp_path / "moved"
  run(network, path, [request(7)])
  program = f"""
import pathlib, jax
jax.config.update("jax_num_cpu_devices", 1)
import test_renders
assert jax.local_device_count() == 1
network = test_renders.make_network()
requests = [test_renders.request(unit) for unit in (3, 1)]
test_renders.run(network, pathlib.Path({str(path)!r}), requests)
"""
  here = Path(__file__).parent
  paths = os.pathsep.join([str(here), str(here.parents[1])])
  subprocess.run(
    [sys.executable, "-c", program],
    env={**os.environ, "PYTHONPATH": paths},
    check=True,
  )
  files = [file_of(request(3)), file_of(request(1))]
  assert_same_pictures(path, rendered[0], files)


def test_a_folder_is_written_from_python_and_extended(network, tmp_path):
  short = make_recipe(scale_to_rms, 4.0, steps=3)

  def pictures(targets, made=short, **more):
    return jdeepvis.render_many(
      network, targets, made, progress=False, each=1, **more
    )

  page = jdeepvis.write_folder(tmp_path / "out", pictures("scores:0-1"))
  before = {x: x.read_bytes() for x in page.parent.rglob("seed_*.png")}
  assert page.name == "index.html" and len(before) == 2
  jdeepvis.write_folder(page.parent, pictures(["scores:0-2", "conv2:3"]))
  after = {x: x.read_bytes() for x in page.parent.rglob("seed_*.png")}
  assert len(after) == 4 and before.items() <= after.items()
  other = short.replace(rate=5.0)
  with pytest.raises(jdeepvis.JdeepvisError, match=r"rate=4\.0, not 5\.0"):
    jdeepvis.write_folder(page.parent, pictures("scores:0", other))
  with pytest.raises(jdeepvis.JdeepvisError, match="initial='noise'"):
    jdeepvis.write_folder(page.parent, pictures("scores:0", initial="mean"))
