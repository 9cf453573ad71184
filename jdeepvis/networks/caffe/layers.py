"""Caffe's layer types as ours.

A type of one's own joins by `READERS["Mine"] = lambda layer: Step("mine")`
beside `LAYER_TYPES["mine"] = LayerType(apply, weights)`.
"""

from collections.abc import Callable

from jdeepvis.networks.caffe import crops, fork_layers, windows
from jdeepvis.networks.caffe.caffe_layer import CaffeLayer
from jdeepvis.networks.caffe.steps import Step, require_images_apart
from jdeepvis.networks.layer_table import MAX_EXTENT

__all__ = ["READERS", "Step"]


def _inner_product(layer):
  settings = layer.message.inner_product_param
  if not settings.num_output:
    raise ValueError("it lacks num_output")
  require_images_apart(settings.axis)
  options = {"features": settings.num_output}
  options |= {} if settings.bias_term else {"bias": False}
  options |= {} if settings.axis == 1 else {"axis": settings.axis}
  options |= {"transpose": True} if settings.transpose else {}
  return Step("inner_product", options=options)


def _lrn(layer):
  settings = layer.message.lrn_param
  options = {"alpha": settings.alpha, "beta": settings.beta}
  size = settings.local_size
  if size % 2 == 0 or size > MAX_EXTENT:
    raise ValueError(f"its local_size {size} is not odd")
  if settings.norm_region:
    pad = ((size - 1) // 2,) * 2
    return Step("lrn_within", (size, size), pad=pad, options=options)
  return Step("lrn", options={**options, "size": size, "k": settings.k})


def _dropout(layer):
  settings = layer.message.dropout_param
  if settings.sample_weights_test:
    raise ValueError(
      "with sample_weights_test it draws anew for each image; remove that line "
      "to see the mean network"
    )
  if settings.scale_train:
    return Step("identity")
  # The forks that do not scale in training scale what is trained.
  return Step("factor", options={"factor": 1 - settings.dropout_ratio})


def _relu(layer):
  slope = layer.message.relu_param.negative_slope
  return Step("relu", options={"slope": slope} if slope else {})


def _prelu(layer):
  shared = layer.message.prelu_param.channel_shared
  return Step("prelu", options={"shared": True} if shared else {})


def _elu(layer):
  return Step("elu", options={"alpha": layer.message.elu_param.alpha})


def _power(layer):
  settings = layer.message.power_param
  names = ("power", "scale", "shift")
  return Step("power", options={n: getattr(settings, n) for n in names})


def _exp(layer, kind="exp"):
  settings = getattr(layer.message, f"{kind}_param")
  if settings.base != -1 and settings.base <= 0:
    raise ValueError(f"its base {settings.base} is not above 0")
  names = ("base", "scale", "shift")
  return Step(kind, options={n: getattr(settings, n) for n in names})


def _log(layer):
  return _exp(layer, "log")


def _batch_norm(layer):
  settings = layer.message.batch_norm_param
  if settings.HasField("use_global_stats") and not settings.use_global_stats:
    raise ValueError(
      "with use_global_stats: false it depends on the batch; set it to true"
    )
  # NVIDIA's fork has BVLC's Scale in the same layer.
  kind = "bn" if settings.scale_bias else "batch_norm"
  return Step(kind, options={"eps": settings.eps})


def _scale(layer):
  settings = layer.message.scale_param
  step = _spanned("scale", settings, layer)
  if not settings.bias_term:
    return step
  return step._replace(options={**step.options, "bias": True})


def _bias(layer):
  return _spanned("bias", layer.message.bias_param, layer)


def _eltwise(layer):
  settings = layer.message.eltwise_param
  operation = ("product", "sum", "maximum")[settings.operation]
  factors = tuple(settings.coeff)
  if factors and (operation != "sum" or len(factors) != len(layer.bottoms)):
    raise ValueError("it needs one coeff for each blob it adds, or none")
  options = {"operation": operation}
  options |= {"coefficients": factors} if factors else {}
  return Step("eltwise", options=options)


def _concat(layer):
  settings = layer.message.concat_param
  old = settings.HasField("concat_dim")
  return _along("concat", settings.concat_dim if old else settings.axis)


def _slice(layer):
  settings = layer.message.slice_param
  old = settings.HasField("slice_dim")
  step = _along("slice", settings.slice_dim if old else settings.axis)
  points = tuple(settings.slice_point)
  if points and (
    len(points) != len(layer.tops) - 1 or sorted(set(points)) != list(points)
  ):
    raise ValueError("it needs one rising slice_point between two tops")
  if not points:
    return step
  return step._replace(options={**step.options, "points": points})


def _softmax(layer):
  return _along("softmax", layer.message.softmax_param.axis)


def _flatten(layer):
  settings = layer.message.flatten_param
  require_images_apart(settings.axis)
  options = {"axis": settings.axis, "end": settings.end_axis}
  return Step("flatten", options=options)


def _reshape(layer):
  settings = layer.message.reshape_param
  dims = tuple(settings.shape.dim)
  if any(dim < -1 for dim in dims) or dims.count(-1) > 1:
    raise ValueError(f"its shape {list(dims)} is not one to reshape to")
  # A fixed number of images is the description's own batch, not ours.
  if settings.axis == 0 and dims:
    dims = (0, *dims[1:])
  options = {"dims": dims, "axis": settings.axis, "count": settings.num_axes}
  return Step("reshape", options=options)


def _crop(layer):
  settings = layer.message.crop_param
  options = {"axis": settings.axis, "offsets": tuple(settings.offset)}
  if not settings.offset:
    # Only forks have a Crop in the old form.
    old = layer.message.DESCRIPTOR.name == "V1LayerParameter"
    options["origin"] = crops.FOUND if old else crops.UNSAID
  return Step("crop", options=options)


def _mvn(layer):
  settings = layer.message.mvn_param
  options = {
    "variance": settings.normalize_variance,
    "across_channels": settings.across_channels,
    "eps": settings.eps,
  }
  return Step("mvn", options=options)


def _argmax(layer):
  settings = layer.message.argmax_param
  options = {"top": settings.top_k, "values": settings.out_max_val}
  if settings.HasField("axis"):
    require_images_apart(settings.axis)
    options["axis"] = settings.axis
  return Step("argmax", options=options)


def _along(kind: str, axis: int) -> Step:
  require_images_apart(axis)
  if axis == 1:
    return Step(kind)
  return Step(f"{kind}_axis", options={"axis": axis})


def _spanned(kind: str, settings, layer) -> Step:
  if len(layer.bottoms) == 1 and (settings.axis, settings.num_axes) == (1, 1):
    return Step(kind)
  options = {"axis": settings.axis, "axes": settings.num_axes}
  return Step(f"{kind}_axes", options=options)


def _plain(kind: str):
  return lambda layer: Step(kind)


READERS: dict[str, Callable[[CaffeLayer], Step]] = {
  "AbsVal": _plain("abs"),
  "ArgMax": _argmax,
  "BNLL": _plain("bnll"),
  "BatchNorm": _batch_norm,
  "Bias": _bias,
  "Concat": _concat,
  "Convolution": windows.convolution,
  "Crop": _crop,
  "Deconvolution": windows.deconvolution,
  "Dropout": _dropout,
  "ELU": _elu,
  "Eltwise": _eltwise,
  "Exp": _exp,
  "Flatten": _flatten,
  "InnerProduct": _inner_product,
  "LRN": _lrn,
  "Log": _log,
  "MVN": _mvn,
  "PReLU": _prelu,
  "Pooling": windows.pooling,
  "Power": _power,
  "ReLU": _relu,
  "Reshape": _reshape,
  "Scale": _scale,
  "Sigmoid": _plain("sigmoid"),
  "Slice": _slice,
  "Softmax": _softmax,
  "Split": _plain("identity"),
  "TanH": _plain("tanh"),
  **fork_layers.READERS,
}

BUILT_IN = frozenset(READERS.items())
