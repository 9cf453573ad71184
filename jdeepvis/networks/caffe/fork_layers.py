"""Layer types of Caffe's forks, and Caffe's less common own, as ours."""

from jdeepvis.networks.caffe import windows
from jdeepvis.networks.caffe.steps import (
  CannotRunError,
  Step,
  require_images_apart,
)
from jdeepvis.networks.ops import Pair


def _depthwise(layer):
  settings = layer.message.convolution_param
  step = windows.convolution(layer)
  # Each channel by itself: some files say it by group, others by the type.
  group = settings.group if settings.group > 1 else settings.num_output
  return step._replace(options={**step.options, "groups": group})


def _bn(layer):
  """BN of SegNet and ENet (a scale, a shift) and of PSPNet (four arrays)."""
  settings = layer.message.bn_param
  segnet = any(
    map(settings.HasField, ("bn_mode", "scale_filler", "shift_filler"))
  )
  if segnet and settings.bn_mode == 0:
    raise ValueError(
      "with bn_mode: LEARN, which is the default, it depends on the batch; "
      "write bn_mode: INFERENCE if its weights were made for that"
    )
  return Step("bn", options={"eps": settings.eps})


def _axpy(layer):
  if len(layer.bottoms) != 3:
    raise ValueError(
      "it needs three bottoms: a scale, what is scaled and what is added"
    )
  return Step("axpy")


def _shuffle_channel(layer):
  group = layer.message.shuffle_channel_param.group
  return Step("shuffle_channels", options={"count": group})


def _permute(layer):
  order = list(layer.message.permute_param.order)
  if len(set(order)) != len(order) or any(axis > 31 for axis in order):
    raise ValueError(f"its order {order} is none of axes; name each once")
  # What it does not name follows in its own order.
  order += [axis for axis in range(max([3, *order]) + 1) if axis not in order]
  if order[0] != 0:
    raise CannotRunError(
      "it moves the axis of the images, which stay apart here"
    )
  return Step("permute", options={"order": tuple(order)})


def _normalize(layer):
  settings = layer.message.norm_param
  options = {"eps": settings.eps}
  options |= {} if settings.channel_shared else {"shared": False}
  kind = "normalize_map" if settings.across_spatial else "normalize"
  return Step(kind, options=options)


def _interp(layer):
  settings = layer.message.interp_param
  if len(layer.bottoms) != 1:
    raise CannotRunError("its size is that of another blob")
  if settings.pad_beg > 0 or settings.pad_end > 0:
    raise ValueError("its pad_beg and pad_end crop, so they are not above 0")
  said = settings.HasField
  size: Pair = (settings.height, settings.width)
  # In Caffe factors that are said go before a size that is said, except both.
  zoom = settings.zoom_factor if said("zoom_factor") else 0
  shrink = settings.shrink_factor if said("shrink_factor") else 0
  if said("height") and said("width") and bool(zoom) == bool(shrink):
    zoom = shrink = 0
  elif not zoom and not shrink:
    raise ValueError("it needs height and width, zoom_factor or shrink_factor")
  else:
    size = (0, 0)
  if min(zoom, shrink) < 0 or (size != (0, 0) and min(size) < 1):
    raise ValueError("its size and factors are not above 0")
  options = {
    "to": size,
    "zoom": max(zoom, 1),
    "shrink": max(shrink, 1),
    "cut": (-settings.pad_beg, -settings.pad_end),
  }
  return Step("interp", options=options)


def _upsample(layer):
  settings = layer.message.upsample_param
  said = settings.HasField
  if said("scale_h") != said("scale_w") or said("upsample_h") != said(
    "upsample_w"
  ):
    raise ValueError("it says one of two sides; say both")
  scale = (settings.scale,) * 2
  if said("scale_h"):
    scale = settings.scale_h, settings.scale_w
  size = settings.upsample_h, settings.upsample_w
  if len(layer.bottoms) == 1:
    if min(scale) < 1 or said("upsample_h"):
      raise CannotRunError("without a mask it needs a scale, and no size")
    return Step("upsample_nearest", options={"scale": scale})
  scale = scale if min(scale) else (2, 2)
  options = {} if min(size) == 0 else {"to": size}
  if not options:
    options["trim"] = int(settings.pad_out_h), int(settings.pad_out_w)
  options["scale"] = scale
  return Step("unpool", options=options)


def _unpooling(layer):
  settings = layer.message.unpooling_param
  if settings.unpool != 0 or len(layer.bottoms) != 2:
    raise CannotRunError("only unpooling with the mask of a maximum is exact")
  if settings.pad or settings.pad_h or settings.pad_w:
    raise CannotRunError("it is padded")
  said = settings.HasField
  window = (settings.kernel_size,) * 2
  if said("kernel_h") or said("kernel_w"):
    window = settings.kernel_h, settings.kernel_w
  stride = (settings.stride,) * 2
  if said("stride_h") or said("stride_w"):
    stride = settings.stride_h, settings.stride_w
  if window != stride:
    raise CannotRunError("its windows overlap or leave gaps")
  options = {"scale": window}
  if settings.unpool_size:
    options["to"] = (settings.unpool_size,) * 2
  return Step("unpool", options=options)


def _relu6(layer):
  if layer.message.relu6_param.negative_slope:
    raise CannotRunError("it has a negative slope")
  return Step("clip_relu", options={"most": 6.0})


def _clip(layer):
  settings = layer.message.clip_param
  if not (settings.HasField("min") and settings.HasField("max")):
    raise ValueError("it needs min and max")
  return Step("clip", options={"least": settings.min, "most": settings.max})


def _swish(layer):
  return Step("swish", options={"beta": layer.message.swish_param.beta})


def _mish(layer):
  return Step("mish")


def _threshold(layer):
  bound = layer.message.threshold_param.threshold
  return Step("threshold", options={"threshold": bound})


def _tile(layer):
  settings = layer.message.tile_param
  if settings.axis == 0:
    raise CannotRunError("it makes more images of one")
  if settings.tiles < 1:
    raise ValueError("its tiles are not above 0")
  return Step("tile", options={"axis": settings.axis, "count": settings.tiles})


def _reduction(layer):
  settings = layer.message.reduction_param
  require_images_apart(settings.axis)
  names = {1: "sum", 2: "sum_abs", 3: "sum_squares", 4: "mean"}
  if settings.operation not in names:
    raise ValueError("its operation is none of SUM, ASUM, SUMSQ, MEAN")
  options = {
    "operation": names[settings.operation],
    "axis": settings.axis,
    "factor": settings.coeff,
  }
  return Step("reduction", options=options)


READERS = {
  "Axpy": _axpy,
  "BN": _bn,
  "Clip": _clip,
  "ConvolutionDepthwise": _depthwise,
  "DepthwiseConv": _depthwise,
  "DepthwiseConvolution": _depthwise,
  "Interp": _interp,
  "Mish": _mish,
  "Normalize": _normalize,
  "Permute": _permute,
  "SpatialDropout": lambda layer: Step("identity"),
  "ReLU6": _relu6,
  "Reduction": _reduction,
  "ShuffleChannel": _shuffle_channel,
  "Swish": _swish,
  "Threshold": _threshold,
  "Tile": _tile,
  "Unpooling": _unpooling,
  "Upsample": _upsample,
}
