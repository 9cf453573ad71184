"""What scripts share that look at photographs."""

from pathlib import Path

from absl import flags

from jdeepvis.networks import classify
from jdeepvis.networks.names import find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.types import JdeepvisError, Pixels

# The flags defined here are those of the script that asks for them.
flags.disclaim_key_flags()


def define_units() -> flags.FlagHolder:
  """--units, for `units_or_first`."""
  return flags.DEFINE_string(
    "units",
    "first",
    "Numbers, ranges, class names; first: what the network names first.",
  )


def read(path: str | None) -> dict[str, Pixels]:
  """Photographs by the names of their files, without the suffix.

  Args:
    path: a picture's file, or a folder of them.

  Raises:
    JdeepvisError: there are none, or one cannot be read.
  """
  if not path:
    raise JdeepvisError("Say which photographs: --photos=FILE or FOLDER.")
  if Path(path).is_file():
    return {Path(path).stem: read_picture(path)}
  files = [
    file
    for file in sorted(Path(path).glob("*"))
    if file.suffix.lower() in (".jpg", ".jpeg", ".png")
  ]
  if not files:
    raise JdeepvisError(f"There are no photographs in {path!r}.")
  return {file.stem: read_picture(file) for file in files}


def units_or_first(
  network: Network, layer: str, photo: Pixels, asked: str
) -> list[int]:
  """Units of a layer, or the class that the network names first.

  Args:
    network: any network.
    layer: whose units; the class scores go by the names of the classes.
    photo: of the first class.
    asked: numbers, ranges, class names, or `first`.

  Raises:
    JdeepvisError: there is no such unit.
  """
  if asked != "first":
    return list(find_units(network, layer, asked))
  image = preprocess(photo, network.input)[None]
  first = int(classify.probabilities(network, image).argmax())
  return list(find_units(network, layer, str(first)))
