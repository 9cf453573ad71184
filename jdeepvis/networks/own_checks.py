"""What people are told about their own models: wrong calls, missing parts."""

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jdeepvis.networks.network import Network
from jdeepvis.types import JdeepvisError

BY_NAME = "further arguments go along by their names, such as train=False"
"""What to do where a module's call takes something else than images."""


def check_call(
  call: Callable[..., Any],
  given: Iterable[str],
  settings: Mapping[str, Any],
  cure: str,
) -> None:
  """That a model takes what it is given, told before it is called.

  Args:
    call: whose signature is asked.
    given: what is given by place.
    settings: what is given by name; a keyword `relu` is given as well.
    cure: what to do otherwise, the end of the sentence.

  Raises:
    JdeepvisError: it takes something else.
  """
  signature = inspect.signature(call)
  takes = signature.parameters
  rectifier = {"relu": None} if "relu" in takes else {}
  try:
    signature.bind(*given, **{**settings, **rectifier})
  except TypeError as error:
    raise JdeepvisError(
      f"The model's call takes ({', '.join(takes)}) and is given "
      f"({', '.join((*given, *settings))}): {error}; {cure}."
    ) from error


def tell_missing(network: Network, parts: Iterable[str]) -> None:
  """Names the parts of a model that have no blob, in one sentence, if any."""
  blobs = [f"{name}/" for name in network.shapes]
  missing = [
    part
    for part in dict.fromkeys(parts)
    if part and not any(blob.startswith(f"{part}/") for blob in blobs)
  ]
  if missing:
    some = ", ".join(missing[:8])
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    _tell(
      f"There are no values of the parts {some}{more}: the model does not call "
      "them, or within a scan, a jit or the like, or they return nothing that "
      "has the batch axis."
    )


def tell_training(parts: Iterable[str], cure: str) -> None:
  """Names the parts that are in training mode, in one sentence, if any."""
  if parts := tuple(parts):
    some = ", ".join(parts[:8]) + ", ..." * (len(parts) > 8)
    _tell(
      f"The model is in training mode in {some}: dropout draws and batch "
      f"statistics are those of each batch; {cure} first."
    )


def _tell(sentence: str) -> None:
  logging.getLogger("jdeepvis").warning("%s", sentence)
