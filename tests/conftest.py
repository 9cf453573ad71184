"""What all tests share. Real data are for local runs; CI does without."""

import os
from pathlib import Path

import jax
import pytest

import jdeepvis

_ROOT = Path(__file__).parent.parent

# Two devices, as the scripts have: sharding is part of what is tested.
jax.config.update("jax_num_cpu_devices", 2)
# What holds in JAX's strictest modes holds in all.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def compiled_quickly(request):
  """Most of the suite's time would be XLA's optimisations.

  Modules that are about what optimised programs compute are marked so.
  """
  quickly = request.node.get_closest_marker("optimised") is None
  # No module runs what another has compiled otherwise, and a process of
  # thousands of compiled programs runs out of memory mappings.
  jax.clear_caches()
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
