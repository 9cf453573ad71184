"""Functions of one's own from the command line, out of a file of a few lines.

What they do is known by heart: a prior that leaves nothing, an augmentation
that blanks the image, an objective that is a mean.
"""

import csv
import hashlib
import importlib
import json
import sys

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas

# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module")

RENDER = scripts.Script("experiments.render_units")
SWEEP = scripts.Script("experiments.sweep_priors")
FIGURES = scripts.Script("experiments.make_figures")
BASE = "--net=small_networks:classifier", "--units=3", "--recipe=none"

FADE = """def fade(image, strength):
  return image * (1 - strength)
"""
SOURCE = f"""from jdeepvis import Parameterisation

{FADE}
def towards(image, strength, level, step):
  return image + strength * (level * step - image)

def blank(key, image, strength):
  return image * (1 - strength)

def negative(spec):
  return Parameterisation(lambda image: -image, lambda moved: -moved)

def brightness(blobs):
  return blobs["conv1"].mean()

def each_channel(blobs):
  return blobs["conv1"].mean((0, 1))

number = 3
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
  """Writes the file outside of every package, and forgets what it was."""
  monkeypatch.setattr(sys, "dont_write_bytecode", True)
  monkeypatch.syspath_prepend(tmp_path / "code")

  def write(source):
    path = tmp_path / "code" / "mine.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    importlib.invalidate_caches()
    sys.modules.pop("mine", None)

  write(SOURCE)
  yield write
  sys.modules.pop("mine", None)


@pytest.fixture
def render(write, tmp_path):
  """Runs the script, and gives the one record and its history."""

  def run(*arguments, out=tmp_path / "out"):
    RENDER.run(*BASE, *arguments, f"--out={out}")
    *_, record = open_atlas(out).records
    stem = record["file"].removesuffix(".png")
    with np.load(out / "history.npz") as rows:
      names = ("score", "image_norm")
      return record, {name: rows[f"{stem}/{name}"] for name in names}

  return run


def manifest(out):
  return json.loads((out / "manifest.json").read_text())


def seen(out, record):
  """All that the network says of a picture, from its file."""
  network = small_networks.classifier()
  with Image.open(out / record["file"]) as image:
    pixels = np.float32(np.asarray(image))
  return network(pixels[None] - network.input.mean)


def test_a_prior_is_used_as_often_as_is_said(render, tmp_path):
  """It leaves nothing after steps 0 and 4; the look follows the step."""
  record, history = render("--prior=mine:fade@1,every=4", "--steps=7")
  assert record["recipe"] == "none+fade"
  zero = history["image_norm"] == 0
  assert zero.tolist() == [False, True, False, False, False, True, False]
  kept = manifest(tmp_path / "out")["kept"]["recipe none+fade"]
  assert (kept["fade"], kept["fade_every"]) == (1.0, 4)
  assert kept["fade_function"] == "mine:fade"
  assert kept["fade_sha256"] == hashlib.sha256(FADE.encode()).hexdigest()


def test_a_prior_gets_its_numbers_and_the_step(render):
  """Every pixel is the level times the step that went before the look."""
  _, history = render("--prior=mine:towards@1,level=2", "--steps=4")
  root = np.sqrt(33 * 33 * 3)
  np.testing.assert_allclose(
    history["image_norm"][1:], 2 * root * np.arange(3), rtol=1e-5
  )


def test_a_changed_prior_is_another_recipe(render, write, tmp_path):
  out = tmp_path / "out"
  arguments = "--prior=mine:fade@0.3,every=4", "--steps=2"
  render(*arguments)
  before = (out / "manifest.json").read_bytes()
  render(*arguments)
  assert (out / "manifest.json").read_bytes() == before
  reported = scripts.refusal(
    render, "--prior=mine:fade@0.1,every=4", "--steps=2"
  )
  assert "with recipe none+fade: fade=0.3, not 0.1;" in reported
  write(SOURCE.replace("image * (1 - strength)", "image * (1 - 2 * strength)"))
  reported = scripts.refusal(render, *arguments)
  assert "with recipe none+fade: fade_sha256=" in reported
  assert (out / "manifest.json").read_bytes() == before
  # What else is in the file is no part of it.
  write(f"import math\n{SOURCE}")
  render(*arguments)
  assert (out / "manifest.json").read_bytes() == before


def test_an_augmentation_is_what_the_network_sees(render, tmp_path):
  record, _ = render("--augment=mine:blank", "--steps=3")
  network = small_networks.classifier()
  blank = network(np.zeros((1, 33, 33, 3), np.float32))["scores"].ravel()[3]
  assert record["recipe"] == "none+blank"
  assert record["status"] == "zero_gradient"
  assert record["score_start"] == pytest.approx(float(blank), abs=1e-6)
  plain, _ = render("--steps=3", out=tmp_path / "plain")
  off, _ = render("--augment=mine:blank@0", "--steps=3", out=tmp_path / "off")
  assert off["score_start"] == pytest.approx(plain["score_start"], rel=1e-4)
  assert plain["score_start"] != pytest.approx(float(blank), rel=0.01)


def test_a_parameterisation_is_decoded(render, tmp_path):
  """The negative of a negative: the steps are as of pixels."""
  made, negative = render("--parameterise=mine:negative", "--steps=4")
  _, plain = render("--steps=4", out=tmp_path / "plain")
  np.testing.assert_allclose(negative["score"], plain["score"], rtol=1e-3)
  scores = seen(tmp_path / "out", made)["scores"].ravel()
  assert made["activation"] == pytest.approx(float(scores[3]), rel=1e-4)
  kept = manifest(tmp_path / "out")["kept"]["recipe none+negative"]
  assert kept["parameterisation"] == "mine:negative"
  assert len(kept["parameterisation_sha256"]) == 64


def test_several_come_from_a_config(render, tmp_path):
  path = tmp_path / "config.py"
  reported = ("mine:fade@0.3,every=4", "mine:towards@0.1,level=1")
  path.write_text(
    "from ml_collections import ConfigDict\n"
    f"def get_config():\n  return ConfigDict({{'prior': {reported!r}}})\n"
  )
  record, _ = render(f"--config={path}", "--steps=2")
  assert record["recipe"] == "none+fade+towards"
  kept = manifest(tmp_path / "out")["kept"]["recipe none+fade+towards"]
  assert kept["priors"] == "fade, towards"
  assert (kept["fade_every"], kept["towards_level"]) == (4, 1.0)


def test_an_objective_is_of_no_unit(render, write, tmp_path):
  out = tmp_path / "out"
  arguments = "--objective=mine:brightness", "--steps=6"
  record, history = render(*arguments)
  assert (record["layer"], record["unit"]) == ("brightness", None)
  assert record["probability"] is None and record["activation"] is None
  # The best look is the picture, up to whole grey levels.
  value = float(seen(out, record)["conv1"].mean())
  assert record["score"] == pytest.approx(value, rel=1e-4)
  assert record["score"] == pytest.approx(history["score"].max(), rel=0.02)
  assert history["score"].max() > history["score"][0]
  assert "brightness" in (out / "index.html").read_text()
  reported = scripts.refusal(render, "--steps=6")
  assert "with objective='mine:brightness', not None;" in reported
  write(SOURCE.replace('"conv1"].mean()', '"conv2"].mean()'))
  assert "with objective_sha256=" in scripts.refusal(render, *arguments)


def test_an_objective_can_be_lowered(render, tmp_path):
  arguments = "--objective=mine:brightness", "--steps=6"
  _, up = render(*arguments)
  record, down = render(*arguments, "--direction=-1", out=tmp_path / "down")
  assert down["score"][0] == pytest.approx(-up["score"][0], rel=1e-5)
  assert down["score"].max() > down["score"][0]
  value = float(seen(tmp_path / "down", record)["conv1"].mean())
  assert record["score"] == pytest.approx(-value, rel=1e-4, abs=1e-6)


FORM = "is not package.module:function@STRENGTH"


@pytest.mark.parametrize(
  ("argument", "reported"),
  [
    ("--prior=mine:fade@much", FORM),
    ("--prior=mine:fade@0.3,every=0", FORM),
    ("--prior=mine:fade@0.3,every=half", FORM),
    (
      "--prior=mine:fade@0.3,often=4",
      "no function of (image, strength, often)",
    ),
    ("--prior=mine:towards@0.3", "no function of (image, strength)"),
    ("--prior=mine:number", "no function of (image, strength)"),
    ("--prior=mine:blank", "no function of (image, strength)"),
    ("--prior=mine:gone", "'mine' has no attribute 'gone'"),
    ("--prior=mine", "no function for --prior: 'mine'"),
    ("--prior=nowhere:fade", "No module named 'nowhere'"),
    ("--augment=mine:fade", "no function of (key, image, strength)"),
    ("--augment=mine:blank@1,every=2", "(key, image, strength, every)"),
    ("--parameterise=pixel", "nearest: pixels"),
    ("--parameterise=mine:fade", "no function of (spec)"),
    ("--objective=mine:number", "no function of (blobs)"),
    ("--objective=mine:each_channel", "of shape [8], not one number"),
  ],
)
def test_wrong_functions_are_one_sentence(render, tmp_path, argument, reported):
  assert reported in scripts.refusal(render, argument, "--steps=1")
  assert not (tmp_path / "out").exists()


def test_twice_the_same_or_a_place_without_a_unit_is_one_sentence(render):
  twice = "--prior=mine:fade@0.1", "--prior=mine:fade@0.2"
  assert "'fade' already" in scripts.refusal(render, *twice)
  for more in ("--position=1,1", "--tree=tree"):
    arguments = "--objective=mine:brightness", more
    assert "of no unit" in scripts.refusal(render, *arguments)


def test_what_fails_in_them_fails_before_there_is_a_folder(
  render, write, tmp_path
):
  """Or the folder would be held to a function that had a fault."""
  write(SOURCE.replace("image * (1", "image @ image * (1"))
  with pytest.raises(TypeError, match="dot_general"):
    render("--prior=mine:fade", "--steps=1")
  write(SOURCE.replace('"conv1"', '"conf1"'))
  reported = scripts.refusal(render, "--objective=mine:brightness", "--steps=1")
  assert "'conf1'; nearest: conv1" in reported
  assert not (tmp_path / "out").exists()


@pytest.fixture
def sweep(write, tmp_path):
  def run(*arguments, out=tmp_path / "out"):
    prior, more = "--prior=mine:fade@0.3", ("--noplots", "--steps=3")
    SWEEP.run(*BASE, prior, *more, *arguments, f"--out={out}")
    atlas = open_atlas(out)
    return atlas.records, atlas.settings, atlas.kept

  return run


def test_an_ablation_varies_it(sweep, write, render, tmp_path):
  records, settings, kept = sweep("--vary=fade:0,1")
  assert [record["strengths"] for record in records] == [
    {"fade": 0.0},
    {"fade": 1.0},
  ]
  for value in (0.0, 1.0):
    recipe = kept[f"recipe fade={value:g}"]
    assert recipe["fade"] == value and recipe["fade_function"] == "mine:fade"
    assert recipe["fade_sha256"] == hashlib.sha256(FADE.encode()).hexdigest()
  assert settings["recipe"] == "none+fade"
  with open(tmp_path / "out" / "results.csv", encoding="utf-8") as file:
    rows = [(row["strength"], row["value"]) for row in csv.DictReader(file)]
  assert rows == [("fade", "0.0"), ("fade", "1.0")]
  # Off it is the recipe without it; whole it leaves nothing.
  plain, _ = render("--steps=3", out=tmp_path / "plain")
  off, whole = records
  assert off["score_best"] == pytest.approx(plain["score_best"], rel=1e-3)
  assert whole["score_best"] < off["score_best"]
  write(SOURCE.replace("image * (1 - strength)", "image * (1 - 2 * strength)"))
  assert "fade_sha256=" in scripts.refusal(sweep, "--vary=fade:0,1")


def test_an_ablation_leaves_it_out(sweep):
  records, _, kept = sweep("--leave_one_out")
  names = [record["recipe"] for record in records]
  assert names == ["none+fade", "without fade"]
  strengths = [kept[f"recipe {name}"]["fade"] for name in names]
  assert strengths == [0.3, 0.0]


@pytest.mark.parametrize("study", ["--figure3=2", "--combinations=2"])
def test_studies_of_other_recipes_refuse_it(sweep, study, tmp_path):
  assert "leave --prior out" in scripts.refusal(sweep, study)
  assert not (tmp_path / "out").exists()


def test_a_figure_is_held_to_it(write, tmp_path):
  out = tmp_path / "out"
  arguments = (
    *BASE, "--figure=all_classes", "--prior=mine:fade@0.3", "--steps=1",
    f"--out={out}",
  )  # fmt: skip
  FIGURES.run(*arguments)
  assert "recipe none+fade" in manifest(out)["kept"]
  write(SOURCE.replace("(1 - strength)", "(1 - 2 * strength)"))
  reported = scripts.refusal(FIGURES.run, *arguments)
  assert "fade_sha256=" in reported
