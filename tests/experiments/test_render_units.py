"""The script as people use it: killed, resumed, extended, misled."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from scripts import Script

import jdeepvis
from experiments import recipe_flags, report
from jdeepvis.display.atlas import open_atlas
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.networks import convert, weights, zoo
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.networks.receptive_field import receptive_field
from jdeepvis.runs import renders
from jdeepvis.runs.renders import file_of
from jdeepvis.synthesis.initial import initial_image, original_noise

SCRIPT = Script("experiments.render_units")
render_units = SCRIPT.module
ROOT = Path(__file__).parents[2]
# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module")

COMMAND = [
  sys.executable,
  "-m",
  "experiments.render_units",
  "--net=squeezenet1.1",
]


@pytest.fixture
def script(monkeypatch, squeezenet):
  """Runs the script's `main` within this process, up to its very end."""
  monkeypatch.setattr(render_units, "load_network", load_once(squeezenet))
  net = "--net=squeezenet1.1"
  return lambda *arguments: SCRIPT.run(net, *arguments)


def load_once(squeezenet):
  def load_network(name):
    return squeezenet if name == "squeezenet1.1" else zoo.load_network(name)

  return load_network


@pytest.fixture
def refusal(script, tmp_path):
  """What the script says of bad arguments, and that it leaves no folder."""

  def run(*arguments, out=tmp_path / "out"):
    known = out.exists()
    with pytest.raises(SystemExit) as stop:
      script(*arguments, f"--out={out}")
    # A text here goes to standard error, and the status is 1.
    sentence = stop.value.code
    assert sentence.startswith("error: ") and sentence.endswith(".")
    assert "\n" not in sentence
    assert out.exists() == known
    return sentence

  return run


WRONG = [
  (["--layer=conv2"], ["'conv2'", "nearest: ", "conv1"]),
  (["--units=1000"], ["'1000'", "0 to 999"]),
  (["--units=flamongo"], ["'flamongo'", "nearest: flamingo"]),
  (["--units=shark"], ["ambiguous"]),
  (["--units="], ["No unit"]),
  (["--layer=conv1", "--units=flamingo"], ["numbers only, 0 to 63"]),
  (["--recipe=defualt"], ["'defualt'", "nearest: default"]),
  (["--recipe="], ["recipe ''"]),
  (["--net=caffenot"], ["'caffenot'", "squeezenet1.1"]),
  (["--net=missing.safetensors"], ["no weight file 'missing.safetensors'"]),
  (["--initial=missing.jpg"], ["=missing.jpg is", "noise, uniform, mean"]),
  (["--position=1"], ["--position=1: not ROW,COLUMN"]),
  (["--position=a,b"], ["--position=a,b"]),
  (["--position=1,2,3"], ["--position=1,2,3"]),
  (["--layer=conv1", "--units=1", "--position=113,0"], ["(113, 0)", "conv1"]),
  (["--layer=conv1", "--units=1", "--position=-1,0"], ["(-1, 0)", "conv1"]),
  (["--position=1,1"], ["(1, 1)", "'scores'"]),
  (["stray"], ["'stray'"]),
  (["--config=missing.py"], ["no config file 'missing.py'"]),
  (["--steps=many"], ["Flag --steps=many", "--help"]),
  (["--seeds=0"], ["Flag --seeds=0", "positive"]),
  (["--keep=worst"], ["Flag --keep=worst", "<best|last>"]),
  (["--stpes=3"], ["no flag --stpes", "nearest: steps"]),
  (["--canvas=large"], ["--canvas=large", "field, image nor HEIGHT,WIDTH"]),
  (["--canvas=0,64"], ["--canvas=0,64"]),
  (["--canvas=9,9"], ["images of 9 x 9 pixels", "window"]),
  ([f"--config={ROOT / 'README.md'}"], ["config cannot be used: SyntaxError"]),
]


@pytest.mark.parametrize(
  ("arguments", "reported"), WRONG, ids=[" ".join(case[0]) for case in WRONG]
)
def test_wrong_arguments_are_one_sentence(refusal, arguments, reported):
  sentence = refusal("--steps=1", *arguments)
  assert all(words in sentence for words in reported)


def test_wrong_images_are_named(refusal, tmp_path):
  photo = zoo.third_party() / "photos" / "chelsea.jpg"
  broken = tmp_path / "broken.jpg"
  for content in (b"", b"text", photo.read_bytes()[:900]):
    broken.write_bytes(content)
    assert "broken.jpg" in refusal(f"--initial={broken}")
  assert str(tmp_path) in refusal(f"--initial={tmp_path}")


def test_wrong_weight_files_are_named(refusal, tmp_path):
  folder = zoo.third_party() / "squeezenet_v1.1"
  whole = (folder / "squeezenet_v1.1.safetensors").read_bytes()
  path = tmp_path / "net.safetensors"
  for content in (b"", b"text", whole[:100_000], whole[:-1]):
    path.write_bytes(content)
    assert "net.safetensors" in refusal(f"--net={path}")
  # Foreign: a picture under that name.
  Image.new("RGB", (4, 4)).save(path, format="PNG")
  assert "net.safetensors" in refusal(f"--net={path}")


def test_wrong_folders_are_named_and_left_alone(refusal, script, tmp_path):
  thesis = tmp_path / "thesis"
  thesis.mkdir()
  (thesis / "chapter.txt").write_text("years of work")
  assert "no folder of pictures" in refusal(out=thesis)
  assert "chapter.txt" in refusal(out=thesis / "chapter.txt")
  assert "below" in refusal(out=thesis / "chapter.txt" / "below")
  assert [entry.name for entry in thesis.iterdir()] == ["chapter.txt"]
  assert (thesis / "chapter.txt").read_text() == "years of work"
  (thesis / "manifest.json").write_text('{"settings": {"net"')
  assert "manifest.json" in refusal(out=thesis)
  with pytest.raises(SystemExit, match=r"^error: .*--out=FOLDER\.$"):
    script("--units=1")


@pytest.mark.parametrize(
  ("entries", "reported"),
  [
    ({"units": "1", "layr": "conv1"}, "'layr' is no flag"),
    ({"steps": "many"}, "'steps' is wrong"),
    ({"direction": 2}, "'direction' is wrong"),
    ({"jobs": ({"units": 3, "keep": "last"},)}, "job of the config has 'keep'"),
    ({"jobs": ({"layer": "conv2"},)}, "'conv2'"),
    ({"jobs": ({"steps": "many"},)}, "a job with steps='many'"),
    ({"jobs": ({"steps": 0},)}, "a job with steps=0"),
    ({"jobs": ({"units": None},)}, "a job with units=None"),
    ({"jobs": ({"seeds": "two"},)}, "a job with seeds='two'"),
    ({"jobs": ({"recipe": ("none", "nome")},)}, "no recipe 'nome'"),
  ],
)
def test_wrong_configs_are_one_sentence(refusal, tmp_path, entries, reported):
  assert reported in refusal(f"--config={config(tmp_path, entries)}")


def config(tmp_path, entries):
  path = tmp_path / "config.py"
  path.write_text(
    "from ml_collections import ConfigDict\n"
    f"def get_config():\n  return ConfigDict({entries!r})\n"
  )
  return path


@pytest.fixture
def requests(script, monkeypatch, tmp_path):
  """The requests that arguments lead to, none of them rendered."""

  def run(*arguments, out="requests"):
    seen = []

    def catch(folder, network, requests, initial):
      seen.extend(requests)

    monkeypatch.setattr(renders, "fill_folder", catch)
    monkeypatch.setattr(report, "print_results", lambda folder: None)
    monkeypatch.setattr(PictureFolder, "finish", lambda *_, **__: None)
    script(*arguments, f"--out={tmp_path / out}")
    return seen

  return run


def test_the_demo_is_small_and_shows_what_it_should(requests, monkeypatch):
  """Few enough steps for four minutes on a slow machine, setting up as well."""
  monkeypatch.setattr(render_units, "load_network", zoo.load_network)
  config = f"--config={ROOT / 'configs' / 'demo.py'}"
  wanted = requests(f"{config}:googlenet", "--net=googlenet")
  assert len({file_of(one) for one in wanted}) == len(wanted) == 6
  assert sum(one.recipe.steps for one in wanted) <= 800
  assert {one.unit for one in wanted} >= {130, 366, 779}
  assert [one.recipe_name for one in wanted[-2:]] == ["none", "paper_c"]
  alexnet = f"{config}:alexnet-conv", "--net=alexnet-conv"
  wanted = requests(*alexnet, out="alexnet")
  assert len(wanted) == 20 and {one.layer for one in wanted} == {
    f"conv{number}" for number in range(1, 6)
  }
  assert {one.canvas for one in wanted} == {"field"}


def test_arguments_become_requests(requests):
  wanted = requests(
    "--layer=fire5/expand3x3", "--units=3-4,9", "--seeds=2",
    "--recipe=default, paper_c", "--steps=7", "--position=2,3",
    "--direction=-1", "--keep=best",
  )  # fmt: skip
  assert [(one.recipe_name, one.unit, one.seed) for one in wanted] == [
    (recipe, unit, seed)
    for recipe in ("default", "paper_c")
    for unit in (3, 4, 9)
    for seed in (0, 1)
  ]
  for one in wanted:
    assert (one.layer, one.position) == ("fire5/expand3x3", (2, 3))
    assert (one.direction, one.recipe.steps) == (-1, 7)
    assert one.recipe.keep == "best"


def test_a_recipe_has_its_own_steps_and_a_flag_beats_the_config(
  requests, tmp_path
):
  entries = {"units": 7, "recipe": ("none", "paper_b"), "direction": -1}
  path = config(tmp_path, entries)
  wanted = requests(f"--config={path}", "--recipe=paper_b,paper_d")
  assert [one.recipe.steps for one in wanted] == [750, 1000]
  assert {(one.unit, one.direction) for one in wanted} == {(7, -1)}


PHOTO = zoo.third_party() / "photos" / "chelsea.jpg"


def starts(network, key):
  """Whole images that a picture of seed 0 can start from, by --initial."""
  spec = network.input
  noise = {
    kind: initial_image(jax.random.fold_in(key, 0), spec, kind)
    for kind in ("noise", "uniform", "mean")
  }
  photo = preprocess(read_picture(PHOTO), spec)
  return {**noise, "original": original_noise(0, spec), str(PHOTO): photo}


def test_a_picture_starts_from_its_initial_image(script, tmp_path, squeezenet):
  """Of one step the image looked at last is the first."""
  key = jax.random.fold_in(jax.random.key(0), 5)
  field = receptive_field(squeezenet, "conv1", (40, 50)).slices
  for number, (kind, whole) in enumerate(starts(squeezenet, key).items()):
    out = tmp_path / str(number)
    script(
      "--layer=conv1", "--units=5", "--position=40,50", "--recipe=default",
      "--steps=1", f"--initial={kind}", f"--out={out}",
    )  # fmt: skip
    with np.load(out / "images.npz") as images:
      (image,) = images.values()
    np.testing.assert_allclose(image, np.asarray(whole)[field], atol=1e-4)


def test_old_spellings_serve_and_name_the_new_ones(requests, tmp_path, capsys):
  wanted = requests("--init=mean", "--canvas=feature")
  assert {one.canvas for one in wanted} == {"field"}
  manifest = (tmp_path / "requests" / "manifest.json").read_text()
  assert json.loads(manifest)["settings"]["initial"] == "mean"
  reported = sorted(capsys.readouterr().err.splitlines())
  assert reported == [
    "--canvas=feature is written --canvas=field now.",
    "--init=mean is written --initial=mean now.",
  ]
  path = config(tmp_path, {"init": "mean", "canvas": "feature"})
  assert requests(f"--config={path}") == wanted
  assert sorted(capsys.readouterr().err.splitlines()) == reported


def test_other_settings_are_refused_by_name(
  requests, refusal, script, tmp_path
):
  photo = tmp_path / "photo.png"
  Image.new("RGB", (9, 9)).save(photo)
  requests("--steps=3", f"--initial={photo}")
  out = tmp_path / "requests"
  before = (out / "manifest.json").read_bytes()
  base = {"steps": "--steps=3", "initial": f"--initial={photo}"}
  for name, changed, reported in (
    ("steps", "--steps=4", "with recipe default: steps=3, not 4;"),
    ("initial", "--initial=noise", "with initial="),
    ("direction", "--direction=-1", "with direction=1, not -1;"),
    ("keep", "--keep=best", "with keep=None, not 'best';"),
    ("canvas", "--canvas=image", "with canvas='field', not 'image';"),
  ):
    arguments = {**base, name: changed}.values()
    assert reported in refusal(*arguments, out=out)
  Image.new("RGB", (9, 9), "red").save(photo)
  assert "initial_sha256=" in refusal(*base.values(), out=out)
  assert (out / "manifest.json").read_bytes() == before


def test_a_folder_that_another_run_writes_to_is_refused(refusal, tmp_path):
  with only_run(tmp_path / "out"):
    assert "Another run" in refusal("--steps=1")


def test_a_file_that_the_system_refuses_is_named(script, monkeypatch, tmp_path):
  def fail(*_, **__):
    raise PermissionError(13, "Permission denied", "seed_0.png")

  monkeypatch.setattr(renders, "fill_folder", fail)
  with pytest.raises(SystemExit, match=r"^error: .*'seed_0.png': Permission"):
    script(f"--out={tmp_path / 'out'}")


def test_another_version_of_a_recipe_is_refused(
  requests, refusal, monkeypatch, tmp_path
):
  requests("--recipe=none")
  changed = jdeepvis.recipe("none").replace(rate=5.0)
  named = recipe_flags.named_recipes
  monkeypatch.setattr(named, "recipe", lambda name: changed)
  out = tmp_path / "requests"
  sentence = refusal("--recipe=none", out=out)
  assert "with recipe none: rate=4.0, not 5.0;" in sentence


def test_help_teaches():
  done = subprocess.run(
    [*COMMAND, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
  )
  assert "Traceback" not in done.stderr
  for name in (
    "net", "layer", "units", "seeds", "recipe", "steps", "initial", "position",
    "direction", "keep", "out", "config", "prior", "augment", "parameterise",
    "objective", "canvas",
  ):  # fmt: skip
    assert f"--{name}:" in done.stdout
  assert "python -m experiments.render_units --units=flamingo" in done.stdout


def test_a_refusal_as_the_shell_sees_it(tmp_path):
  done = subprocess.run(
    [*COMMAND, "--layer=conv2", f"--out={tmp_path / 'out'}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1 and done.stdout == ""
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: ") and "conv2" in line


# The script, with a checkpoint after every few steps.
_EAGER = """
import functools, sys
from jdeepvis.runs import renders
from experiments import render_units, script
renders.fill_folder = functools.partial(renders.fill_folder, seconds=0)
sys.argv[0] = "render_units"
script.run(render_units.main, all_cores=True)
"""


@pytest.mark.slow
def test_killed_and_started_again_gives_the_same_pictures(tmp_path):
  """A real kill -9, once a checkpoint lies there."""
  flags_ = ["--layer=fire3/squeeze1x1", "--units=3,5", "--steps=136"]
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  with subprocess.Popen(
    [sys.executable, "-c", _EAGER, *COMMAND[3:], *flags_, f"--out={killed}"],
    cwd=ROOT,
    stderr=subprocess.DEVNULL,
  ) as process:
    checkpoint = killed / ".unfinished" / "checkpoint.npz"
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
  assert process.returncode == -signal.SIGKILL
  assert open_atlas(killed).records == []
  assert not list(killed.rglob("seed_*.png"))
  step = int(np.load(checkpoint)["step"])
  assert 0 < step < 136
  outputs = {}
  for out in (killed, whole):
    outputs[out] = subprocess.run(
      [*COMMAND, *flags_, f"--out={out}"],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=True,
    )
  # It went on from there, rather than from the start.
  assert f"/{2 * (136 - step)} " in outputs[killed].stderr
  assert f"/{2 * 136} " in outputs[whole].stderr
  assert "2 pictures" in outputs[killed].stdout
  assert str(killed / "index.html") in outputs[killed].stdout
  pictures = sorted(path.relative_to(whole) for path in whole.rglob("*.png"))
  assert len(pictures) == 2 + 2 + 1
  for picture in pictures:
    assert (killed / picture).read_bytes() == (whole / picture).read_bytes()
  for name in ("images.npz", "history.npz"):
    with np.load(killed / name) as ours, np.load(whole / name) as theirs:
      assert set(ours) == set(theirs)
      for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key])
  assert not (killed / ".unfinished").exists()


_NET = """
input: "data" input_dim: 1 input_dim: %d input_dim: 20 input_dim: 33
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 5 stride: 2 }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "conv1" top: "fc"
  inner_product_param { num_output: 3 }
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mean", ["none", "channel", "pixel"])
def test_inputs_of_any_form_become_pictures(script, tmp_path, channels, mean):
  """Grey or of four channels, not square, any mean or none."""
  prototxt, net = tmp_path / "net.prototxt", tmp_path / "net.safetensors"
  prototxt.write_text(_NET % channels)
  generator = np.random.default_rng(0)
  value = {
    "none": None,
    "channel": generator.uniform(0, 255, channels),
    "pixel": generator.uniform(0, 255, (channels, 20, 33)),
  }[mean]
  network, _ = convert.read_caffe(prototxt, "random", mean=value)
  weights.write_network(
    net, network, architecture=None, origin=weights.Origin("random", "")
  )
  out = tmp_path / "out"
  shared = (f"--net={net}", "--steps=3", "--recipe=none", "--units=1")
  script(*shared, f"--out={out}")
  corner = ("--layer=conv1", "--position=7,14", f"--out={tmp_path / 'corner'}")
  script(*shared, *corner)
  planes = 1 if channels == 3 else channels
  for folder, height, width, spec_mean in (
    (out, 20, 33, network.input.mean),
    (tmp_path / "corner", 5, 5, _corner(network.input.mean)),
  ):
    (record,) = open_atlas(folder).records
    assert record["status"] == "ok"
    with np.load(folder / "images.npz") as images:
      (image,) = images.values()
    assert image.shape == (height, width, channels)
    with Image.open(folder / record["file"]) as picture:
      assert picture.mode == ("RGB" if channels == 3 else "L")
      assert picture.size == (planes * width, height)
      seen = np.asarray(picture)
    if channels != 3:
      seen = np.stack(np.split(seen, channels, axis=1), axis=-1)
    np.testing.assert_allclose(seen, image + spec_mean, atol=0.51)
    Image.open(folder / "montage.png").load()


def _corner(mean):
  """What of the mean lies under conv1's neuron at 7, 14."""
  return mean[14:19, 28:33] if mean.ndim == 3 else mean


@pytest.mark.slow
def test_lenets_classes_look_like_its_digits(script, shared_data, tmp_path):
  """Most pictures resemble the mean of their own digit most."""
  network, _ = convert.read_caffe(
    shared_data / "caffe/nets/lenet.prototxt",
    shared_data / "caffe/models/lenet_v2.caffemodel",
    scale=1 / 256,
  )
  net, out = tmp_path / "lenet.safetensors", tmp_path / "out"
  weights.write_network(
    net, network, architecture=None, origin=weights.Origin("lenet", "")
  )
  script(f"--net={net}", "--units=all", "--recipe=small", f"--out={out}")
  with np.load(out / "images.npz") as images:
    pictures = np.stack(
      [images[f"ip2/unit_{digit:04d}/small/seed_0"] for digit in range(10)]
    )
  digits = np.float32(np.load(shared_data / "mnist200.npz")["images"][:100])
  scores = network.apply(network.params, digits[..., None])["ip2"]
  named = np.argmax(scores, -1)
  means = np.stack([digits[named == digit].mean(0) for digit in range(10)])
  # What sets a digit apart from the others, where it is.
  means -= means.mean(0)
  likeness = np.corrcoef(pictures.reshape(10, -1), means.reshape(10, -1))
  nearest = likeness[:10, 10:].argmax(-1)
  assert np.sum(nearest == np.arange(10)) >= 6


@pytest.mark.slow
def test_a_run_writes_all_it_promises(script, tmp_path, capsys):
  out = tmp_path / "out"
  arguments = ("--layer=conv1", "--steps=2", f"--out={out}")
  script("--units=1", *arguments)
  script("--units=1-2", "--seeds=2", "--recipe=default,none", *arguments)
  manifest = json.loads((out / "manifest.json").read_text())
  for recipe in ("default", "none"):
    assert manifest["kept"][f"recipe {recipe}"]["steps"] == 2
  assert {"jdeepvis", "jax", "numpy", "git"} <= manifest["versions"].keys()
  records = open_atlas(out).records
  files = {record["file"] for record in records}
  assert files == {
    f"conv1/unit_{unit:04d}/{recipe}/seed_{seed}.png"
    for unit in (1, 2)
    for recipe in ("default", "none")
    for seed in (0, 1)
  }
  previews = {record["preview"] for record in records if "preview" in record}
  assert previews
  for name in (*files, *previews, "montage.png", "conv1/unit_0002/montage.png"):
    Image.open(out / name).load()
  page = (out / "index.html").read_text()
  for record in records:
    assert record.get("preview", record["file"]) in page
  assert "8 pictures" in capsys.readouterr().out
