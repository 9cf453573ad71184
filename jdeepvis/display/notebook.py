"""Pictures as a notebook shows them: PNG, HTML, captioned sheets."""

import base64
import dataclasses
import html as markup
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from jdeepvis.display.files import write_image
from jdeepvis.display.montage import montage
from jdeepvis.display.presentation import Shown, enlarged
from jdeepvis.display.records import caption
from jdeepvis.types import Pixels

_SHOWN = 200
"""Pictures that a page of a notebook holds; a sheet holds all."""

_SIDE = 224


@dataclasses.dataclass(frozen=True, repr=False)
class Sheet:
  """One picture made of many, which shows itself in a notebook.

  Attributes:
    pixels: uint8 `[h, w, 3]`.
  """

  pixels: Pixels

  def save(self, path: Path | str) -> None:
    """Writes it as an image file, PNG or what the suffix says."""
    write_image(path, self.pixels)

  def __repr__(self) -> str:
    height, width, _ = self.pixels.shape
    return f"Sheet({height} x {width} pixels)"

  def _repr_png_(self) -> bytes:
    return png(self.pixels)


def sheet(pictures: Sequence[Shown], columns: int | None = None) -> Sheet:
  """Captioned pictures in rows, every failure marked in red.

  Args:
    pictures: at least one.
    columns: pictures in a row; by default what makes it about square.
  """
  return Sheet(
    montage(
      [enlarged(_rgb(one.pixels), _SIDE) for one in pictures],
      [f"{one.title}\n{caption(one.facts)}" for one in pictures],
      [one.status for one in pictures],
      columns=columns,
    )
  )


def html(pictures: Sequence[Shown]) -> str:
  """Pictures with their captions, failures in red, as a cell shows them."""
  cells = "".join(map(_cell, pictures[:_SHOWN]))
  left = len(pictures) - _SHOWN
  more = f"<p>... and {left} more; sheet() shows all.</p>" if left > 0 else ""
  style = "display:flex;flex-wrap:wrap;gap:12px"
  return f'<div style="{style}">{cells}</div>{more}'


def png(pixels: Pixels) -> bytes:
  """A picture as the bytes of a PNG file."""
  stream = io.BytesIO()
  Image.fromarray(_rgb(pixels)).save(stream, format="PNG")
  return stream.getvalue()


def one_line(picture: Shown) -> str:
  """A picture's name, caption and status on one line."""
  said = caption(picture.facts).replace(" · ", ", ")
  return f"{picture.title}, {said}, {picture.status}"


def _cell(picture: Shown) -> str:
  shown = enlarged(_rgb(picture.pixels), _SIDE)
  data = base64.b64encode(png(shown)).decode()
  first, rest = map(markup.escape, (picture.title, caption(picture.facts)))
  status = picture.status
  failed = f'<b style="color:#c62828">{status}</b>' if status != "ok" else ""
  return (
    '<figure style="margin:0;font:12px sans-serif">'
    f'<img src="data:image/png;base64,{data}" alt="{first}">'
    f"<figcaption><b>{first}</b><br>{rest}<br>{failed}</figcaption></figure>"
  )


def _rgb(pixels: Pixels) -> Pixels:
  if pixels.shape[-1] == 3:
    return pixels
  if pixels.shape[-1] == 1:
    return np.repeat(pixels, 3, axis=-1)
  grey = np.concatenate(np.moveaxis(pixels, -1, 0), axis=1)[..., None]
  return np.repeat(grey, 3, axis=-1)
