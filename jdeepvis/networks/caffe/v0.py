"""The oldest form of a net's description, rewritten as the newest.

As Caffe's own upgrade_proto.cpp does: a layer's settings stand side by side in
`layers { layer { ... } }`, and padding is a layer of its own.
"""

from collections.abc import Sequence

from jdeepvis.networks.caffe.text import Field, Quoted, TextError

_TYPES = {
  "accuracy": "Accuracy",
  "bnll": "BNLL",
  "concat": "Concat",
  "conv": "Convolution",
  "data": "Data",
  "dropout": "Dropout",
  "euclidean_loss": "EuclideanLoss",
  "flatten": "Flatten",
  "hdf5_data": "HDF5Data",
  "hdf5_output": "HDF5Output",
  "im2col": "Im2col",
  "images": "ImageData",
  "infogain_loss": "InfogainLoss",
  "innerproduct": "InnerProduct",
  "lrn": "LRN",
  "multinomial_logistic_loss": "MultinomialLogisticLoss",
  "pool": "Pooling",
  "relu": "ReLU",
  "sigmoid": "Sigmoid",
  "softmax": "Softmax",
  "softmax_loss": "SoftmaxWithLoss",
  "split": "Split",
  "tanh": "TanH",
  "window_data": "WindowData",
}
_SETTINGS = {
  "concat": ("concat_param", "concat_dim"),
  "conv": (
    "convolution_param",
    "num_output biasterm weight_filler bias_filler pad kernelsize group stride",
  ),
  "dropout": ("dropout_param", "dropout_ratio"),
  "innerproduct": (
    "inner_product_param",
    "num_output biasterm weight_filler bias_filler",
  ),
  "lrn": ("lrn_param", "local_size alpha beta k"),
  "pool": ("pooling_param", "pool kernelsize stride pad"),
}
_DATA = ("data", "images", "window_data")
_TRANSFORM = ("scale", "meanfile", "cropsize", "mirror")
_NAMES = {
  "biasterm": "bias_term",
  "kernelsize": "kernel_size",
  "meanfile": "mean_file",
  "cropsize": "crop_size",
}
_TRAINING = ("blobs_lr", "weight_decay")


def is_v0(fields: Sequence[Field]) -> bool:
  """Whether a `layers` is in the oldest form."""
  return any(x.name == "layer" and isinstance(x.value, tuple) for x in fields)


def upgraded(net: Sequence[Field]) -> tuple[Field, ...]:
  """A net's fields with every layer in the newest form.

  Raises:
    TextError: layers of several forms are mixed, or a padding layer is read by
      what cannot pad.
  """
  paddings: dict[str, tuple[Field, str]] = {}
  new = []
  for field in net:
    if field.name not in ("layer", "layers"):
      new.append(field)
      continue
    if field.name == "layer" or not is_v0(field.value):
      raise TextError(
        field.line,
        "this layer is in a newer form than others; write all in one",
      )
    parts = [x.value for x in field.value if x.name == "layer"]
    if len(parts) != 1 or not isinstance(parts[0], tuple):
      raise TextError(field.line, "this `layers` needs one `layer { }`")
    inner = {x.name: x for x in parts[0]}
    kind = str(inner["type"].value) if "type" in inner else ""
    if kind == "padding":
      ends = {x.name: str(x.value) for x in field.value}
      if "pad" not in inner or not {"top", "bottom"} <= ends.keys():
        raise TextError(field.line, "this padding lacks pad, bottom or top")
      paddings[ends["top"]] = inner["pad"], ends["bottom"]
      continue
    outer = [x for x in field.value if x.name != "layer"]
    settings = list(parts[0])
    for i, one in enumerate(outer):
      if one.name == "bottom" and str(one.value) in paddings:
        if kind not in ("conv", "pool"):
          raise TextError(
            field.line,
            f"a padding is for conv and pool, but a {kind} reads it; give the "
            "pad to a conv or pool",
          )
        pad, source = paddings[str(one.value)]
        outer[i] = one._replace(value=Quoted(source))
        settings = [x for x in settings if x.name != "pad"] + [pad]
    new.append(_layer(field.line, kind, settings, outer))
  return tuple(new)


def _layer(line, kind: str, settings, outer) -> Field:
  name, known = _SETTINGS.get(kind, ("", ""))
  if kind in _DATA:
    name, known = "transform_param", " ".join(_TRANSFORM)
  inside, top = [], []
  for field in settings:
    if field.name in _TRAINING or field.name == "type":
      continue
    if field.name in known.split():
      inside.append(field._replace(name=_NAMES.get(field.name, field.name)))
    elif field.name == "name" or kind not in _DATA:
      top.append(field)
  word = Field("type", Quoted(_TYPES.get(kind, kind)), line)
  inside = [Field(name, tuple(inside), line)] if inside else []
  return Field("layer", (*top, word, *outer, *inside), line)
