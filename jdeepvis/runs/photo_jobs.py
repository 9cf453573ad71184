"""What is made of one photograph: a picture with its facts, for a folder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jdeepvis.display.filters import blurred_norm
from jdeepvis.display.heat import beside, fade, outline, overlay
from jdeepvis.display.presentation import headroom, stretch
from jdeepvis.networks import classify
from jdeepvis.networks.names import label_of
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import in_picture, preprocess, to_pixels
from jdeepvis.probing import backprop, occlusion
from jdeepvis.probing.localisation import localise
from jdeepvis.runs.jobs import Made
from jdeepvis.synthesis import adversarial, inversion
from jdeepvis.synthesis.status import status_of
from jdeepvis.types import Image, Pixels


def attacked(
  network: Network,
  name: str,
  image: Image,
  attack: str,
  first: int,
  unit: int,
  *,
  size: float,
  steps: int,
  seed: int,
) -> Made:
  """A photograph changed so that the network names it otherwise.

  What counts is the picture in whole grey levels; without success its status
  is `unchanged`.

  Args:
    network: any network with classes.
    name: the photograph's.
    image: it, centred.
    attack: `fgsm`, `iterated` or `lbfgs`, then `targeted` or `untargeted`.
    first: the class that the network names.
    unit: the class to reach, or to leave.
    size: largest change of a value, grey levels; not of `lbfgs`.
    steps: of `iterated`, one grey level each.
    seed: that drew the class.
  """
  method, way = attack.split()
  if method == "lbfgs":
    changed, _ = adversarial.smallest_change(network, image, unit)
  else:
    many = method == "iterated"
    changed = adversarial.gradient_sign(
      network,
      image,
      unit,
      size=size,
      steps=steps if many else 1,
      step=1.0 if many else size,
      targeted=way == "targeted",
    )
  changed = np.asarray(changed)
  shown = [to_pixels(one, network.input) for one in (image, changed)]
  plain = np.stack(shown).astype(np.float32) - network.input.mean
  found = np.asarray(classify.probabilities(network, plain))
  now = int(found[1].argmax())
  succeeded = now == unit if way == "targeted" else now != first
  change = plain[1] - plain[0]
  label = functools.partial(label_of, network, network.output)
  facts = {
    "photograph": name,
    "method": attack,
    "layer": network.output,
    "unit": unit,
    "label": label(unit),
    "class_before": first,
    "label_before": label(first),
    "class_now": now,
    "label_now": label(now),
    "probability_before": float(found[0, unit]),
    "probability": float(found[1, unit]),
    "rms": float(np.sqrt(np.mean(change**2))),
    "largest": float(np.abs(change).max()),
    "seed": seed,
  }
  return Made(
    name,
    facts,
    beside(*shown, stretch(change, headroom(change))),
    changed,
    {"change": change},
    "ok" if succeeded else "unchanged",
  )


def boxed(network: Network, name: str, photo: Pixels, unit: int) -> Made:
  """A photograph with a box around a class, and how it is named inside it.

  Args:
    network: any network with classes.
    name: the photograph's.
    photo: it, uint8 `[h, w, c]`.
    unit: the class.
  """
  image = preprocess(photo, network.input)
  classes = jnp.array([unit])
  saliency = np.asarray(backprop.saliency(network, image[None], classes)[0])
  shown = to_pixels(image, network.input)
  box, mask = localise(shown, saliency)
  inside = np.zeros((*image.shape[:2], 1), bool)
  inside[box.slices] = True
  parts = np.stack([image, image * inside, image * ~inside])
  found = np.asarray(classify.probabilities(network, parts))
  probability, only, without = map(float, found[:, unit])
  facts = {
    "photograph": name,
    "layer": network.output,
    "unit": unit,
    "label": label_of(network, network.output, unit),
    "probability": probability,
    "probability_inside": only,
    "probability_outside": without,
    "named_inside": bool(found[1].argmax() == unit),
    "named_outside": bool(found[2].argmax() == unit),
    "share": float(inside.mean()),
    "box": in_picture(box, photo.shape[:2], network.input)._asdict(),
  }
  grey = np.uint8(255 * blurred_norm(saliency[..., None]))
  return Made(
    name,
    facts,
    beside(outline(shown, box), grey, fade(shown, mask)),
    image,
    {"saliency": saliency, "mask": mask},
  )


def covered(
  network: Network,
  name: str,
  photo: Pixels,
  layer: str,
  unit: int,
  position: tuple[int, int] | None,
  label: str | None,
  *,
  size: int,
  stride: int,
) -> Made:
  """A photograph beside what a unit loses where it is covered.

  Where nothing changes the unit's value the status is `silent`.

  Args:
    network: any network.
    name: the photograph's.
    photo: it, uint8 `[h, w, c]`.
    layer: a blob.
    unit: the channel.
    position: see `occlude`, as `size` and `stride`.
    label: the unit's name, if it has one.
    size: side of the square, pixels.
    stride: from one place to the next, pixels.
  """
  image = preprocess(photo, network.input)
  asked = {"layer": layer, "unit": unit, "position": position}
  whole = float(occlusion.value(network, image, **asked))
  values = occlusion.occlude(network, image, **asked, size=size, stride=stride)
  loss = np.asarray(whole - values)
  middle = np.array(np.unravel_index(loss.argmax(), loss.shape)) * stride
  facts = {
    "photograph": name,
    "layer": layer,
    "unit": unit,
    "label": label,
    "value": whole,
    "largest_loss": float(loss.max()),
    "largest_loss_at": (middle + stride // 2).tolist(),
  }
  shown = to_pixels(image, network.input)
  return Made(
    name,
    facts,
    beside(shown, overlay(shown, loss)),
    image,
    {"loss": loss},
    "ok" if loss.any() else "silent",
  )


def inverted(
  network: Network,
  layer: str,
  mask: np.ndarray,
  name: str,
  photo: Pixels,
  seed: int,
  *,
  steps: int,
  distance: float | None,
) -> Made:
  """An image with a photograph's code.

  Args:
    network: any network.
    layer: the blob that the code is of.
    mask: where it counts, see `code_mask`.
    name: the photograph's.
    photo: it, uint8 `[h, w, c]`.
    seed: of the noise.
    steps: how many.
    distance: the mean distance of different photographs' codes, which
      `error_by_distance` is relative to; None leaves that out.
  """
  code = inversion.code_of(network, layer, preprocess(photo, network.input))
  state, history = inversion.invert(
    network, layer, code, key=jax.random.key(seed), mask=mask, steps=steps
  )
  image, history = jax.device_get((state.last.image, history))
  error, by_distance = float(history["error"][-1]), None
  if distance and mask.all():
    by_distance = error * float(np.linalg.norm(code)) / distance
  facts = {
    "photograph": name,
    "layer": layer,
    "depth": network.order.index(layer),
    "seed": seed,
    "error": error,
    "error_by_distance": by_distance,
  }
  pixels = to_pixels(image, network.input)
  return Made(layer, facts, pixels, image, history, status_of(history))
