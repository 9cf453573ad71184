"""The deep visualization toolbox: a network, live, in the browser."""

from jdeepvis.toolbox.server import serve

__all__ = ["serve"]
