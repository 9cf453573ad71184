"""Plain scripts that time our work against a named rival in the same run."""
