"""What scripts share that make pictures one by one, mostly of photographs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from experiments import common
from jdeepvis.display.files import write_csv
from jdeepvis.display.folder import PictureFolder, only_run
from jdeepvis.display.records import Captioned
from jdeepvis.networks import classify
from jdeepvis.networks.names import find_units
from jdeepvis.networks.network import Network
from jdeepvis.networks.pictures import preprocess, read_picture
from jdeepvis.types import JdeepvisError, Pixels


class Job(Protocol):
  """One picture to make."""

  @property
  def file(self) -> str:
    """Where in its folder it goes; see `picture_file`."""


def make_missing(
  path: str | None,
  settings: Mapping[str, Any],
  jobs: Sequence[Job],
  make: Callable[[PictureFolder, Any], None],
  *,
  title: str,
  captioned: Captioned,
  legend: str = "",
) -> PictureFolder:
  """Makes the pictures that a folder lacks, one by one, and its page.

  Args:
    path: the folder, from --out.
    settings: what all its pictures share; plain values.
    jobs: all that shall be in it.
    make: adds a job's picture to the folder.
    title: of the page.
    captioned: the facts that captions have.
    legend: a sentence on what the pictures show.

  Raises:
    JdeepvisError: there is no path, or the folder holds something else.
  """
  if not path:
    raise JdeepvisError("Say where the pictures go: --out=FOLDER.")
  with only_run(path):
    folder = PictureFolder.open(path, settings, versions=common.versions())
    for job in tqdm(jobs, unit="picture", dynamic_ncols=True):
      if job.file not in folder:
        make(folder, job)
    folder.finish(title, captioned=captioned, legend=legend)
  return folder


def photos(path: str | None) -> dict[str, Pixels]:
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


def asked_units(
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
  return [int(classify.probabilities(network, image).argmax())]


def report(
  folder: PictureFolder, file: str, rows: Sequence[Mapping[str, Any]]
) -> None:
  """Writes a table into the folder, prints it, and says where to look."""
  write_csv(folder.path / file, rows)
  common.print_table(rows)
  common.print_results(folder)
