"""The rival: the same network and the same loop in PyTorch, hand-written.

Channels last, weights without gradients, all threads, blurs as two matrix
products, percentiles by selection; eager, without `torch.compile`.
"""

from collections.abc import Callable, Iterator, Mapping

import jax
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from jdeepvis.networks.network import InputSpec, LayerInfo, Network
from jdeepvis.synthesis import priors, transforms
from jdeepvis.synthesis.recipes import Recipe

_LAST = torch.channels_last


def as_tensor(images) -> torch.Tensor:
  """Images `[n, h, w, c]` as PyTorch takes them, in the same memory layout."""
  return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)


def as_array(images: torch.Tensor) -> np.ndarray:
  """The inverse."""
  return images.detach().permute(0, 2, 3, 1).numpy()


def forward(network: Network) -> Callable[..., dict[str, torch.Tensor]]:
  """`forward(images, until)`: every blob by name, up to `until`."""
  shapes = network.shapes
  steps = [(layer, _layer(network, shapes, layer)) for layer in network.layers]

  def run(images, until=None):
    blobs = {"data": images}
    for layer, apply in steps:
      blobs[layer.outputs[0]] = apply(*(blobs[name] for name in layer.inputs))
      if until in layer.outputs:
        break
    return blobs

  return run


def gradient(network: Network, units: np.ndarray) -> Callable:
  """`gradient(images)`: each image's own class score and its derivative."""
  run, rows = forward(network), torch.arange(len(units))
  units = torch.from_numpy(units)

  def values(images):
    images = images.detach().requires_grad_()
    scores = run(images, network.output)[network.output]
    scores = scores.reshape(len(rows), -1)[rows, units]
    (slopes,) = torch.autograd.grad(scores.sum(), images)
    return scores.detach(), slopes

  return values


def ascend(
  slopes_of: Callable, spec: InputSpec, recipe: Recipe, images: np.ndarray
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
  """A row of the paper's table, one step after another.

  Args:
    slopes_of: see `gradient`.
    spec: the network's input.
    recipe: the row.
    images: the initial ones.

  Yields:
    The images that a step looked at and their scores.
  """
  lower, upper = (
    torch.from_numpy(np.float32(bound)).reshape(1, -1, 1, 1)
    for bound in spec.bounds
  )
  strengths, progress = recipe.strengths, transforms.scale_by_progress
  blur = _blur(spec.shape[0], strengths.get("blur", 0))
  images = as_tensor(images)
  best, best_scores = images, torch.full((len(images),), -torch.inf)
  for step in range(recipe.steps):
    scores, slopes = slopes_of(images)
    better = scores > best_scores
    best = torch.where(better[:, None, None, None], images, best)
    best_scores = torch.where(better, scores, best_scores)
    yield images, scores
    rate = strengths["rate"]
    if recipe.step.function is progress:
      square = (slopes**2).sum((1, 2, 3), keepdim=True)
      rate = (rate / square).clamp(max=strengths["max_rate"])
    images = (images + rate * slopes) * (1 - strengths.get("decay", 0))
    if "blur" in strengths and step % strengths.get("blur_every", 1) == 0:
      images = (blur @ images @ blur.T).contiguous(memory_format=_LAST)
    if percentile := strengths.get("norm_percentile"):
      norms = images.norm(dim=1, keepdim=True)
      images = images * (norms >= _percentile(norms, percentile))
    if percentile := strengths.get("contribution_percentile"):
      size = (slopes * images).sum(1, keepdim=True).abs()
      images = images * (size >= _percentile(size, percentile))
    images = torch.clamp(images, lower, upper)


def _blur(size: int, sigma: float) -> torch.Tensor:
  """The blur of one axis as a matrix: what it makes of each column of 1s."""
  columns = np.eye(size, dtype=np.float32)[:, None, :]
  return torch.from_numpy(np.array(priors.blur(columns, sigma)[:, 0, :]))


def _percentile(values: torch.Tensor, q: float) -> torch.Tensor:
  rows = values.flatten(1)
  index = (rows.shape[1] - 1) * q / 100
  rank, share = int(index), index - int(index)
  lower = rows.kthvalue(rank + 1, dim=1).values
  upper = rows.kthvalue(min(rank + 2, rows.shape[1]), dim=1).values
  return (lower + (upper - lower) * share)[:, None, None, None]


def _layer(network: Network, shapes: Mapping, layer: LayerInfo) -> Callable:
  weights = network.params.get(layer.weights_key, {})
  weights = {name: torch.from_numpy(np.array(w)) for name, w in weights.items()}
  kernel, bias = weights.get("kernel"), weights.get("bias")
  match layer.kind:
    case "convolution":
      kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=_LAST)
      groups = layer.option("groups", 1)
      return lambda x: F.conv2d(
        x, kernel, bias, layer.stride, layer.pad, groups=groups
      )
    case "inner_product":
      # To read a map in the order in which PyTorch flattens it.
      channels = shapes[layer.inputs[0]][-1]
      kernel = kernel.reshape(-1, channels, len(bias)).transpose(0, 1)
      kernel = kernel.reshape(-1, len(bias)).T.contiguous()
      return lambda x: F.linear(x.flatten(1), kernel, bias)
    case "max_pooling":
      return lambda x: F.max_pool2d(
        x, layer.kernel, layer.stride, layer.pad, ceil_mode=True
      )
    case "average_pooling":
      return lambda x: F.avg_pool2d(x, layer.kernel, layer.stride, layer.pad)
    case "lrn":
      return _lrn(shapes[layer.inputs[0]][-1], dict(layer.options))
    case "relu":
      return F.relu
    case "concat":
      return lambda *parts: torch.cat(parts, 1)
    case "global_average":
      return lambda x: x.mean((2, 3), keepdim=True)
    case "flatten":
      return lambda x: x.flatten(1)
    case "identity":
      return lambda x: x
    case "softmax":
      return lambda x: F.softmax(x, 1)
  raise ValueError(f"There is no PyTorch layer here for {layer.kind!r}.")


def _lrn(channels: int, options: Mapping) -> Callable:
  """As a product with a band, about twice as fast as PyTorch's own."""
  place, reach = np.arange(channels), options["size"] // 2
  band = np.abs(place[:, None] - place) <= reach
  band = torch.from_numpy(np.float32(band))[:, :, None, None]
  share, beta, k = options["alpha"] / options["size"], options["beta"], 1.0

  def normalise(x):
    return x * (k + share * F.conv2d(x * x, band)) ** -beta

  return normalise


def use_threads() -> None:
  """As many threads as there are devices on JAX's side: one a core."""
  torch.set_num_threads(jax.local_device_count())
