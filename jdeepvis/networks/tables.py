"""Words for writing a network down as the papers' tables do."""

from jdeepvis.networks.network import LayerInfo

Layers = tuple[LayerInfo, ...]


def conv(
  name: str,
  source: str,
  features: int,
  kernel: int,
  *,
  stride: int = 1,
  pad: int = 0,
  groups: int = 1,
) -> Layers:
  """A convolution and its ReLU: blobs `name/pre` and `name`."""
  options = (("features", features), ("groups", groups))
  return _rectified(
    LayerInfo(
      name,
      "convolution",
      (source,),
      (f"{name}/pre",),
      kernel=(kernel, kernel),
      stride=(stride, stride),
      pad=(pad, pad),
      options=options,
    )
  )


def max_pool(
  name: str, source: str, kernel: int = 3, stride: int = 2
) -> Layers:
  """Overlapping max pooling in Caffe's ceil mode."""
  return (
    LayerInfo(
      name,
      "max_pooling",
      (source,),
      (name,),
      kernel=(kernel, kernel),
      stride=(stride, stride),
    ),
  )


def layer(name: str, kind: str, *sources: str, **options) -> Layers:
  """Any layer that has neither window nor ReLU."""
  options = tuple(sorted(options.items()))
  return (LayerInfo(name, kind, sources, (name,), options=options),)


def _rectified(info: LayerInfo) -> Layers:
  relu = LayerInfo(f"{info.name}/relu", "relu", info.outputs, (info.name,))
  return info, relu
