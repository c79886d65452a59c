"""Handing a model on: PyTorch, ONNX, today's Keras.  One folder a target, one file a layer family."""
