"""Many pictures as one program: nothing of a neighbour shows in a picture."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import small_networks

import jdeepvis
from jdeepvis.networks import sharding
from jdeepvis.networks.graph import GraphApply
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.tables import (
  conv,
  dense,
  layer,
  max_pool,
  rectified_concat,
)
from jdeepvis.synthesis import ascend as loop
from jdeepvis.synthesis import assembly, batch
from jdeepvis.synthesis.batch import Ascent, ascend_batch
from jdeepvis.synthesis.initial import initial_image
from jdeepvis.synthesis.named_recipes import recipe
from jdeepvis.synthesis.objectives import neuron
from jdeepvis.synthesis.recipes import make_recipe
from jdeepvis.synthesis.score import bind
from jdeepvis.synthesis.transforms import scale_to_rms

pytestmark = pytest.mark.optimised

STEPS = 12
RECIPE = make_recipe(
  scale_to_rms,
  4.0,
  decay=1e-3,
  blur=0.7,
  blur_every=4,
  norm_percentile=20.0,
  jitter=0.03,
  steps=STEPS,
)


@pytest.fixture(scope="module")
def network():
  """Few layers, since each test compiles a program of its own."""
  layers = (
    *conv("conv1", "data", 8, 3, stride=2),
    *max_pool("pool1", "conv1"),
    *conv("left", "pool1", 8, 1),
    *conv("right", "pool1", 8, 3, pad=1),
    *rectified_concat("concat", "left", "right"),
    *max_pool("pool2", "concat"),
    *conv("conv3", "pool2", 9, 1),
    *layer("scores", "global_average", "conv3/pre"),
  )
  mean = np.array([123, 117, 104], np.float32)
  network = small_networks.random_network(layers, (65, 65, 3), mean=mean)
  return network.replace(output="scores")


def picture(network, unit, recipe=RECIPE):
  key = jax.random.fold_in(jax.random.key(0), unit)
  start = initial_image(key, network.input)
  return Ascent(neuron("output", unit), recipe, key, start)


def images(network, pictures, size=2, **more):
  *_, progress = ascend_batch(network, pictures, batch=size, **more)
  return np.asarray(progress.states.last.image)[: len(pictures)]


def test_a_picture_is_the_same_among_others_and_elsewhere(network):
  units = [3, 1, 4]
  alone = {u: images(network, [picture(network, u)])[0] for u in units}
  for first, second in ([3, 1], [1, 3], [4, 4], [1, 4]):
    made = images(network, [picture(network, u) for u in (first, second)])
    np.testing.assert_array_equal(made[0], alone[first])
    np.testing.assert_array_equal(made[1], alone[second])


def test_placed_before_or_not_is_the_same(network):
  # Clips of the smallest would turn on a rounding.
  short = RECIPE.replace(steps=2, norm_percentile=0.0)
  pictures = [picture(network, unit, short) for unit in (2, 5)]
  placed = sharding.place(network, 2)
  assert "transpose" not in network.params["conv1"]
  made = images(network, pictures, placed=placed)
  np.testing.assert_array_equal(images(network, pictures), made)
  plain = network.replace(apply=GraphApply(network.layers, plain=True))
  assert "transpose" not in sharding.place(plain, 2).params["conv1"]
  # Another program, whose products add up in another order, which tells
  # gradients apart by a part in a thousand at most; steps are four grey levels.
  np.testing.assert_allclose(images(plain, pictures), made, atol=2e-2)


def test_cpus_share_one_copy_of_the_weights(network):
  for leaf in jax.tree.leaves(sharding.place(network, 2).params):
    shards = leaf.addressable_shards
    assert {shard.device for shard in shards} == {*jax.local_devices()}
    assert len({s.data.unsafe_buffer_pointer() for s in shards}) == 1


def wide_network():
  """4096 x 1024 is shared out, and 1024 x 4096; 1000 columns are not."""
  table = (
    *conv("conv", "data", 16, 11, stride=14),
    *dense("fc6", "conv", 1024),
    *dense("fc7", "fc6", 4096),
    *dense("fc8", "fc7", 1000),
  )
  network = small_networks.random_network(table, (227, 227, 3))
  return network.replace(output="fc8/pre")


def narrow_network():
  """Nothing of it is large enough to be shared out."""
  table = (*conv("conv", "data", 16, 5, stride=2), *dense("fc", "conv", 10))
  return small_networks.random_network(table, (33, 33, 3))


def four_images(network, size, units, steps):
  """Four pictures with all that the default has."""
  made = recipe("default").replace(steps=steps)
  pictures = [picture(network, unit, made) for unit in units]
  parts = [pictures[first : first + size] for first in range(0, 4, size)]
  return np.concatenate([images(network, part, size) for part in parts])


def on_any_devices(size):
  """Pictures of a small network, and of one whose products are shared out."""
  narrow = four_images(narrow_network(), size, (0, 3, 4, 9), 8)
  return narrow, four_images(wide_network(), size, (2, 499, 500, 999), 2)


def test_cpus_share_large_products_out():
  network = wide_network()
  placed = sharding.place(network, 4)
  across = [info.name for info in placed.apply.layers if info.option("across")]
  assert across == ["fc6", "fc7"]
  for name, leaf in (("fc6", "kernel"), ("fc7", "transpose")):
    for shard in placed.params[name][leaf].addressable_shards:
      assert shard.data.shape == (4096, 512)
  # A single picture's product would be of another kind, with other bits.
  assert sharding.place(network, 2).apply == network.apply


def test_the_number_of_devices_changes_no_bit(tmp_path):
  """Two devices here, one elsewhere, which reads all weights by itself."""
  program = f"""
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 1)
import test_batch
assert jax.local_device_count() == 1
np.savez({str(tmp_path / "elsewhere.npz")!r}, *test_batch.on_any_devices(2))
"""
  here = Path(__file__).parent
  paths = os.pathsep.join(map(str, (here, here.parent, here.parent.parent)))
  subprocess.run(
    [sys.executable, "-c", program],
    env={**os.environ, "PYTHONPATH": paths},
    check=True,
  )
  elsewhere = [*np.load(tmp_path / "elsewhere.npz").values()]
  narrow, wide = on_any_devices(4)
  np.testing.assert_array_equal(narrow, elsewhere[0])
  # Products that are shared out are another program: sums of up to 4096 terms
  # in another order, see `test_ops`, and steps of some grey levels.
  np.testing.assert_allclose(wide, elsewhere[1], atol=2e-2)
  for made in elsewhere:
    assert len(np.unique(made, axis=0)) == 4


def test_weights_may_be_any_pytree():
  spec = InputSpec((9, 9, 3), np.float32([100, 100, 100]))
  bare = jdeepvis.from_function(
    lambda params, x: {"y": x.mean((1, 2)) @ params[0] + params[1][0]},
    [np.eye(3, dtype=np.float32), (np.float32(1),)],
    spec,
    output="y",
  )
  made = images(bare, [picture(bare, unit) for unit in (0, 2)])
  assert made[0, ..., 0].mean() > 10 and made[1, ..., 2].mean() > 10


def test_a_batch_is_what_render_makes_of_each(network):
  """One step and its gradient; over many rounding tells shapes apart."""
  short = RECIPE.replace(steps=2)
  pictures = [picture(network, unit, short) for unit in (2, 5)]
  made = images(network, pictures)
  for one, image in zip(pictures, made, strict=True):
    score = bind(network, one.objective)
    alone, _ = loop.ascend(
      jax.random.fold_in(one.key, 1),
      assembly.augmented(short, score, network.input),
      assembly.optimizer(short, network.input),
      one.image,
      steps=2,
    )
    np.testing.assert_allclose(image, alone.last.image, atol=2e-3)


def test_stopped_and_taken_up_again_is_the_same_to_the_bit(network):
  longer = RECIPE.replace(steps=68)
  pictures = [picture(network, unit, longer) for unit in (2, 5)]
  whole = images(network, pictures)
  first = next(ascend_batch(network, pictures, batch=2))
  assert first.step == 34
  kept = batch.pack(first)
  resumed = images(network, pictures, resume=kept)
  np.testing.assert_array_equal(resumed, whole)


def test_a_checkpoint_of_shorter_chunks_ends_where_it_should(network):
  pictures = [picture(network, unit) for unit in (2, 5)]
  whole = images(network, pictures)
  kept = batch.pack(next(ascend_batch(network, pictures, batch=2, chunk=5)))
  assert kept["step"] == 4
  *_, last = ascend_batch(network, pictures, batch=2, resume=kept)
  assert last.step == STEPS and last.history["score"].shape == (2, STEPS)
  np.testing.assert_array_equal(last.states.last.image, whole)


def test_units_and_strengths_share_one_compilation(network, monkeypatch):
  traces = []

  def counted(*args):
    traces.append(args)
    return advance(*args)

  advance = loop.advance
  monkeypatch.setattr(loop, "advance", counted)
  batch._advance.clear_cache()
  images(network, [picture(network, 1), picture(network, 2)])
  assert len(traces) == 1
  other = RECIPE.replace(decay=0.0, blur=0.4, rate=2.0)
  images(network, [picture(network, 7, other), picture(network, 0)])
  images(network, [picture(network, 8)])
  assert len(traces) == 1


def test_strengths_in_a_batch_are_each_pictures_own(network):
  still = RECIPE.replace(rate=0.0, blur=0.0, norm_percentile=0.0)
  gone = still.replace(decay=1.0)
  still = still.replace(decay=0.0)
  pictures = [picture(network, 1, still), picture(network, 1, gone)]
  kept, vanished = images(network, pictures)
  np.testing.assert_allclose(kept, pictures[0].image, atol=1e-4)
  assert not np.any(vanished)


def test_every_stays_a_branch_in_the_batched_program(network):
  one = picture(network, 1)
  placed, mesh = sharding.place(network, 2), sharding.mesh_for(2)
  stacked = batch.stack([one], 2)
  states = batch._begin(
    mesh, "noise", network.input, network.input, (0, 0), stacked
  )
  traced = jax.make_jaxpr(batch._advance, static_argnums=(0, 1))(
    mesh,
    sharding.specs_of(placed),
    placed,
    stacked._replace(image=None),
    states,
    np.arange(4),
  )
  assert " cond[" in str(traced)


def test_more_pictures_than_the_batch_are_refused(network):
  """A larger batch would be another program with other bits."""
  pictures = [picture(network, unit) for unit in (1, 2, 3)]
  for wrong in (pictures, []):
    with pytest.raises(ValueError, match="batch of 2"):
      next(ascend_batch(network, wrong, batch=2))


def test_images_stay_in_the_box(network):
  wild = RECIPE.replace(rate=400.0, blur=0.0)
  lower, upper = network.input.bounds
  made = images(network, [picture(network, 1, wild)])[0]
  assert np.all(made >= lower - 1e-4) and np.all(made <= upper + 1e-4)
  assert np.isclose(made, upper, atol=1e-4).any()
