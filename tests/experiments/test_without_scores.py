"""Every script on a network without class scores: it works, or says why."""

import json

import grain  # noqa: F401  (its flags must outlive a script's)
import pytest
import scripts

from jdeepvis.display.atlas import open_atlas

# How ml_collections loads a config.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module")

NET = "--net=small_networks:features"
SENTENCE = (
  "error: This network has no class scores; name a layer, such as conv2, and "
  "its units by number, or use a network with classes."
)


@pytest.fixture
def run():
  def run(name, *arguments):
    script = scripts.Script(f"experiments.{name}")
    script.run(NET, *arguments)

  return run


@pytest.mark.parametrize(
  ("name", "arguments"),
  [
    ("render_units", []),
    ("find_top_patches", ["--layers=conv1,output", "--images=PHOTOS"]),
    ("make_figures", ["--figure=fc8"]),
    ("make_figures", ["--figure=all_classes"]),
    ("dream", ["--layers=output"]),
    ("invert", ["--photos=PHOTOS"]),
    ("occlude", ["--photos=PHOTOS"]),
    ("occlude", ["--photos=PHOTOS", "--layer=conv2"]),
    ("localise", ["--photos=PHOTOS"]),
    ("localise", ["--photos=PHOTOS", "--units=3"]),
    ("adversarial", ["--photos=PHOTOS"]),
    ("fool_gradient", ["--units=3"]),
    ("evolve_fooling", ["--noplots"]),
    ("sweep_priors", ["--vary=decay:0,1e-4", "--noplots"]),
  ],
)
def test_what_wants_classes_says_so(run, photos, tmp_path, name, arguments):
  out = tmp_path / "out"
  given = [text.replace("PHOTOS", str(photos)) for text in arguments]
  sentence = scripts.refusal(run, name, *given, f"--out={out}")
  assert sentence == SENTENCE
  assert not out.exists()


def records(out):
  return open_atlas(out).records


@pytest.mark.parametrize(
  ("name", "arguments"),
  [
    ("render_units", ["--layer=conv2", "--units=3", "--steps=1"]),
    ("sweep_priors", ["--vary=decay:0", "--layer=conv2", "--units=3"]),
    ("dream", ["--layers=conv2", "--units=3", "--steps=1", "--octaves=1"]),
    ("invert", ["--photos=PHOTOS", "--layers=conv1", "--steps=4"]),
    ("occlude", ["--photos=PHOTOS", "--layer=conv2", "--units=3"]),
  ],
)
def test_hidden_units_are_as_of_any_network(
  run, photos, tmp_path, name, arguments
):
  out = tmp_path / "out"
  more = {"sweep_priors": ["--steps=1", "--noplots"]}.get(name, [])
  given = [text.replace("PHOTOS", str(photos)) for text in arguments]
  run(name, *given, *more, f"--out={out}")
  assert (out / "index.html").exists()
  reported = records(out)
  assert reported and all(one.get("probability") is None for one in reported)


def test_top_patches_and_all_layers_to_scale(run, photos, tmp_path):
  out, tree = tmp_path / "out", tmp_path / "tree"
  run("find_top_patches", f"--images={photos}", "--k=2", f"--out={tree}")
  reported = json.loads((tree / "manifest.json").read_text())["kept"]["layers"]
  assert reported == ["conv1", "pool1", "conv2"]
  arguments = "--figure=all_layers", "--drawn=1", "--steps=1", "--recipe=none"
  run("make_figures", *arguments, f"--tree={tree}", f"--out={out}")
  assert {record["layer"] for record in records(out)} == {"conv1", "conv2"}


def test_pictures_of_it_have_no_judge(run, tmp_path):
  out = tmp_path / "out"
  run("render_units", "--layer=conv2", "--steps=1", "--units=3", f"--out={out}")
  judge = scripts.Script("experiments.score_pictures")
  manifest = f"--manifest={out / 'manifest.json'}"
  ask = "--net=small_networks:judge"
  sentence = scripts.refusal(judge.run, manifest, ask)
  assert "0 class units" in sentence and "1 hidden units" in sentence
