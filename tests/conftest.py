"""What all tests share. Real data are for local runs; CI does without."""

import os
import tempfile
from pathlib import Path

import jax
import pytest
from jax._src import compiler

import jdeepvis

_ROOT = Path(__file__).parent.parent

# Two devices, as the scripts have: sharding is part of what is tested.
jax.config.update("jax_num_cpu_devices", 2)
# What holds in JAX's strictest modes holds in all.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

_compile_options = compiler.get_compile_options


def _quick_options(*args, **kwargs):
  """XLA's older emitter of loops, where values matter and speed does not.

  JAX hands out no public setting for all programs, and XLA_FLAGS would hold
  for the modules marked `optimised`, too.
  """
  options = _compile_options(*args, **kwargs)
  if jax.config.read("jax_disable_most_optimizations"):
    emitters = ("xla_cpu_use_fusion_emitters", False)
    options.env_option_overrides = [*options.env_option_overrides, emitters]
  return options


compiler.get_compile_options = _quick_options


def pytest_configure(config):
  """A program of one module is that of the next, read and not compiled."""
  worker = os.environ.get("PYTEST_XDIST_WORKER")
  if worker is None:
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ["JDEEPVIS_TEST_PROGRAMS"] = folder.name
  # One each: JAX does not write files whole, and others would read half of one.
  own = os.path.join(os.environ["JDEEPVIS_TEST_PROGRAMS"], worker or "alone")
  jax.config.update("jax_compilation_cache_dir", own)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(autouse=True, scope="module")
def fresh_programs(request):
  """A module's fixtures compile as the module is marked."""
  # No module runs what another has compiled otherwise, and a process of
  # thousands of compiled programs runs out of memory mappings.
  jax.clear_caches()
  _compile_as_marked(request.node)


@pytest.fixture(autouse=True)
def compiled_quickly(request):
  """Most of the suite's time would be XLA's optimisations.

  Modules that are about what optimised programs compute are marked so, and
  tests that compute for longer than XLA optimises.
  """
  _compile_as_marked(request.node)


def _compile_as_marked(node):
  quickly = node.get_closest_marker("optimised") is None
  jax.config.update("jax_disable_most_optimizations", quickly)


@pytest.fixture(scope="session")
def shared_data() -> Path:
  """The folder with real photos and Caffe files."""
  path = Path(
    os.environ.get("JDEEPVIS_TEST_DATA", _ROOT.parent / "shared/data")
  )
  if not path.is_dir():
    pytest.skip(
      f"no real data at {path}; JDEEPVIS_TEST_DATA names another place"
    )
  return path


@pytest.fixture(scope="session")
def squeezenet():
  return jdeepvis.load_network("squeezenet1.1")
