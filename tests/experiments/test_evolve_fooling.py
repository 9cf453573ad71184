"""The script from flags to page: killed, extended, rendered large, misled."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import scripts
import small_networks
from PIL import Image

from jdeepvis.networks.graph import GraphApply
from jdeepvis.runs import evolution
from jdeepvis.runs.store import Store

ROOT = Path(__file__).parents[2]
SCRIPT = scripts.Script("experiments.evolve_fooling")
NET = "--net=small_networks:classifier"
# A state at every moment, and time to be killed in; few children.
_EAGER = """
import functools, sys, time
sys.path[:0] = ["tests"]
from experiments import evolve_fooling, script
from jdeepvis.runs import evolution
from jdeepvis.runs.store import Store
evolve_fooling.PAPER = {"direct": (12, 6)}
evolution.breed = functools.partial(evolution.breed, seconds=0)
save = Store.save
def slowly(*arguments):
  save(*arguments)
  time.sleep(0.3)
Store.save = slowly
script.run(evolve_fooling.main, all_cores=True)
"""


@pytest.fixture
def script(monkeypatch):
  paper = {"direct": (5, 6), "cppn": (5, 6)}
  monkeypatch.setattr(SCRIPT.module, "PAPER", paper)
  return lambda *arguments: SCRIPT.run(NET, *arguments)


def archive(out):
  tree = Store(out / "archive").load()
  seconds = tree["history"].pop("seconds")
  assert (seconds > 0).all()
  return tree


def history(out):
  with open(out / "history.csv", encoding="utf-8", newline="") as file:
    return list(csv.DictReader(file))


def test_cells_are_what_their_records_say(script, tmp_path, capsys):
  flags = "--encoding=cppn", f"--out={tmp_path}"
  script(*flags)
  assert "images_per_second" in capsys.readouterr().out
  script(*flags, "--generations=7")
  reported = json.loads((tmp_path / "manifest.json").read_text())["records"]
  assert [record["unit"] for record in reported] == list(range(9))
  network = small_networks.classifier()
  for record in reported:
    with Image.open(tmp_path / record["file"]) as file:
      image = np.float32(file) - network.input.mean
    blobs = network(image[None])
    said = float(blobs["prob"].reshape(-1)[record["unit"]])
    assert record["confidence"] == pytest.approx(said, rel=1e-4)
    assert record["probability"] == pytest.approx(said, rel=1e-4)
    assert record["status"] == ("ok" if said >= 0.5 else "unconvinced")
    assert record["label"] == f"thing {record['unit']}, or so"
  rows = history(tmp_path)
  assert [int(row["generation"]) for row in rows] == list(range(1, 8))
  assert int(rows[-1]["evaluations"]) == 42
  medians = [float(row["median"]) for row in rows]
  assert medians == sorted(medians) and medians[0] > 0
  reached = [record["confidence"] for record in reported]
  assert medians[-1] == pytest.approx(np.median(reached))
  page = (tmp_path / "index.html").read_text()
  assert all(record["file"] in page for record in reported) and "lazy" in page
  for name in ("montage.png", "history.png"):
    assert (tmp_path / name).stat().st_size > 1000


def test_killed_and_started_again_goes_on_to_the_same_bits(tmp_path):
  """A real kill -9, once an archive lies there."""
  killed, whole = tmp_path / "killed", tmp_path / "whole"
  command = [
    sys.executable,
    "-c",
    _EAGER,
    NET,
    "--encoding=direct",
    "--noplots",
  ]
  with subprocess.Popen(
    [*command, f"--out={killed}"], cwd=ROOT, stderr=subprocess.DEVNULL
  ) as process:
    deadline = time.monotonic() + 180
    while not Store(killed / "archive").path.exists():
      assert process.poll() is None and time.monotonic() < deadline
      time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
  assert not (killed / "history.csv").exists()
  for out in (killed, whole):
    done = subprocess.run(
      [*command, f"--out={out}"],
      cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # It went on from there, rather than from the start.
    assert ("| 0/12 " in done.stderr) == (out == whole)
  one, other = archive(killed), archive(whole)
  assert len(one["history"]["median"]) == 12
  assert one["archive"]["0"].shape[0] == 9
  jax.tree.map(np.testing.assert_array_equal, one, other)
  for name in (f"scores/unit_000{i}/direct/seed_0.png" for i in range(9)):
    assert (killed / name).read_bytes() == (whole / name).read_bytes()


def test_one_cell_is_rendered_large(script, tmp_path, capsys):
  flags = "--encoding=cppn", f"--out={tmp_path}", "--noplots"
  script(*flags)
  script(*flags, "--cell=thing 4", "--render_size=99")
  path = tmp_path / "scores/unit_0004/cppn/seed_0_99.png"
  assert str(path) in capsys.readouterr().out
  with (
    Image.open(path) as large,
    Image.open(path.with_name("seed_0.png")) as small,
  ):
    assert large.size == (99, 99) and small.size == (33, 33)
    # Of each third pixel the middle is where the small one's was.
    apart = np.abs(np.int16(large)[1::3, 1::3] - np.int16(small))
    assert np.mean(apart <= 1) > 0.99


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    (["--out="], "--out=FOLDER"),
    (["--encoding=dna"], "--encoding=dna.*direct.*cppn"),
    (["--generations=0"], "--generations=0"),
    (["--cell=3"], "--cell=CLASS and --render_size=PIXELS go together"),
    (["--render_size=9"], "--cell=CLASS and --render_size=PIXELS go together"),
    (["--cell=3-5", "--render_size=9"], "names 3 classes; name one"),
    (["--cell=9", "--render_size=9"], "units 0 to 8"),
    (
      ["--cell=1", "--render_size=9", "--encoding=direct"],
      "pixels of one size",
    ),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  sentence = scripts.refusal(script, f"--out={out}", "--noplots", *arguments)
  assert re.search(reported, sentence)
  assert not out.exists()


def test_folders_that_do_not_fit_are_refused(script, tmp_path):
  flags = f"--out={tmp_path}", "--noplots"
  with pytest.raises(SystemExit, match="holds no archive yet"):
    script(*flags, "--cell=1", "--render_size=9")
  script(*flags)
  for other in ("--seed=1", "--encoding=direct", "--unrelated"):
    with pytest.raises(SystemExit, match="was made with"):
      script(*flags, other)
  file = Store(tmp_path / "archive").path
  file.write_bytes(file.read_bytes()[:20])
  damaged = r"archive/checkpoint.npz' is damaged or of an earlier version"
  with pytest.raises(SystemExit, match=damaged):
    script(*flags, "--generations=9")


def dumb():
  """A network that gives no numbers."""
  network = small_networks.classifier()
  params = jax.tree.map(lambda leaf: leaf * np.nan, network.params)
  return network.replace(params=params)


def two_channels():
  network = small_networks.padded_average()
  shape = (27, 24, 2)
  return network.replace(
    input=network.input.replace(shape=shape, mean=np.zeros(2, np.float32)),
    apply=GraphApply(network.layers[:0]),
  )


@pytest.mark.parametrize(
  ("factory", "reported"),
  [(dumb, "All cells are empty"), (two_channels, "2 channels")],
)
def test_networks_that_cannot_be_fooled(
  script, monkeypatch, tmp_path, factory, reported
):
  monkeypatch.setattr(SCRIPT.module, "load_network", lambda name: factory())
  with pytest.raises(SystemExit, match=reported):
    script(f"--out={tmp_path}", "--noplots")


def test_a_run_that_is_over_has_nothing_to_do(script, monkeypatch, tmp_path):
  flags = f"--out={tmp_path}", "--noplots"
  script(*flags)
  before = archive(tmp_path)
  monkeypatch.setattr(evolution.map_elites, "evolve", None)
  script(*flags, "--generations=2")
  jax.tree.map(np.testing.assert_array_equal, before, archive(tmp_path))
