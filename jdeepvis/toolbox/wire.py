"""One binary message for each update: a head in JSON, then the panels' bytes.

    4 bytes          the head's length, little-endian
    head             JSON, UTF-8; `arrays` has each panel's name and shape
    bytes            of each panel in turn, uint8 `[h, w, c]`, row by row

A panel whose head says `same` is as in the message before, and has no bytes.
A head of length 0 has a file behind it that the page shall save.
"""

import struct
from collections.abc import Mapping
from typing import Any

from jdeepvis.display.files import to_json
from jdeepvis.toolbox.panels import Panels

_LENGTH = struct.Struct("<I")


def pack_file(data: bytes) -> bytes:
  """The message that hands a page a file."""
  return _LENGTH.pack(0) + data


class Packer:
  """Packs one page's updates.

  It keeps what the page has, and so sends only what changed.
  """

  def __init__(self):
    self._sent: dict[str, tuple[tuple[int, ...], bytes]] = {}

  def __call__(self, panels: Panels, head: Mapping[str, Any]) -> bytes:
    """The message.

    Args:
      panels: what the page shall show.
      head: what else it shall know.
    """
    entries, parts = [], []
    for name, array in panels.arrays.items():
      panel = (array.shape, array.tobytes())
      same = self._sent.get(name) == panel
      entries.append({"name": name, "shape": array.shape, "same": same})
      if not same:
        parts.append(panel[1])
        self._sent[name] = panel
    full = {**head, "panels": panels.facts, "arrays": entries}
    text = to_json(full).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *parts])
