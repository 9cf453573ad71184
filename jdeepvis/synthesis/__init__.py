"""A score becomes images: gradient ascent under natural-image priors."""
