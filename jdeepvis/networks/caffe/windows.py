"""Convolutions and poolings: what stands in a window's settings."""

from jdeepvis.networks.caffe.steps import CannotRunError, Step
from jdeepvis.networks.ops import Pair


def convolution(layer, kind="convolution"):
  """The step of a Convolution."""
  settings = layer.message.convolution_param
  if settings.axis != 1:
    raise CannotRunError("its axis is not 1")
  if not settings.num_output:
    raise ValueError("it lacks num_output")
  options = {"features": settings.num_output, "groups": settings.group}
  options |= {} if settings.bias_term else {"bias": False}
  return Step(
    kind,
    _pair(settings, "kernel", settings.kernel_size, None),
    _pair(settings, "stride", settings.stride, 1),
    _pair(settings, "pad", settings.pad, 0),
    _dilation(settings),
    options,
  )


def deconvolution(layer):
  """The step of a Deconvolution."""
  return convolution(layer, "deconvolution")


def pooling(layer):
  """The step of a Pooling."""
  settings = layer.message.pooling_param
  name = {0: "max", 1: "average", 2: "stochastic"}[settings.pool]
  if settings.global_pooling:
    if name == "stochastic":
      raise CannotRunError("global pooling is for maximum and average")
    return Step(f"global_{name}")
  down = settings.round_mode == 1
  if settings.HasField("ceil_mode"):
    if settings.HasField("round_mode") and settings.ceil_mode == down:
      raise ValueError(
        "its ceil_mode and its round_mode differ; leave one of them out"
      )
    down = not settings.ceil_mode
  size = [settings.kernel_size] if settings.HasField("kernel_size") else []
  return Step(
    f"{name}_pooling",
    _pair(settings, "kernel", size, None),
    _pair(settings, "stride", [settings.stride], 1),
    _pair(settings, "pad", [settings.pad], 0),
    options={"ceil": False} if down else {},
    mask="max_pooling_mask" if name == "max" else "",
  )


def _dilation(settings) -> Pair:
  """BVLC's `dilation`, DeepLab's `hole`, and either's two sides."""
  said = []
  for name in ("dilation", "hole"):
    both = getattr(settings, name)
    if both or settings.HasField(f"{name}_h") or settings.HasField(f"{name}_w"):
      said.append(_pair(settings, name, both, 1, least=1))
  if len(set(said)) > 1:
    raise ValueError("its dilation and its hole differ; leave one of them out")
  return said[0] if said else (1, 1)


def _pair(settings, name: str, both, default, least=0) -> Pair:
  """`kernel_h` and `kernel_w`, or what stands for both."""
  if settings.HasField(f"{name}_h") or settings.HasField(f"{name}_w"):
    sides = getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w")
    return max(sides[0], least), max(sides[1], least)
  if default is None and not both:
    raise ValueError(f"it lacks a {name} size")
  return _two(both, default)


def _two(values, default) -> Pair:
  values = tuple(values) or (default,)
  if len(values) > 2:
    raise ValueError(f"{len(values)} extents are not two")
  return values * 2 if len(values) == 1 else values
