"""A module graph for ONNX."""
