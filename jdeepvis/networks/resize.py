"""A network for images of another size, where its layers allow it."""

from collections.abc import Sequence

from jdeepvis.networks.graph import infer_shapes, with_layers
from jdeepvis.networks.names import find_layer
from jdeepvis.networks.network import Network
from jdeepvis.networks.regions import needed_regions, whole
from jdeepvis.types import JdeepvisError


def with_image_size(
  network: Network, layers: Sequence[str], size: tuple[int, int]
) -> Network:
  """The part of a network that some layers need, for larger or smaller images.

  Args:
    network: any network; without a layer graph its function must take images
      of any size.
    layers: blobs that are wanted.
    size: height and width, pixels.

  Raises:
    JdeepvisError: a layer on the way needs images of the network's own size,
      as inner products do.
  """
  resized = network.replace(input=network.input.of_size(size))
  if not network.layers:
    return resized
  shapes = infer_shapes(network.layers, network.input.shape).blobs
  needed = set()
  for layer in layers:
    blob = find_layer(network, layer)
    needed |= needed_regions(
      network.layers, shapes, blob, whole(shapes[blob])
    ).keys()
  kept = tuple(x for x in network.layers if needed & set(x.outputs))
  try:
    infer_shapes(kept, resized.input.shape)
    _check_weights(network, kept, resized.input.shape)
  except JdeepvisError as error:
    raise JdeepvisError(
      f"{', '.join(layers)} cannot be had of images of {size[0]} x {size[1]} "
      f"pixels: {error}"
    ) from error
  output = network.output if network.output in needed else None
  labels = network.labels if output else ()
  return with_layers(resized, kept).replace(output=output, labels=labels)


def _check_weights(network, layers, shape) -> None:
  expected = infer_shapes(layers, shape).weights
  for layer, leaves in expected.items():
    for leaf, wanted in leaves.items():
      if network.params[layer][leaf].shape != wanted:
        raise JdeepvisError(
          f"Layer {layer!r} is made for images of the network's own size."
        )
