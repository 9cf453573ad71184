"""Functions for writing networks as the papers' tables do."""

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
  window = (kernel,) * 2, (stride,) * 2, (pad,) * 2
  return _rectified(name, "convolution", source, *window, options=options)


def dense(name: str, source: str, features: int) -> Layers:
  """A fully connected layer and its ReLU: blobs `name/pre` and `name`."""
  options = (("features", features),)
  return _rectified(name, "inner_product", source, options=options)


def max_pool(
  name: str,
  source: str,
  kernel: int = 3,
  stride: int = 2,
  *,
  pad: int = 0,
  ceil: bool = True,
) -> Layers:
  """Overlapping max pooling, by default in Caffe's ceil mode."""
  options = () if ceil else (("ceil", False),)
  window = (kernel,) * 2, (stride,) * 2, (pad,) * 2
  ends = (source,), (name,)
  return (LayerInfo(name, "max_pooling", *ends, *window, options=options),)


def average_pool(name: str, source: str, kernel: int) -> Layers:
  """Average pooling with a stride of 1."""
  ends = (source,), (name,)
  return (LayerInfo(name, "average_pooling", *ends, (kernel,) * 2),)


def rectified_concat(name: str, *sources: str) -> Layers:
  """Rectified maps side by side: blobs `name/pre` and `name`.

  They are joined before their ReLU, so that both sides of it are known.
  """
  before = f"{name}/pre"
  sides = tuple(f"{source}/pre" for source in sources)
  return (
    LayerInfo(before, "concat", sides, (before,)),
    LayerInfo(name, "relu", (before,), (name,)),
  )


def lrn(name: str, source: str) -> Layers:
  """Local response normalisation with AlexNet's constants."""
  return layer(name, "lrn", source, size=5, alpha=1e-4, beta=0.75, k=1.0)


def layer(name: str, kind: str, *sources: str, **options) -> Layers:
  """Any layer that has neither window nor ReLU."""
  options = tuple(sorted(options.items()))
  return (LayerInfo(name, kind, sources, (name,), options=options),)


def _rectified(name, kind, source, *window, options) -> Layers:
  before = (f"{name}/pre",)
  return (
    LayerInfo(name, kind, (source,), before, *window, options=options),
    LayerInfo(f"{name}/relu", "relu", before, (name,)),
  )
