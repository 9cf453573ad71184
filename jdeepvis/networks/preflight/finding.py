"""What a check reports."""

from collections.abc import Mapping
from typing import NamedTuple

OK, WARNING, WRONG = "ok", "warning", "wrong"


class Finding(NamedTuple):
  """What one check has found.

  Attributes:
    check: what was looked at.
    verdict: `ok`, `warning` or `wrong`.
    sentence: what was found, and what would be right.
    figures: the numbers behind it, by name.
  """

  check: str
  verdict: str
  sentence: str
  figures: Mapping[str, float] = {}
