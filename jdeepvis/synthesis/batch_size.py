"""Batch sizes that keep a device busy and fit into its memory."""

import math
import os
from pathlib import Path

import jax

from jdeepvis.networks.flops import count_flops
from jdeepvis.networks.network import Network

# FLOPs while a byte is read: 165 Gflop/s and 18 GB/s of a CPU's core, measured;
# half an H100's 67 Tflop/s and its 3.3 TB/s come to the same.
_FLOPS_A_BYTE = 9

_FLOPS_UNKNOWN = 800_000_000
"""Assumed without a layer graph: a forward pass of SqueezeNet."""

_MANY = 64
"""Most small pictures on a device; more bring no speed."""

_SHARE_OF_READING = 0.2
"""Time of reading weights by that of products; less needs huge batches."""

_BUSY_CORE, _BUSY_ACCELERATOR = 20_000_000, 100_000_000_000
"""FLOPs of a step that keep one device busy. A core is with a few small
pictures, measured; a GPU would be with about 64 gradients of SqueezeNet."""


def batch_size(network: Network, layer: str, wanted: int) -> int:
  """How many of the `wanted` pictures to render at once on this machine.

  Args:
    network: any network.
    layer: the blob that is maximised.
    wanted: how many pictures share a program.

  Returns:
    A multiple of the number of local devices.
  """
  devices = jax.local_devices()
  on_cpu = devices[0].platform == "cpu"
  return choose_batch(
    network,
    layer,
    wanted=wanted,
    free_bytes=_free_memory() if on_cpu else sum(map(_free_on, devices)),
    devices=len(devices),
    busy=_BUSY_CORE if on_cpu else _BUSY_ACCELERATOR,
  )


def choose_batch(
  network: Network,
  layer: str,
  *,
  wanted: int,
  free_bytes: int,
  devices: int,
  busy: int,
) -> int:
  """How many pictures to render at once within the memory there is.

  Args:
    network: any network.
    layer: the blob that is maximised.
    wanted: how many pictures share a program.
    free_bytes: memory free on all devices together.
    devices: how many there are.
    busy: FLOPs of one step that keep one device busy; more gain nothing,
      except where pictures share the reading of large weights.

  Returns:
    A multiple of `devices`, at least that.
  """
  blobs = 0
  shapes = network.shapes
  for name in network.order:
    blobs += math.prod(shapes[name])
    if name == layer:
      break
  # Forward values, their gradients, and what pooling and augmentation keep.
  picture = 4 * 3 * (blobs + 12 * math.prod(network.input.shape))
  fitting = max(1, int(free_bytes / 2 / devices / picture))
  useful = _useful(network, layer, busy)
  # Equal batches, up to half as large again, rather than padded ones.
  each = max(1, math.ceil(wanted / devices))
  batches = max(1, round(each / useful), math.ceil(each / fitting))
  return devices * math.ceil(each / batches)


def _useful(network: Network, layer: str, busy: int) -> int:
  """Pictures that keep a device busy and share the reading of weights."""
  if not network.layers:
    return min(math.ceil(busy / (2 * _FLOPS_UNKNOWN)), _MANY)
  flops = count_flops(network, layer)
  one = max(sum(flops.values()), 1)
  filling = min(math.ceil(busy / (2 * one)), _MANY)
  read = sum(
    network.params[info.weights_key]["kernel"].nbytes
    for info in network.layers
    if info.name in flops
  )
  reading = read * _FLOPS_A_BYTE / one
  return max(filling, math.ceil(reading / _SHARE_OF_READING))


def _free_memory() -> int:
  try:
    lines = Path("/proc/meminfo").read_text().splitlines()
  except OSError:
    lines = []
  for line in lines:
    if line.startswith("MemAvailable:"):
      return int(line.split()[1]) * 1024
  return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _free_on(device: jax.Device) -> int:
  stats = device.memory_stats() or {}
  return stats.get("bytes_limit", 8 << 30) - stats.get("bytes_in_use", 0)
