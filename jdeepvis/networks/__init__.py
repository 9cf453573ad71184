"""Files become a `Network`: a pure function from images to activations."""
