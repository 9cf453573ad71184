"""What a scan for top patches costs, beside the bare pass and PyTorch.

All look at the same pictures with SqueezeNet 1.1 and want, of every unit of
every layer, the nine images with the largest values. The bare pass is the
jitted maxima of all layers over batches that are in memory already; `update`
adds the running top-k; `files` reads, decodes and resizes as well, on the same
cores. PyTorch runs the same layers with max and topk.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import torch
from PIL import Image

from benchmarks import rival
from benchmarks.timing import interleave
from jdeepvis.networks.sharding import WHOLE, mesh_for, replicate, sharded
from jdeepvis.networks.zoo import load_network
from jdeepvis.probing import images, scan, top_patches

# As `scan.per_device` has it on a CPU; PyTorch is faster so as well.
_BATCH, _BATCHES, _ROUNDS, _K = 4, 16, 5, 9


def rows() -> Iterator[list[str]]:
  """The scan from memory and from files; the rival first is the bare pass."""
  network = load_network("squeezenet1.1")
  layers = top_patches.probed_layers(network)
  with tempfile.TemporaryDirectory() as folder:
    count = _BATCH * _BATCHES * jax.local_device_count()
    listing = _write_pictures(Path(folder), count)
    pixels = np.stack(
      [
        images.read_image(listing, number, network.input)[0]
        for number in range(count)
      ]
    )
    medians = interleave(
      {
        "bare pass": _bare(network, layers, pixels),
        "memory": _update(network, layers, pixels),
        "decoding": _decode(network, listing),
        "files": _files(network, layers, listing),
        "PyTorch": _torch_scan(network, layers, pixels),
      },
      rounds=_ROUNDS,
    )
  rate = {name: count / seconds for name, seconds in medians.items()}
  for ours, other, goal in (
    ("memory", "bare pass", "0.8"),
    ("files", "bare pass", "0.8"),
    ("decoding", "bare pass", "-"),
    ("memory", "PyTorch", "1.0"),
  ):
    yield [
      f"scan for top patches, {ours}, images/s",
      f"{rate[ours]:.1f}",
      f"{other} {rate[other]:.1f}",
      f"{rate[ours] / rate[other]:.2f}",
      goal,
    ]


def _write_pictures(folder: Path, count: int) -> images.ImageList:
  """Smooth noise as JPEGs, of a usual photograph's size."""
  random = np.random.default_rng(0)
  for number in range(count):
    small = random.integers(0, 256, (40, 53, 3), np.uint8)
    picture = Image.fromarray(small).resize((500, 375))
    picture.save(folder / f"{number:04d}.jpg", quality=90)
  return images.list_images(folder)


def _bare(network, layers, pixels):
  def of_device(network, pixels):
    blobs = network(pixels, until=layers)
    return {
      name: blobs[name].reshape(_BATCH, -1, blobs[name].shape[-1]).max(1)
      for name in layers
    }

  step = _BATCH * jax.local_device_count()
  maxima = jax.jit(sharded(of_device, mesh_for(step), WHOLE))
  placed = replicate(network)

  def work():
    for first in range(0, len(pixels), step):
      found = maxima(placed, pixels[first : first + step])
    jax.block_until_ready(found)

  return work


def _update(network, layers, pixels):
  """The scan itself, its reader replaced by what is in memory."""
  step = _BATCH * jax.local_device_count()
  batches = [
    images.Batch(
      pixels[first : first + step],
      np.arange(first, first + step, dtype=np.int32),
      np.zeros(step, np.uint8),
    )
    for first in range(0, len(pixels), step)
  ]
  listing = images.ImageList(Path(), ("",) * len(pixels))
  return _scanner(network, layers, listing, lambda *args, **kwargs: batches)


def _files(network, layers, listing):
  return _scanner(network, layers, listing, images.read_batches)


def _scanner(network, layers, listing, read):
  def work():
    scan.read_batches = read
    for progress in scan.scan(
      network, layers, listing, k=_K, per_device=_BATCH, workers=2
    ):
      last = progress
    last.collect()

  return work


def _decode(network, listing):
  numbers = np.arange(len(listing.names))

  def work():
    for _ in images.read_batches(
      listing, numbers, network.input, batch=_BATCH, workers=2
    ):
      pass

  return work


def _torch_scan(network, layers, pixels):
  whole_input = rival.as_tensor(pixels)
  batch = _BATCH * jax.local_device_count()
  run = rival.forward(network)

  @torch.inference_mode()
  def work():
    top = None
    for first in range(0, len(pixels), batch):
      blobs = run(whole_input[first : first + batch])
      peaks = [blobs[name].flatten(2).max(dim=2) for name in layers]
      score = torch.cat([peak.values for peak in peaks], 1)
      cell = torch.cat([peak.indices for peak in peaks], 1)
      number = torch.arange(first, first + len(score))[:, None].expand_as(score)
      new = (score, cell, number)
      if top is not None:
        new = tuple(torch.cat(pair) for pair in zip(top, new, strict=True))
      kept, place = new[0].topk(min(_K, len(new[0])), dim=0)
      top = (kept, *(field.gather(0, place) for field in new[1:]))
    return top

  return work
