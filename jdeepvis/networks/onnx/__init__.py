"""ONNX files: file -> nodes -> layers, constants folded on the way."""
