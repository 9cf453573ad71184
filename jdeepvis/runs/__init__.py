"""Work that takes a while: saved, resumed, and its results in folders."""
