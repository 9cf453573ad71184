"""The script from photographs to dreams and zooms: resumed, misled."""

import jax
import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas
from jdeepvis.networks.pictures import preprocess, read_picture, to_pixels
from jdeepvis.runs.store import Store
from jdeepvis.synthesis import dream, objectives
from jdeepvis.synthesis.score import bind

SCRIPT = scripts.Script("experiments.dream")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def records(path):
  return open_atlas(path).records


def test_a_picture_is_its_dream(script, photos, tmp_path):
  out = tmp_path / "out"
  asked = ["--octaves=2", "--steps=3", f"--out={out}"]
  script(f"--photos={photos / 'photo_0.png'}", "--layers=conv2", *asked)
  before = records(out)
  script(f"--photos={photos}", "--layers=conv2,conv1", *asked)
  reported = records(out)
  assert reported[:1] == before and len(reported) == 4
  network = small_networks.classifier()
  pixels = read_picture(photos / "photo_1.png")
  spec = network.input.of_size(pixels.shape[:2])
  made = dream.dream(
    bind(network, objectives.layer_mean_square("conv1")),
    preprocess(pixels, spec),
    spec,
    dream.Plan(octaves=2, steps=3, tile=33),
    key=jax.random.key(0),
  )
  (record,) = [
    one
    for one in reported
    if one["layer"] == "conv1" and one["photograph"] == "photo_1"
  ]
  assert record["status"] == "ok" and record["unit"] is None
  np.testing.assert_array_equal(
    read_picture(out / record["file"]), to_pixels(np.asarray(made.image), spec)
  )


def test_a_zoom_of_a_class_from_noise(script, tmp_path):
  asked = [
    "--layers=output",
    "--units=thing 2",
    "--side=20",
    "--octaves=1",
    "--steps=2",
    f"--out={tmp_path}",
  ]
  script(*asked, "--frames=2")
  before = records(tmp_path)
  script(*asked, "--frames=3")
  reported = records(tmp_path)
  assert reported[:2] == before and [one["frame"] for one in reported] == [
    0,
    1,
    2,
  ]
  assert {one["label"] for one in reported} == {"thing 2, or so"}
  network = small_networks.classifier()
  spec = network.input.of_size((20, 20))
  frames = [read_picture(tmp_path / one["file"]) for one in reported]
  made = dream.dream(
    bind(network, objectives.channel("scores", 2)),
    dream.closer(preprocess(frames[1], spec), 0.05),
    spec,
    dream.Plan(octaves=1, steps=2, tile=33),
    key=jax.random.key(2),
  )
  np.testing.assert_array_equal(
    frames[2], to_pixels(np.asarray(made.image), spec)
  )
  with Image.open(
    (tmp_path / reported[0]["file"]).with_name("zoom.webp")
  ) as film:
    assert (film.n_frames, film.size) == (3, (20, 20))


def test_a_guide_makes_another_dream(script, photos, tmp_path):
  asked = [f"--photos={photos / 'photo_0.png'}", "--layers=conv2"]
  asked += ["--octaves=1", "--steps=2", f"--out={tmp_path / 'out'}"]
  script(*asked)
  script(*asked, f"--guide={photos / 'photo_1.png'}")
  one, other = records(tmp_path / "out")
  assert (other["photograph"], other["guide"]) == ("photo_0", "photo_1")
  assert one["guide"] is None and one["score"] != other["score"]


@pytest.mark.parametrize("stop", [5, 6])
def test_stopped_it_goes_on_from_the_last_octave(
  script, photos, tmp_path, monkeypatch, stop
):
  asked = [f"--photos={photos / 'photo_0.png'}", "--layers=conv2"]
  asked += ["--octaves=3", "--steps=2", "--frames=2"]
  whole, stopped = tmp_path / "whole", tmp_path / "stopped"
  script(*asked, f"--out={whole}")
  save = Store.save
  saved = []

  def save_and_stop(store, arrays):
    save(store, arrays)
    saved.append(int(arrays["octave"]))
    if len(saved) == stop:
      raise KeyboardInterrupt

  monkeypatch.setattr(Store, "save", save_and_stop)
  with pytest.raises(SystemExit):
    script(*asked, f"--out={stopped}")
  assert len(records(stopped)) == 1
  script(*asked, f"--out={stopped}")
  # The sixth octave had no picture yet: it is not dreamt but saved again.
  assert saved == [1, 2, 3, 1, 2, 3] + [3] * (stop == 6)
  for one, other in zip(records(whole), records(stopped), strict=True):
    assert one["score"] == other["score"]
    np.testing.assert_array_equal(
      read_picture(whole / one["file"]), read_picture(stopped / other["file"])
    )


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--photos=missing"], "no photographs in 'missing'"),
    (["--layers=conv9"], "no layer 'conv9'"),
    (["--units=12"], "units 0 to 11"),
    (["--guide=missing.png"], "no image file 'missing.png'"),
    (["--guide=missing.png", "--units=1"], "leave --units out"),
    (["--octaves=0"], "--octaves=0"),
    (["--octaves=20"], "cannot be shown 1 x 1 pixels"),
    (["--ratio=0.5"], "--ratio=0.5"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  assert reported in scripts.refusal(
    script, "--layers=conv2", f"--out={out}", *arguments
  )
  assert not out.exists()
