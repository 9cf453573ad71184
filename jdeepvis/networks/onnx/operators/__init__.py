"""ONNX's operators: a function from a node to layers for each."""
