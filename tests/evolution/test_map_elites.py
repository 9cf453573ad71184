"""Generations: monotone, right about who wins, the same however computed."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_networks
from jax.tree_util import Partial

from jdeepvis.evolution.archive import (
  NOBODY,
  Archive,
  Unrelated,
  empty_archive,
  statistics,
  update,
)
from jdeepvis.evolution.cppn import Cppn
from jdeepvis.evolution.direct import Direct
from jdeepvis.evolution.map_elites import (
  class_probabilities,
  evolve,
  map_elites,
)
from jdeepvis.networks import classify, convert

pytestmark = pytest.mark.optimised

ROOT = Path(__file__).parents[2]
SHAPE = (6, 5, 3)
# The second takes some seconds to compile.
ENCODINGS = [
  Direct(SHAPE),
  pytest.param(Cppn(SHAPE), marks=pytest.mark.slow),
]


def colours(images):
  """Three classes: how red, how green, how blue."""
  return jax.nn.softmax(images.mean((1, 2)) / 40)


def history(archive, rounds, *, encoding, evaluate=None, key=0, **more):
  """Archives after each of some calls."""
  reported = []
  for count in rounds:
    archive, rows = evolve(
      jax.random.key(key),
      Partial(evaluate or colours),
      encoding,
      archive,
      generations=count,
      **{"offspring": 12, "per_device": 3, **more},
    )
    reported.append((archive, jax.tree.map(lambda row, n=count: row[:n], rows)))
  return reported


def same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_elites_only_ever_become_surer(encoding):
  archive = empty_archive(encoding, 3)
  reported = history(archive, [1] * 12, encoding=encoding)
  decode = jax.jit(jax.vmap(encoding.decode))
  before = np.full(3, NOBODY)
  for number, (archive, rows) in enumerate(reported):
    now = np.asarray(archive.confidence)
    assert (now >= before).all()
    assert rows["improved"][0] == np.sum(now > before)
    np.testing.assert_array_equal(
      archive.born[now > before], np.full(np.sum(now > before), number)
    )
    # Every elite is what its confidence says.
    images = decode(archive.genome)
    own = np.diagonal(np.asarray(colours(images)))
    np.testing.assert_allclose(own, now, rtol=1e-5)
    assert archive.generation == number + 1
    before = now
  assert (before > np.asarray(reported[0][0].confidence)).any()


def update_plainly(elites, confidence, genomes, judged):
  for child, row in zip(genomes, judged, strict=True):
    if np.isfinite(row).all():
      for cell in np.flatnonzero(row > confidence):
        elites[cell], confidence[cell] = child, row[cell]


def test_the_surest_child_takes_the_cell():
  rng = np.random.default_rng(0)
  elites, confidence = np.zeros((40, 2)), np.full(40, NOBODY)
  archive = Archive(
    jnp.zeros((40, 2)), jnp.full(40, NOBODY), jnp.zeros(40, int), jnp.int32(0)
  )
  for _ in range(5):
    genomes = np.float32(rng.normal(size=(7, 2)))
    # Few different values, so that there are ties.
    judged = np.float32(rng.integers(0, 30, (7, 40)) / 30)
    judged[rng.integers(0, 7), rng.integers(0, 40)] = np.nan
    archive, reported = update(archive, jnp.array(genomes), jnp.array(judged))
    update_plainly(elites, confidence, genomes, judged)
    np.testing.assert_array_equal(archive.genome, np.float32(elites))
    np.testing.assert_array_equal(archive.confidence, np.float32(confidence))
    assert reported["dead"] == 1


def test_who_says_what_is_no_number_takes_no_cell():
  archive = empty_archive(Direct(SHAPE), 3)
  ((archive, rows),) = history(
    archive, [2], encoding=Direct(SHAPE), evaluate=lambda x: colours(x) * np.nan
  )
  np.testing.assert_array_equal(archive.confidence, np.full(3, NOBODY))
  np.testing.assert_array_equal(rows["dead"], [12, 12])


def test_statistics_are_numpys():
  confidence = np.random.default_rng(0).uniform(size=999).astype(np.float32)
  reported = statistics(jnp.array(confidence))
  for share in (10, 25, 75, 90):
    assert reported[f"quantile_{share}"] == pytest.approx(
      np.percentile(confidence, share), abs=1e-5
    )
  assert reported["median"] == np.median(confidence)
  for level in (50, 90, 99):
    assert reported[f"above_{level}"] == np.sum(confidence > level / 100)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_calls_may_be_parted_at_will(encoding):
  fresh = empty_archive(encoding, 3)
  whole = history(fresh, [4, 2], encoding=encoding)
  parts = history(fresh, [1, 3, 2], encoding=encoding)
  same(whole[-1][0], parts[-1][0])
  same(
    whole[0][1],
    jax.tree.map(lambda *x: np.concatenate(x), parts[0][1], parts[1][1]),
  )
  other = history(fresh, [4, 2], encoding=encoding, key=1)
  assert (other[-1][0].confidence != whole[-1][0].confidence).any()


def test_children_do_not_depend_on_the_batch():
  """Whole grey levels: where sums are exact, all of it is the same."""
  encoding = Direct(SHAPE)

  def exact(images):
    return images.sum((1, 2)) / 2**20

  runs = [
    history(
      empty_archive(encoding, 3),
      [4],
      encoding=encoding,
      evaluate=exact,
      per_device=per_device,
    )
    for per_device in (1, 12)
  ]
  same(*runs)


_ELSEWHERE = """
import sys, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 3)
sys.path[:0] = ["tests/evolution", "tests"]
from test_map_elites import a_few_generations
reported = a_few_generations()
assert jax.device_count() == 3
for leaf in jax.tree.leaves(reported):
  sys.stdout.buffer.write(np.asarray(leaf).tobytes())
"""


def a_few_generations():
  network = small_networks.classifier()
  encoding = Direct(network.input.shape)
  return evolve(
    jax.random.key(0),
    class_probabilities(network),
    encoding,
    empty_archive(encoding, 9),
    generations=4,
    offspring=10,
    per_device=2,
  )


def test_devices_have_no_say():
  """Two devices here, three elsewhere: the same to the bit."""
  assert jax.device_count() == 2
  here = jax.tree.leaves(a_few_generations())
  there = subprocess.run(
    [sys.executable, "-c", _ELSEWHERE],
    cwd=ROOT,
    capture_output=True,
    check=True,
  ).stdout
  assert there == b"".join(np.asarray(leaf).tobytes() for leaf in here)


def test_the_network_is_asked_for_what_it_says_itself():
  network = small_networks.classifier()
  images = 255 * jax.random.uniform(
    jax.random.key(0), (3, *network.input.shape)
  )
  centred = np.asarray(images) - network.input.mean
  for one in (network, network.replace(layers=())):
    np.testing.assert_allclose(
      class_probabilities(one)(images),
      classify.probabilities(one, centred),
      rtol=1e-5,
    )


def test_weights_are_no_constants():
  network = small_networks.classifier()
  encoding = Direct(network.input.shape)
  archive = empty_archive(encoding, 9)
  settings = {"generations": 4, "offspring": 4, "per_device": 1}
  lowered = evolve.lower(
    jax.random.key(0),
    class_probabilities(network),
    encoding,
    archive,
    **settings,
  )
  assert len(lowered.as_text()) < 1_000_000


def test_a_generation_beats_unrelated_ones():
  encoding = Direct(SHAPE)
  fresh = empty_archive(encoding, 3)
  ((bred, _),) = history(fresh, [150], encoding=encoding, limit=150)
  ((drawn, _),) = history(fresh, [150], encoding=Unrelated(encoding), limit=150)
  assert (np.asarray(bred.confidence) > drawn.confidence + 0.03).all()


def test_one_generation_is_a_pure_function():
  encoding = Direct(SHAPE)
  generation = map_elites(
    Partial(colours), encoding, offspring=12, per_device=3
  )
  archive, reported = jax.jit(generation)(
    jax.random.key(0), empty_archive(encoding, 3)
  )
  ((other, rows),) = history(empty_archive(encoding, 3), [1], encoding=encoding)
  same(archive, other)
  same(reported, jax.tree.map(lambda row: row[0], rows))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("kind", "generations", "offspring"), [(Direct, 100, 200), (Cppn, 10, 400)]
)
def test_lenet_is_certain_of_every_digit(
  shared_data, kind, generations, offspring
):
  """Within a minute: of pictures that show no digit."""
  network, _ = convert.read_caffe(
    shared_data / "caffe/nets/lenet.prototxt",
    shared_data / "caffe/models/lenet_v2.caffemodel",
    scale=1 / 256,
  )
  encoding = kind(network.input.shape)
  archive, rows = evolve(
    jax.random.key(0),
    class_probabilities(network),
    encoding,
    empty_archive(encoding, 10),
    generations=generations,
    limit=generations,
    offspring=offspring,
    per_device=8,
  )
  assert (np.asarray(archive.confidence) > 0.99).all()
  assert rows["above_99"][-1] == 10
  images = jax.jit(jax.vmap(encoding.decode))(archive.genome)
  said = classify.probabilities(network, images + network.input.bounds[0][None])
  assert (np.diagonal(np.asarray(said)) > 0.99).all()
