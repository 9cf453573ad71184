"""Text files as people have them."""

import codecs
from pathlib import Path

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(path: Path | str) -> list[str]:
  """A text file's lines, in UTF-8 or with the byte order mark of UTF-16.

  Args:
    path: the file; `~` is the user's folder.

  Raises:
    OSError: the file cannot be read.
    UnicodeDecodeError: it is in another encoding.
  """
  data = Path(path).expanduser().read_bytes()
  encoding = "utf-16" if data.startswith(_UTF_16) else "utf-8-sig"
  return data.decode(encoding).splitlines()
