"""Digests by which files and networks are known again."""

import hashlib
from pathlib import Path
from typing import Any

import jax
import numpy as np


def sha256(path: Path | str) -> str:
  """The file's SHA-256, as hexadecimal digits."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(params: Any) -> str:
  """A digest of all weights, by which a run recognises its network."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(params):
    digest.update(jax.tree_util.keystr(path).encode())
    digest.update(np.ascontiguousarray(leaf).tobytes())
  return digest.hexdigest()
