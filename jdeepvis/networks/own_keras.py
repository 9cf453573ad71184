"""A `Network` from a Keras 3 model; Keras is imported when needed."""

import collections
import contextlib
import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jdeepvis.networks import own, own_checks
from jdeepvis.networks.input_spec import InputSpec
from jdeepvis.networks.network import Network
from jdeepvis.networks.own import OUTPUT
from jdeepvis.networks.readings import SIGMOID, SOFTMAX
from jdeepvis.types import JdeepvisError

_RECORDING = threading.RLock()


def from_keras(
  model: Any,
  input: InputSpec | Callable,
  *,
  output: str | None = OUTPUT,
  labels: Iterable[str] = (),
  **settings: Hashable,
) -> Network:
  """A network from a Keras 3 model on the JAX backend (`KERAS_BACKEND=jax`).

  Functional, sequential and subclassed models alike. Blobs are called as their
  layers, `conv1`, those of models and layers within as `block/conv1`; of a
  layer that ends in a softmax or a sigmoid there is also the side before it,
  `predictions/logits`.

  >>> import os
  >>> os.environ["KERAS_BACKEND"] = "jax"
  >>> import keras, jdeepvis
  >>> model = keras.Sequential(
  ...   [
  ...     keras.Input((8, 8, 3)),
  ...     keras.layers.Conv2D(4, 3, name="conv1"),
  ...     keras.layers.GlobalAveragePooling2D(name="mean"),
  ...   ]
  ... )
  >>> spec = jdeepvis.InputSpec((8, 8, 3), range=(0, 1))
  >>> dict(jdeepvis.from_keras(model, spec).shapes)
  {'conv1': (6, 6, 4), 'mean': (4,), 'output': (4,)}

  Args:
    model: built, with one input, images `[n, h, w, c]`. Called with
      `training=False`.
    input: what the images must be, or the `preprocess_input` of
      `keras.applications` that belongs to the model: scale, mean and channel
      order are found by calling it.
    output: the blob that holds the class scores; of a layer that ends in a
      softmax or a sigmoid its `logits` are taken. None where there are none.
    labels: the class names in order.
    **settings: further arguments of the call.

  Returns:
    The network, its blobs in the order in which they are computed.

  Raises:
    JdeepvisError: Keras has another backend, the model is not built or has
      several inputs, there is no blob `output`, it has not as many classes as
      there are labels, or `input` is a function that does more than scale
      channels.
  """
  import keras

  if keras.backend.backend() != "jax":
    raise JdeepvisError(
      f"Keras runs on {keras.backend.backend()!r}; set the environment "
      "variable KERAS_BACKEND=jax before keras is imported."
    )
  # Subclassed models do not say what they take.
  if not model.built or len(getattr(model, "inputs", None) or [0]) != 1:
    raise JdeepvisError(
      f"The Keras model {model.name!r} must be built, which calling it once on "
      "images does, and have one input."
    )
  if callable(input):
    input = _spec_of(input, model)
  function = _KerasFunction(model, own.freeze({"training": False, **settings}))
  variables = (model.trainable_variables, model.non_trainable_variables)
  params = jax.tree.map(lambda variable: variable.value, variables)
  reading = SOFTMAX
  if output is not None:
    network = own.network_of(function, model.call, params, input, None, ())
    output, reading = _scores(function, network, output)
  network = own.network_of(
    function, model.call, params, input, output, labels, reading
  )
  own_checks.tell_missing(network, dict(_layers(model, "")))
  return network


@dataclasses.dataclass(frozen=True)
class _KerasFunction:
  model: Any
  settings: own.Settings

  def __call__(self, params, images, **rectifier):
    with (
      _recording(self.model) as record,
      # What Keras is written for.
      jax.numpy_dtype_promotion("standard"),
      jax.numpy_rank_promotion("allow"),
    ):
      result, _ = self.model.stateless_call(
        *params, images, **dict(self.settings), **rectifier
      )
    return {**record, "": result}


@contextlib.contextmanager
def _recording(model: Any) -> Iterator[dict[str, Any]]:
  """Records what each layer returns; Keras has no hook for that."""
  record: dict[str, Any] = {}
  calls: collections.Counter = collections.Counter()

  def watch(name, layer):
    forward, activation = layer.call, getattr(layer, "activation", None)

    def call(*args, **kwargs):
      result = forward(*args, **kwargs)
      number, calls[name] = calls[name], calls[name] + 1
      record[f"{name}/call{number}" if number else name] = result
      return result

    def activate(values):
      record[f"{name}/logits"] = values
      return activation(values)

    # Past Keras's own attributes, which are tracked and locked.
    vars(layer)["call"] = call
    if getattr(activation, "__name__", None) in (SOFTMAX, SIGMOID):
      vars(layer)["activation"] = activate
      return layer, activation
    return layer, None

  with _RECORDING:
    watched = [watch(name, layer) for name, layer in _layers(model, "")]
    try:
      yield record
    finally:
      for layer, activation in watched:
        del vars(layer)["call"]
        if activation is not None:
          vars(layer)["activation"] = activation


def _layers(model: Any, path: str) -> Iterator[tuple[str, Any]]:
  """The layers that compute something, by path."""
  for layer in model._flatten_layers(include_self=False, recursive=False):
    if type(layer).__name__ == "InputLayer":
      continue
    yield path + layer.name, layer
    yield from _layers(layer, f"{path}{layer.name}/")


def _scores(
  function: _KerasFunction, network: Network, output: str
) -> tuple[str, str]:
  """The blob of class scores, and how they become probabilities.

  Where a layer turns its values into probabilities itself, its logits.
  """
  writers = []

  def find(params, images):
    values = function(params, images)
    result = values.get("" if output == OUTPUT else output)
    writers.extend(
      name for name, value in values.items() if name and value is result
    )
    return values

  image = jax.ShapeDtypeStruct((1, *network.input.shape), network.dtype)
  jax.eval_shape(find, network.params, image)
  for name, layer in _layers(function.model, ""):
    if name in writers and f"{name}/logits" in network.shapes:
      return f"{name}/logits", layer.activation.__name__
  return output, SOFTMAX


def _spec_of(preprocess: Callable, model: Any) -> InputSpec:
  """The input whose `for_model` does what a function does to pixels."""
  shape = getattr(model, "input_shape", (None, None))[1:]
  if None in shape:
    raise JdeepvisError(
      f"The Keras model {model.name!r} does not say how large its images are; "
      "give an InputSpec with the size that it was trained on."
    )
  channels = shape[-1]

  def apply(colours):
    images = np.broadcast_to(np.float32(colours), (1, 2, 2, channels))
    return np.float64(preprocess(np.array(images)))[0, 0, 0]

  black, white = apply(np.zeros(channels)), apply(np.full(channels, 255))
  ours = np.arange(channels)
  for order in (ours, ours[::-1]):
    slope = (white - black)[order] / 255
    ramp = 40.0 + 60 * ours
    expected = (black[order] + slope * ramp)[order]
    if np.allclose(apply(ramp), expected, rtol=1e-4, atol=1e-4):
      return InputSpec(
        shape,
        np.float32(-black[order] / slope),
        deviation=np.round(1 / slope, 4),
        bgr=channels > 1 and order is not ours,
      )
  raise JdeepvisError(
    f"The function {getattr(preprocess, '__name__', preprocess)!r} does more "
    "to pixels than to scale them, subtract a mean and reverse the channels; "
    "give an InputSpec."
  )
