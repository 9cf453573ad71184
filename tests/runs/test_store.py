"""What a run keeps: read back as it was, or refused in a sentence."""

import doctest
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jdeepvis.display import progress
from jdeepvis.runs import loop, store
from jdeepvis.runs.loop import save_now_and_then
from jdeepvis.runs.store import Store
from jdeepvis.types import JdeepvisError


@pytest.mark.parametrize("module", [loop, store, progress])
def test_the_examples_run(module):
  assert doctest.testmod(module).attempted > 0
  assert doctest.testmod(module).failed == 0


def test_what_was_saved_last_is_read_back(tmp_path):
  kept = Store(tmp_path / "new" / "folder")
  assert kept.load() == {}
  kept.save({"step": 1, "old": np.zeros(3)})
  tree = {
    "step": 5,
    "files": np.array(["a.png", "b.png"]),
    "state": {"0": np.arange(6.0).reshape(2, 3), "more": {"x": np.int32(1)}},
    "empty": np.zeros((4, 0), np.int32),
  }
  kept.save(tree)
  again = Store(tmp_path / "new" / "folder").load()
  assert jax.tree.structure(again) == jax.tree.structure(tree)
  jax.tree.map(np.testing.assert_array_equal, again, tree)
  assert again["empty"].dtype == np.int32
  kept.clear()
  assert kept.load() == {}
  kept.clear()


def test_damage_is_one_sentence(tmp_path):
  kept = Store(tmp_path)
  kept.save({"step": np.arange(999)})
  whole = kept.path.read_bytes()
  for damaged in (b"", b"no archive", whole[:500], whole[:-30]):
    kept.path.write_bytes(damaged)
    with pytest.raises(JdeepvisError, match=r"checkpoint.npz' is damaged or"):
      kept.load()


def test_what_orbax_kept_is_one_sentence(tmp_path):
  """Version 0.1 had a folder for each step of a scan or an archive."""
  (tmp_path / "archive" / "120" / "default").mkdir(parents=True)
  with pytest.raises(JdeepvisError, match=r"archive' is damaged or of an ear"):
    Store(tmp_path / "archive").load()


ROOT = Path(__file__).parents[2]
_WRITER = """
import sys
import numpy as np
from jdeepvis.runs.store import Store
step = 0
while True:
  step += 1
  Store(sys.argv[1]).save({"step": step, "rows": np.full(200_000, step)})
"""


def test_killed_while_it_saves_the_last_save_is_whole(tmp_path):
  command = [sys.executable, "-c", _WRITER, str(tmp_path)]
  kept = Store(tmp_path)
  with subprocess.Popen(command, cwd=ROOT) as process:
    deadline = time.monotonic() + 60
    while not kept.load():
      assert process.poll() is None and time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
  tree = kept.load()
  assert (tree["rows"] == tree["step"]).all()


def test_every_step_is_saved_or_only_the_last():
  for seconds, expected in ((0, [1, 2, 3]), (1e9, [3])):
    saved = []
    steps = save_now_and_then(
      [1, 2, 3], saved.append, done=lambda step: step == 3, seconds=seconds
    )
    assert list(steps) == [1, 2, 3] and saved == expected


def test_a_step_is_saved_before_it_is_passed_on():
  saved = []
  for step in save_now_and_then(
    [1, 2], saved.append, done=lambda step: False, seconds=0
  ):
    assert saved[-1] == step
