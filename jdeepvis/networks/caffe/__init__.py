"""Caffe's files: .prototxt, .caffemodel and mean files."""
