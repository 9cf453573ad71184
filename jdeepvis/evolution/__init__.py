"""Images bred for what a network takes them for: MAP-Elites, two encodings."""
