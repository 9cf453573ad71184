"""The package from outside: what importing costs, what a wheel holds."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import jdeepvis

ROOT = Path(__file__).parent.parent


def run_python(program, *, path=ROOT, **more):
  """Runs a program with one folder on its path, far from the checkout."""
  return subprocess.run(
    [sys.executable, "-c", program],
    env={**os.environ, "PYTHONPATH": str(path)},
    capture_output=True,
    text=True,
    check=True,
    **more,
  ).stdout


def test_importing_is_light(tmp_path):
  loaded = run_python(
    "import sys, jdeepvis; print(*sys.modules)", cwd=tmp_path
  ).split()
  assert "jdeepvis" in loaded
  for heavy in ("flax", "PIL", "safetensors", "optax", "equinox", "jax.numpy"):
    assert heavy not in loaded


def test_nothing_public_starts_a_backend(tmp_path):
  """Not even when every name has been looked up and its module loaded."""
  program = """
import jdeepvis
import jax, jax._src.xla_bridge as bridge
assert not bridge.backends_are_initialized()
for name in jdeepvis.__all__:
  getattr(jdeepvis, name)
assert not bridge.backends_are_initialized()
jax.devices()
print(bridge.backends_are_initialized())
"""
  assert run_python(program, cwd=tmp_path).strip() == "True"


def test_every_public_name_is_there():
  assert len(set(jdeepvis.__all__)) == len(jdeepvis.__all__)
  for name in jdeepvis.__all__:
    assert getattr(jdeepvis, name) is not None
  assert dir(jdeepvis) == sorted(jdeepvis.__all__)
  with pytest.raises(AttributeError, match="rendr"):
    jdeepvis.rendr  # noqa: B018


def test_the_checkout_finds_its_network_from_anywhere(tmp_path):
  found = run_python(_LOAD, cwd=tmp_path).split()
  assert found == ["conv5", "flamingo", str(ROOT)]


_LOAD = """
import pathlib, jdeepvis
from jdeepvis.networks import zoo
networks = [jdeepvis.load_network(x) for x in zoo.BUNDLED]
print(*sorted({x.labels[130] if x.labels else x.order[-1] for x in networks}))
assert len(zoo.imagenet_labels()) == 1000
assert (zoo.third_party() / "photos" / "chelsea.jpg").is_file()
print(pathlib.Path(jdeepvis.__file__).parent.parent)
"""


@pytest.mark.slow
def test_a_wheel_is_whole_and_works(tmp_path):
  source = tmp_path / "source"
  # Only what is in the repository, and no scraps of an earlier build.
  names = ["jdeepvis", "experiments", "configs", "tests", "third_party"]
  files = [*ROOT.glob("*.*"), *ROOT.glob("LICENSE")]
  source.mkdir()
  for name in names:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / name, source / name, ignore=ignored)
  for file in files:
    if file.is_file():
      shutil.copy(file, source)
  pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
  subprocess.run(
    [*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, source],
    check=True,
  )
  (wheel,) = tmp_path.glob("jdeepvis-*.whl")
  with zipfile.ZipFile(wheel) as archive:
    held = set(archive.namelist())
  bundled = {
    f"jdeepvis/{path.relative_to(ROOT)}"
    for path in (ROOT / "third_party").rglob("*")
    if path.is_file()
  }
  assert len(bundled) >= 9 and bundled <= held
  assert "jdeepvis/display/static/page.html" in held
  assert "jdeepvis/display/static/unit_page.js" in held
  assert "jdeepvis/toolbox/static/main.js" in held
  modules = {
    str(path.relative_to(ROOT)) for path in ROOT.glob("jdeepvis/**/*.py")
  }
  assert modules <= held
  tops = {name.split("/")[0] for name in held}
  assert tops == {"jdeepvis", f"jdeepvis-{jdeepvis.__version__}.dist-info"}
  licences = [name for name in held if "dist-info/licenses" in name]
  assert len(licences) == 1 + len(list(ROOT.glob("third_party/*/LICENSE")))
  target = tmp_path / "target"
  subprocess.run(
    [*pip, "install", "--quiet", "--no-deps", "--target", target, wheel],
    check=True,
  )
  away = tmp_path / "away"
  away.mkdir()
  found = run_python(_LOAD, path=target, cwd=away).split()
  assert found == ["conv5", "flamingo", str(target)]
