"""A scan of files: the same however it is divided, stopped and gone on with."""

import jax
import numpy as np
import pytest
import small_networks
from PIL import Image

from jdeepvis.probing import images, scan, top_patches

pytestmark = pytest.mark.optimised

LAYERS = ("conv1", "conv2", "scores")


@pytest.fixture(scope="module")
def listing(tmp_path_factory):
  """Fifty images, two of them alike, and a broken file among them."""
  folder = tmp_path_factory.mktemp("images")
  rng = np.random.default_rng(0)
  for number in range(50):
    pixels = rng.integers(0, 256, (33, 33, 3), np.uint8)
    pixels = Image.fromarray(pixels).resize((33, 33), box=(0, 0, 9, 9))
    pixels.save(folder / f"{number:02d}.png")
  (folder / "44.png").write_bytes((folder / "03.png").read_bytes())
  (folder / "21.png").write_bytes(b"broken")
  return images.list_images(folder)


def run(listing, *, stop=None, resume=None, workers=2, per_device=3):
  network = small_networks.classifier()
  found = None
  for progress in scan.scan(
    network, LAYERS, listing, k=9, bottom=2, per_device=per_device,
    workers=workers, resume=resume,
  ):  # fmt: skip
    if stop and progress.seen >= stop:
      return progress.collect()
    found = progress
  return found.collect()


def same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)


def test_the_scan_is_a_brute_force_pass(listing):
  network = small_networks.classifier()
  found = run(listing)
  assert found.seen == 50
  assert np.flatnonzero(found.faults).tolist() == [21]
  numbers = [i for i in range(50) if i != 21]
  pixels = [images.read_image(listing, i, network.input)[0] for i in numbers]
  blobs = network(np.stack(pixels))
  slices = top_patches.layer_slices(network, LAYERS)
  for name in LAYERS:
    values = np.asarray(blobs[name]).reshape(
      49, -1, slices[name].stop - slices[name].start
    )
    peaks = values.max(1)
    order = np.argsort(-peaks, axis=0, kind="stable")[:9]
    score = np.take_along_axis(peaks, order, 0).T
    top = jax.tree.map(
      lambda leaf, name=name: leaf[slices[name]], found.survey.top
    )
    np.testing.assert_allclose(top.score, score, atol=1e-4)
    apart = np.abs(np.diff(score, axis=1)).min(1) > 1e-5
    assert apart.sum() > 3
    cells = np.take_along_axis(values.argmax(1), order, 0).T
    np.testing.assert_array_equal(
      top.image[apart], np.array(numbers)[order.T][apart]
    )
    np.testing.assert_array_equal(top.cell[apart], cells[apart])


def test_of_two_images_alike_the_first_comes_first(listing):
  top = run(listing).survey.top
  for unit in range(top.image.shape[0]):
    kept = top.image[unit].tolist()
    if 44 in kept:
      assert kept.index(3) == kept.index(44) - 1
  assert (top.image == 44).any()


def test_workers_have_no_say(listing):
  same(run(listing, workers=1), run(listing, workers=4))


def test_devices_have_no_say(listing, monkeypatch):
  assert jax.local_device_count() == 2
  two = run(listing)
  monkeypatch.setattr(scan.jax, "local_devices", lambda: jax.devices()[:1])
  same(run(listing), two)


@pytest.mark.parametrize("stop", [1, 20, 49])
def test_stopped_and_gone_on_with_it_is_the_same(listing, stop):
  part = run(listing, stop=stop)
  assert stop <= part.seen
  same(run(listing, resume=part) if part.seen < 50 else part, run(listing))


def test_other_batch_shapes_agree(listing):
  one, other = run(listing), run(listing, per_device=7)
  np.testing.assert_allclose(
    one.survey.top.score, other.survey.top.score, atol=1e-4
  )
