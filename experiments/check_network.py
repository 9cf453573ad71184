r"""Checks a network before an hour is rendered with it.

  python -m experiments.check_network --net=my_models:make --photos=photos
  python -m experiments.check_network --net=deploy.prototxt \
    --weights=net.caffemodel --mean=104,117,123 --photos=photos

The most frequent mistakes, a sentence each: weights that are NaN,
dropout or batch statistics left on, dead layers, labels that do not fit, pixels
of another scale, another mean, blue for red. The figures stand above. Ends with
status 1 where something is wrong. The more photographs of what the network
knows the better, thirty at least; docs/preflight.md says what is measured.
"""

import sys
import textwrap

import numpy as np
from absl import flags

from experiments import report, script
from jdeepvis.networks.pictures import read_picture
from jdeepvis.networks.preflight.check import check
from jdeepvis.networks.preflight.finding import WRONG
from jdeepvis.networks.zoo import DEFAULT_NETWORK, load_network, third_party
from jdeepvis.probing.images import list_images, passed_over

_NET = flags.DEFINE_string(
  "net",
  DEFAULT_NETWORK,
  "A bundled network, a .safetensors, .onnx or .prototxt file, or "
  "package.module:factory.",
)
_PHOTOS = flags.DEFINE_string(
  "photos",
  None,
  "A folder of photographs, however deep, or a list of them; else four free "
  "ones.",
)
_WEIGHTS, _MEAN, _SCALE, _BGR, _SIZE, _ROOT = script.define(
  "weights", "mean", "scale", "bgr", "size", "root"
)
_LABELS = flags.DEFINE_string(
  "labels", None, "Class names of a .prototxt's net, one a line."
)

_MOST = 100  # photographs; more add little, and take their time


def main() -> None:
  """Photographs to findings, findings to tables and the exit status."""
  network = load_network(
    _NET.value,
    _WEIGHTS.value,
    mean=_MEAN.value,
    labels=_LABELS.value,
    scale=_SCALE.value,
    bgr=_BGR.value,
    size=_SIZE.value,
  )
  images = list_images(_PHOTOS.value or third_party() / "photos", _ROOT.value)
  if _PHOTOS.value and (others := passed_over(images)):
    print(others)
  spread = np.linspace(0, len(images.names) - 1, _MOST).round().astype(int)
  names = [images.names[i] for i in np.unique(spread)]
  photos = [read_picture(images.root / name) for name in names]
  print(f"{len(photos)} photographs, the first is {names[0]!r}.\n")
  found = check(network, photos)
  for one in found:
    # Most layers have no dead units; that needs no line each.
    rows = [
      {one.check: name, "value": value}
      for name, value in one.figures.items()
      if value
    ]
    if rows:
      report.print_table(rows)
      print()
  for one in found:
    line = f"{one.verdict:8}{one.check:16}{one.sentence}"
    print(textwrap.fill(line, 80, subsequent_indent=24 * " "))
  if any(one.verdict == WRONG for one in found):
    sys.exit(1)


if __name__ == "__main__":
  script.run(main)
