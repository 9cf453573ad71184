"""The script from photographs to maps: resumed, misled."""

import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.display.atlas import open_atlas
from jdeepvis.networks.pictures import preprocess
from jdeepvis.probing import occlusion

SCRIPT = scripts.Script("experiments.occlude")
NET = "--net=small_networks:classifier"


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def records(path):
  return open_atlas(path).records


def test_maps_of_the_class_named_first(script, photos, tmp_path):
  out = tmp_path / "out"
  asked = ["--size=9", "--stride=8", f"--out={out}"]
  script(f"--photos={photos / 'photo_0.png'}", *asked)
  (before,) = records(out)
  script(f"--photos={photos}", *asked)
  reported = records(out)
  assert len(reported) == 2 and reported[0] == before
  network = small_networks.classifier()
  arrays = np.load(out / "history.npz")
  for record in reported:
    with Image.open(photos / f"{record['photograph']}.png") as file:
      image = preprocess(np.asarray(file), network.input)
    probabilities = network(image[None])["prob"].reshape(-1)
    assert record["unit"] == int(np.argmax(probabilities))
    assert record["value"] == pytest.approx(float(np.max(probabilities)))
    stem = record["file"].removesuffix(".png")
    loss = record["value"] - np.asarray(
      occlusion.occlude(
        network, image, "prob", record["unit"], size=9, stride=8
      )
    )
    np.testing.assert_allclose(arrays[f"{stem}/loss"], loss, atol=1e-6)
    row, column = (place // 8 for place in record["largest_loss_at"])
    assert loss[row, column] == pytest.approx(loss.max(), abs=1e-6)
    with Image.open(out / record["file"]) as file:
      assert file.size == (33 + 4 + 33, 33)


def test_hidden_units_by_number(script, photos, tmp_path):
  out = tmp_path / "out"
  script(
    f"--photos={photos}",
    "--layer=conv2",
    "--units=2,5",
    "--position=1,1",
    f"--out={out}",
  )
  assert [(one["unit"], one["label"]) for one in records(out)] == [
    (2, None),
    (5, None),
  ] * 2


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--photos="], "--photos=FILE"),
    (["--photos=missing"], "no photographs in 'missing'"),
    (["--units=thing"], "ambiguous"),
    (["--layer=conv9"], "no layer 'conv9'"),
    (["--layer=conv2", "--units=1", "--position=9,9"], "(9, 9)"),
    (["--position=1"], "ROW,COLUMN"),
    (["--size=0"], "--size=0"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, photos, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  assert reported in scripts.refusal(
    script, f"--photos={photos}", f"--out={out}", *arguments
  )
  assert not out.exists()
