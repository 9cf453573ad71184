"""A folder of one picture a cell, each replaced as better ones are found."""

from collections.abc import Iterator

from jdeepvis.display.files import write_image
from jdeepvis.display.folder import SMALL, write_montage
from jdeepvis.display.gallery import write_gallery
from jdeepvis.display.manifest import ManifestFolder
from jdeepvis.display.records import Captioned, Record
from jdeepvis.types import Pixels


class CellFolder(ManifestFolder):
  """The folder that an archive's pictures are written to.

  manifest.json               settings, versions, one record a cell
  LAYER/unit_0130/NAME/seed_0.png, montage.png of up to `SMALL`
  index.html                  all of it in a browser
  """

  def show(
    self,
    cells: Iterator[tuple[Record, Pixels]],
    title: str,
    *,
    captioned: Captioned,
  ) -> None:
    """Writes all cells, in place of what they were, and what shows them.

    Args:
      cells: the record of each, and its picture, uint8 `[h, w, c]`.
      title: the page's heading.
      captioned: the facts that captions have.
    """
    records = []
    for record, picture in cells:
      write_image(self.path / record.file, picture)
      records.append(record.to_plain())
    self.manifest["records"] = records
    self._write_manifest()
    if len(records) <= SMALL:
      write_montage(self.path, records, captioned=captioned)
    write_gallery(
      self.path / "index.html",
      records,
      title=title,
      settings=self.manifest["settings"],
      captioned=captioned,
    )
