"""Damages files at random for a while, and sees how they are refused.

  python tests/mutate_files.py --seconds=600 --seed=1 FILE [FILE ...]

takes .prototxt, .caffemodel, .binaryproto, .npy, .onnx, .pth and .safetensors
files.
Each damaged file must load or be refused in one sentence, within seconds and
without much memory; one that does neither is kept and named.
"""

import argparse
import collections
import random
import resource
import signal
import tempfile
import time
import traceback
from pathlib import Path

import jdeepvis
from jdeepvis.networks.caffe import arrays
from jdeepvis.networks.torch_files import read_tensors
from jdeepvis.types import JdeepvisError

_PATIENCE = 20
_NUMBERS = (b"0", b"-1", b"1", b"7", b"65537", b"4294967295", b"1e39", b"nan")
_LOADERS = {
  ".prototxt": lambda path: jdeepvis.load_network(path, "random"),
  ".caffemodel": arrays.read_blobs,
  ".binaryproto": arrays.read_mean,
  ".npy": arrays.read_mean,
  ".onnx": jdeepvis.load_network,
  ".pth": read_tensors,
  ".safetensors": jdeepvis.load_network,
}


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--seconds", type=float, default=60)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("files", nargs="+", type=Path)
  flags = parser.parse_args()
  source = random.Random(flags.seed)
  originals = {path: path.read_bytes() for path in flags.files}
  tally, slowest = collections.Counter(), 0.0
  before = _memory()
  signal.signal(signal.SIGALRM, _give_up)
  folder = Path(tempfile.mkdtemp(prefix="mutated-"))
  end, count = time.monotonic() + flags.seconds, 0
  while time.monotonic() < end:
    path = source.choice(flags.files)
    damaged = folder / f"{count}{path.suffix}"
    damaged.write_bytes(_mutated(originals[path], source))
    started = time.monotonic()
    outcome = _outcome(damaged)
    slowest = max(slowest, time.monotonic() - started)
    tally[path.suffix, outcome] += 1
    if outcome == "broke":
      print(f"kept {damaged}")
    else:
      damaged.unlink()
    count += 1
  for (suffix, outcome), times in sorted(tally.items()):
    print(f"{suffix:13} {outcome:8} {times}")
  grown = (_memory() - before) / 2**20
  print(f"{count} files, slowest {slowest:.1f} s, {grown:.0f} MiB more memory")
  broken = sum(times for (_, what), times in tally.items() if what == "broke")
  raise SystemExit(1 if broken else 0)


def _outcome(path: Path) -> str:
  signal.alarm(_PATIENCE)
  try:
    _LOADERS[path.suffix](path)
    return "loaded"
  except JdeepvisError as error:
    return "refused" if str(error).endswith(".") else "broke"
  except BaseException:
    traceback.print_exc()
    return "broke"
  finally:
    signal.alarm(0)


def _mutated(data: bytes, source: random.Random) -> bytes:
  for _ in range(source.choice((1, 1, 2, 5, 20))):
    start = source.randrange(len(data) + 1)
    # Headers, names and sizes are where it hurts, and they come first.
    start = min(start, source.choice((start, 64, 4096)))
    end = start + source.choice((1, 1, 4, 64, 4096))
    what = source.randrange(6)
    if what == 0:
      flipped = bytes(x ^ 1 << source.randrange(8) for x in data[start:end])
      data = data[:start] + flipped + data[end:]
    elif what == 1:
      data = data[:start] + data[end:]
    elif what == 2:
      data = data[:end] + data[start:]
    elif what == 3:
      data = (
        data[:start] + source.choice((b"\xff", b"\0", b"{")) * 10 + data[end:]
      )
    elif what == 4:
      data = data[:start] if source.random() < 0.2 else data
    else:
      data = _other_number(data, start, source)
  return data


def _other_number(data: bytes, start: int, source: random.Random) -> bytes:
  """Another number where the next one in the text is."""
  digits = range(start, min(start + 200, len(data)))
  first = next((i for i in digits if data[i : i + 1].isdigit()), None)
  if first is None:
    return data
  last = first
  while data[last : last + 1].isdigit():
    last += 1
  return data[:first] + source.choice(_NUMBERS) + data[last:]


def _memory() -> int:
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _give_up(*_) -> None:
  raise TimeoutError(f"no answer within {_PATIENCE} s")


if __name__ == "__main__":
  main()
