"""Classifiers as files: an ONNX network with what it takes and says, read, checked and run."""
