"""What is read off a function's jaxpr: rectifiers, receptive fields, crops."""
