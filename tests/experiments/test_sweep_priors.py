"""Studies of the priors as people run them: counted, stopped, summed up."""

import csv
import functools
import json
import re
import sys

import numpy as np
import pytest
import scripts
from PIL import Image

from jdeepvis.display import plots
from jdeepvis.display.folder import PictureFolder
from jdeepvis.runs import forecast, renders
from jdeepvis.synthesis import batch

BASE = ("--net=small_networks:classifier", "--units=1", "--recipe=paper_c")
JUDGE = "--judge=small_networks:judge"


SCRIPT = scripts.Script("experiments.sweep_priors")


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(*BASE, *arguments)


def read(path):
  return json.loads((path / "manifest.json").read_text())["records"]


def rows(path):
  with open(path, encoding="utf-8", newline="") as file:
    return list(csv.DictReader(file))


def test_a_grid_from_flags_to_numbers(script, tmp_path, capsys):
  out = tmp_path / "out"
  script(
    "--vary=decay:0,0.5", "--vary=blur:0,1", "--units=1,4", "--seeds=2",
    "--steps=4", JUDGE, f"--out={out}",
  )  # fmt: skip
  records = read(out)
  assert {
    (record["recipe"], record["unit"], record["seed"]) for record in records
  } == {
    (f"decay={decay},blur={blur}", unit, seed)
    for decay in ("0", "0.5")
    for blur in ("0", "1")
    for unit in (1, 4)
    for seed in (0, 1)
  }
  for record in records:
    decay, blur = record["strengths"]["decay"], record["strengths"]["blur"]
    assert record["recipe"] == f"decay={decay:g},blur={blur:g}"
  page = (out / "index.html").read_text()
  assert '"decay": 0.5, "blur": 1.0' in page
  table = rows(out / "results.csv")
  assert [(row["strength"], row["value"]) for row in table] == [
    ("decay", "0.0"), ("decay", "0.5"), ("blur", "0.0"), ("blur", "1.0"),
  ]  # fmt: skip
  for row in table:
    group = [
      record
      for record in records
      if record["strengths"][row["strength"]] == float(row["value"])
    ]
    assert int(row["pictures"]) == len(group) == 8
    for metric in ("activation", "probability"):
      values = [record[metric] for record in group]
      assert float(row[f"{metric}_mean"]) == pytest.approx(np.mean(values))
      deviation = np.std(values, ddof=1)
      assert float(row[f"{metric}_std"]) == pytest.approx(deviation)
    assert 0 <= float(row["top5_mean"]) <= 1
  combinations = rows(out / "combinations.csv")
  assert [int(row["pictures"]) for row in combinations] == [4] * 4
  for name in ("strengths.png", "combinations.png"):
    Image.open(out / name).load()
  reported = capsys.readouterr().out
  assert "Steps to go: 64; programs: 1; time: about" in reported
  assert "16 pictures" in reported


def test_programs_are_counted_as_they_are_compiled(
  script, tmp_path, capsys, monkeypatch
):
  """One for each steps and period of the blur, however many strengths."""
  traces = []
  advance = batch.loop.advance

  def counted(*args):
    traces.append(args)
    return advance(*args)

  monkeypatch.setattr(batch.loop, "advance", counted)
  script(
    "--vary=steps:3,5", "--vary=blur_every:2,3", "--vary=decay:0,0.1,0.2",
    "--vary=norm_percentile:0,50", "--noplots", f"--out={tmp_path / 'out'}",
  )  # fmt: skip
  reported = capsys.readouterr().out
  assert "programs: 4;" in reported
  assert "Programs compiled: 4." in reported
  assert len(traces) == 4
  assert len(read(tmp_path / "out")) == 2 * 2 * 3 * 2
  assert not (tmp_path / "out" / "strengths.png").exists()


def test_a_stopped_study_goes_on_to_the_same_end(script, tmp_path, monkeypatch):
  # Two at a time, though all would go into one batch.
  fill = functools.partial(renders.fill_folder, each={"scores": 1})
  monkeypatch.setattr(renders, "fill_folder", fill)
  nothing = forecast.Forecast(0, 0, 0)
  monkeypatch.setattr(forecast, "forecast", lambda *_: nothing)
  arguments = ("--leave_one_out", "--units=0-2", "--steps=4", "--noplots")
  stopped, whole = tmp_path / "stopped", tmp_path / "whole"
  add = PictureFolder.add
  calls = []

  def interrupted(*args):
    add(*args)
    calls.append(args)
    if len(calls) == 2:
      raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(PictureFolder, "add", interrupted)
    with pytest.raises(SystemExit, match="goes on from here"):
      script(*arguments, f"--out={stopped}")
  kept = {file: file.stat().st_mtime_ns for file in stopped.rglob("seed_0.png")}
  assert len(kept) == 4
  assert not (stopped / "results.csv").exists()
  for out in (stopped, whole):
    script(*arguments, f"--out={out}")
  assert all(file.stat().st_mtime_ns == then for file, then in kept.items())
  for name in ("results.csv", "combinations.csv"):
    assert (stopped / name).read_bytes() == (whole / name).read_bytes()
  pictures = [file.relative_to(whole) for file in whole.rglob("seed_*.png")]
  assert len(pictures) > 4
  for file in pictures:
    assert (stopped / file).read_bytes() == (whole / file).read_bytes()
  # Another study does not belong in there, nor does another recipe.
  for other in (["--vary=decay:0"], ["--leave_one_out", "--recipe=paper_b"]):
    with pytest.raises(SystemExit, match="another folder"):
      script(*other, f"--out={stopped}")


def test_the_other_studies_run(script, tmp_path, capsys):
  script("--figure3=2", "--steps=2", f"--out={tmp_path / 'figure3'}")
  records = read(tmp_path / "figure3")
  assert {tuple(record["strengths"].items()) for record in records} == {
    (("decay", 0.0),), (("decay", 0.5),), (("blur", 0.0),), (("blur", 1.0),),
    (("norm_percentile", 0.0),), (("norm_percentile", 95.0),),
    (("contribution_percentile", 0.0),), (("contribution_percentile", 95.0),),
  }  # fmt: skip
  search = ("--steps=2", "--layer=conv1", "--units=3", "--search_seed=5")
  out = tmp_path / "search"
  script("--combinations=1", *search, f"--out={out}")
  before = read(out)
  script("--combinations=2", *search, f"--out={out}")
  after = read(out)
  assert after[:1] == before and len(after) == 2
  assert [record["seed"] for record in after] == [0, 1]
  # Hidden units have no probability, and no column for it.
  assert "probability_mean" not in rows(out / "results.csv")[0]
  with pytest.raises(SystemExit, match="search_seed"):
    script("--combinations=2", *search[:3], f"--out={out}")


@pytest.mark.parametrize(
  ("arguments", "reported"),
  [
    ([], "Choose one study"),
    (["--leave_one_out", "--figure3=3"], "Choose one study"),
    (["--vary=deacy:1"], "nearest: decay"),
    (["--leave_one_out", "--recipe=none"], "no prior to leave out"),
    (["--leave_one_out", "--recipe=nine"], "nearest: none"),
    (["--combinations=2", "--seeds=2"], "seed of its own"),
    (["--vary=decay:0", "--layer=conv2", JUDGE], "'conv2' are none"),
    (["--vary=decay:0", "--judge=small_networks:classifier"], "made the"),
    (["--vary=decay:0", "--judge=squeezenet1.1"], "9 classes.*has 1000"),
  ],
)
def test_wrong_arguments_are_one_sentence(
  script, tmp_path, arguments, reported
):
  out = tmp_path / "out"
  sentence = scripts.refusal(script, *arguments, f"--out={out}")
  assert re.search(reported, sentence)
  assert not out.exists()


def test_without_matplotlib_one_is_told_before_the_work(
  script, tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
  with pytest.raises(SystemExit, match=r"jdeepvis\[plot\].*--noplots"):
    script("--vary=decay:0", f"--out={tmp_path / 'out'}")
  assert not (tmp_path / "out").exists()


def test_a_plot_shows_means_and_error_bars(tmp_path):
  table = [
    {"strength": name, "value": value, "p_mean": mean, "p_std": std}
    for name, value, mean, std in [
      ("decay", 0.0, 1.0, 0.5), ("decay", 0.01, 3.0, None),
      ("blur", 0.0, 2.0, 0.25), ("blur", 1.0, None, None),
    ]
  ]  # fmt: skip
  figure = plots.plot_strengths(tmp_path / "plot.svg", table, {"p": "chance"})
  assert "chance" in (tmp_path / "plot.svg").read_text()
  decay, blur = figure.axes
  line, _, (bars,) = decay.containers[0]
  np.testing.assert_array_equal(line.get_ydata(), [1, 3])
  first, second = bars.get_segments()
  np.testing.assert_array_equal(first[:, 1], [0.5, 1.5])
  np.testing.assert_array_equal(second[:, 1], [3, 3])
  labels = [label.get_text() for label in decay.get_xticklabels()]
  assert labels == ["0", "0.01"]
  assert np.isnan(blur.containers[0][0].get_ydata()[1])


def test_bars_run_from_the_top(tmp_path):
  table = [
    {"recipe": name, "p_mean": mean, "p_std": None, "q_mean": 0.0, "q_std": 1.0}
    for name, mean in [("whole", 3.0), ("without decay", None)]
  ]
  titles = {"p": "p", "q": "q"}
  figure = plots.plot_combinations(tmp_path / "plot.png", table, titles)
  first, second = figure.axes
  bars = first.patches
  assert bars[0].get_width() == 3
  labels = [label.get_text() for label in first.get_yticklabels()]
  assert labels == ["whole", "without decay"]
  bottom, top = second.get_ylim()
  assert bottom > top
