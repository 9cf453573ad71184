"""A check of a network before an hour is rendered with it."""
