"""What a scan for top patches costs, beside the bare pass and PyTorch.

  python -m benchmarks.scan

All look at the same pictures with SqueezeNet 1.1 and want, of every unit of
every layer, the nine images with the largest values. The bare pass is the
jitted maxima of all layers over batches that are in memory already; `update`
adds the running top-k; `files` reads, decodes and resizes as well, on the same
cores. PyTorch runs the same layers with amax and topk. Rounds are interleaved
and medians taken, so that a machine's moods cancel in the ratio.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import torch
from PIL import Image

import jdeepvis
from jdeepvis.probing import images, scan, top_patches

_BATCH, _BATCHES, _ROUNDS, _K = 8, 8, 5, 9


def main() -> None:
  """Times every contender in turn, then prints the table."""
  cores = len(os.sched_getaffinity(0))
  jax.config.update("jax_num_cpu_devices", cores)
  torch.set_num_threads(cores)
  network = jdeepvis.load_network("squeezenet1.1")
  layers = top_patches.probed_layers(network)
  with tempfile.TemporaryDirectory() as folder:
    listing = _write_pictures(Path(folder), _BATCH * _BATCHES * cores)
    pixels = np.stack(
      [
        images.read_image(listing, number, network.input)[0]
        for number in range(len(listing.names))
      ]
    )
    works = {
      "bare pass": _bare(network, layers, pixels),
      "whole scan, update": _update(network, layers, pixels),
      "decoding alone": _decode(network, listing),
      "whole scan, files": _files(network, layers, listing),
      "PyTorch scan": _torch_scan(network, layers, pixels),
    }
    for work in works.values():
      work()
    seconds = {name: [] for name in works}
    for _ in range(_ROUNDS):
      for name, work in works.items():
        began = time.perf_counter()
        work()
        seconds[name].append(time.perf_counter() - began)
  bare = statistics.median(seconds["bare pass"])
  print("| | images/s | of the bare pass |\n|---|---|---|")
  for name, taken in seconds.items():
    median = statistics.median(taken)
    print(f"| {name} | {len(pixels) / median:.1f} | {bare / median:.2f} |")


def _write_pictures(folder: Path, count: int) -> images.ImageList:
  """Smooth noise as JPEGs, of a usual photograph's size."""
  random = np.random.default_rng(0)
  for number in range(count):
    small = random.integers(0, 256, (40, 53, 3), np.uint8)
    picture = Image.fromarray(small).resize((500, 375))
    picture.save(folder / f"{number:04d}.jpg", quality=90)
  return images.list_images(folder)


def _bare(network, layers, pixels):
  devices = jax.local_devices()
  mesh = jax.sharding.Mesh(np.array(devices), ("images",))
  split = jax.sharding.PartitionSpec("images")

  @jax.jit
  def maxima(params, pixels):
    def of_device(params, pixels):
      blobs = network.apply(params, pixels, until=layers)
      return {
        name: blobs[name].reshape(_BATCH, -1, blobs[name].shape[-1]).max(1)
        for name in layers
      }

    return jax.shard_map(
      of_device,
      mesh=mesh,
      in_specs=(jax.sharding.PartitionSpec(), split),
      out_specs=split,
      check_vma=False,
    )(params, pixels)

  step = _BATCH * len(devices)

  def work():
    for first in range(0, len(pixels), step):
      found = maxima(network.params, pixels[first : first + step])
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
  """The layer table by torch's own operations, channels last."""
  params = {
    name: {
      leaf: torch.from_numpy(np.array(values)) for leaf, values in part.items()
    }
    for name, part in network.params.items()
  }
  for part in params.values():
    kernel = part["kernel"].permute(3, 2, 0, 1)
    part["kernel"] = kernel.contiguous(memory_format=torch.channels_last)
  whole_input = torch.from_numpy(pixels).permute(0, 3, 1, 2)
  batch = _BATCH * jax.local_device_count()

  @torch.inference_mode()
  def work():
    top = None
    for first in range(0, len(pixels), batch):
      blobs = {"data": whole_input[first : first + batch]}
      for layer in network.layers:
        inputs = [blobs[name] for name in layer.inputs]
        blobs[layer.outputs[0]] = _torch_layer(layer, params, inputs)
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


def _torch_layer(layer, params, inputs):
  functional = torch.nn.functional
  x = inputs[0]
  match layer.kind:
    case "convolution":
      part = params[layer.name]
      return functional.conv2d(
        x, part["kernel"], part["bias"], layer.stride, layer.pad
      )
    case "relu":
      return functional.relu(x)
    case "max_pooling":
      return functional.max_pool2d(
        x, layer.kernel, layer.stride, ceil_mode=True
      )
    case "concat":
      return torch.cat(inputs, 1)
    case "global_average":
      return x.mean((2, 3), keepdim=True)
    case "softmax":
      return x.softmax(1)
  raise ValueError(layer.kind)


if __name__ == "__main__":
  main()
